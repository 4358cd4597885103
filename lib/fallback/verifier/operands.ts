/** Registers as operands: they must exist, hold something, and may not be the frame pointer where they are written. */
import { denied, invalid } from './rejection.js'
import { FRAME_POINTER, REGISTERS } from './state.js'
import { KIND, type Register } from './values/register.js'
import type { Verification } from './verification.js'

/** @returns what a register that is read holds */
export function readRegister(env: Verification, number: number): Register {
  if (number >= REGISTERS) invalid(`R${number} is invalid`)
  const register = env.register(number)
  if (register.kind === KIND.NOT_INIT) denied(`R${number} !read_ok`)
  return register
}

/** Checks a register that will be written. */
export function checkWritable(number: number): void {
  if (number >= REGISTERS) invalid(`R${number} is invalid`)
  if (number === FRAME_POINTER) denied('frame pointer is read only')
}
