/**
 * How helpers take their arguments. What Linux's verifier proves before a program runs is checked here at each call: a bad pointer is a
 * trap that names helper and argument, never a stray access.
 */
import { BpfError } from '../../errors.js'
import { decode } from '../../isa/instruction.js'
import { helperTakesMap, WRITING_HELPERS } from '../../linux/helper-maps.js'
import { helperById } from '../../linux/helpers.js'
import { BPF_MAP_FLAGS, mapTypeName } from '../../linux/map-types.js'
import { kfuncName } from '../kfunc-ids.js'
import type { Machine } from '../machine.js'
import type { LoadedMap } from '../maps/loaded-map.js'
import { KERNEL_HI, type Access, type Memory } from '../memory.js'
import { describeFault, trap } from '../vm/trap.js'
import type { Engine, HelperFunction, Registers } from '../vm/types.js'

/** Helpers by id. */
export type HelperTable = Readonly<Record<number, HelperFunction>>

/** A family of helpers, made for one machine. */
export type HelperFamily = (machine: Machine) => HelperTable

/** Sets r0 to a signed 32-bit number, extended to 64 bits. */
export function give({ lo, hi }: Registers, value: number): void {
  lo[0] = value
  hi[0] = value >> 31
}

/** Sets r0 to the kernel address with that low half, or to NULL for 0. */
export function givePointer({ lo, hi }: Registers, low: number): void {
  lo[0] = low
  hi[0] = low === 0 ? 0 : KERNEL_HI
}

/** Sets r0 to a non-negative number of up to 53 bits. */
export function giveWide({ lo, hi }: Registers, value: number): void {
  lo[0] = value
  hi[0] = Math.floor(value / 2 ** 32)
}

/** A register's low half without a sign: sizes and addresses. */
export function unsigned({ lo }: Registers, register: number): number {
  return (lo[register] ?? 0) >>> 0
}

/** The flags in a register; more than 32 bits of them are Infinity, which no helper knows. */
export function flagsIn(registers: Registers, register: number): number {
  return registers.hi[register] === 0 ? unsigned(registers, register) : Infinity
}

/**
 * The low half of a pointer to `size` bytes that the program may read (or write).
 * @throws BpfError `TRAP`
 */
export function pointer(
  memory: Memory,
  registers: Registers,
  register: number,
  size: number,
  access: Access,
  engine: Engine,
  helper: number,
): number {
  const address = unsigned(registers, register)
  const high = registers.hi[register] ?? 0
  // Of no bytes nothing is touched: any pointer will do, and Linux lets null pass where it lets 0 bytes pass.
  if (size === 0 || (high === KERNEL_HI && memory.accessible(address, size, access))) return address
  throw helperTrap(engine, helper, `r${register}: ${describeFault(memory, high, address, size, access)}`)
}

/** The map whose address is in a register, if the helper takes such a map. @throws BpfError `TRAP` */
export function mapIn(
  machine: Machine,
  registers: Registers,
  register: number,
  engine: Engine,
  helper: number,
): LoadedMap {
  const map =
    registers.hi[register] === KERNEL_HI ? machine.maps.get(unsigned(registers, register)) : undefined
  if (map !== undefined) {
    const { type, flags } = map.storage.attributes
    if (!helperTakesMap(helper, type))
      throw helperTrap(
        engine,
        helper,
        `cannot pass map_type ${type} into it: map '${map.name}' is a ${mapTypeName(type)}`,
      )
    if ((flags & BPF_MAP_FLAGS.BPF_F_RDONLY_PROG) !== 0 && WRITING_HELPERS.has(helper))
      throw helperTrap(engine, helper, `write into map forbidden: programs may only read map '${map.name}'`)
    return map
  }
  throw helperTrap(engine, helper, `r${register} is no map`)
}

/** A trap in a helper. */
export function helperTrap(engine: Engine, helper: number, problem: string): BpfError {
  const name = helperById(helper)?.name ?? 'unknown'
  const called = kfuncName(helper) ?? `bpf_${name}#${helper}`
  const slot = engine.position?.()
  if (slot !== undefined) return trap(engine.program, decode(engine.program.code), slot, problem)
  return new BpfError('TRAP', `program '${engine.program.name}': call ${called}: ${problem}`)
}

/**
 * Whether a callback that has returned asks for an end: it answers 1.
 * @throws BpfError `TRAP` for what is neither 0 nor 1
 */
export function callbackEnds({ lo, hi }: Registers, engine: Engine, helper: number): boolean {
  const low = lo[0] ?? 0
  if (hi[0] === 0 && (low === 0 || low === 1)) return low === 1
  const value = BigInt.asIntN(64, (BigInt(hi[0] ?? 0) << 32n) | BigInt(low >>> 0))
  throw helperTrap(
    engine,
    helper,
    `at callback return the register R0 is ${value}, should have been in [0, 1]`,
  )
}

const decoder = new TextDecoder()

/** The text of at most `size` bytes from an address, up to its NUL. The caller has checked the bytes. */
export function textAt(memory: Memory, address: number, size: number): string {
  const bytes = memory.u8.subarray(address, address + size)
  const end = bytes.indexOf(0)
  return decoder.decode(bytes.subarray(0, end < 0 ? size : end))
}
