/**
 * Bounds checks. An access is sound if its address has the kernel's tag and the shadow (shadow.ts) says so.
 *
 * Inline stands the test that nearly all accesses pass: rotating the address without its tag by 3 bits leaves a number below
 * the count of granules only if the tag was right, the address inside the memory and aligned; and it is the place in the
 * shadow. What isn't aligned, or isn't a whole granule, goes to a function of the module; what that doesn't let pass, to
 * JavaScript, which knows all rules and all words.
 */
import { KERNEL_WORD } from '../../kernel-words.js'
import { Access, KERNEL_HI } from '../../memory.js'
import type { CodeBuffer } from './code-buffer.js'
import { STACK_SIZE } from '../frames.js'
import type { Facts } from './facts.js'
import type { Region } from './intrinsic-tables.js'
import type { Locals } from './locals.js'
import { TYPE, WASM } from './opcodes.js'
import { STATE } from './state.js'

/** What an access needs, as the slow check is told: rights of Access, and whether it must be aligned. */
export const MUST_BE_ALIGNED = 4

const FRAME_POINTER = 10
const TWO_32 = 4294967296

/** In a shadow byte: all eight bytes may be accessed. */
const WHOLE = 8
const USER = 0x40
const FREED = 0x80
const ACCESS_SHIFT = 4
const COUNT_MASK = 15
const READ_WHOLE = (Access.read << ACCESS_SHIFT) | WHOLE
const READ_WRITE_WHOLE = (Access.readWrite << ACCESS_SHIFT) | WHOLE

/** Which functions the checks call, by index in the module. */
export interface CheckFunctions {
  readonly slowCheck: number
}

/** Which accesses may turn out not to be done in place: see IMPORT.FAULT. */
export interface Elsewhere {
  readonly loads: boolean
  readonly stores: boolean
}

export interface CheckContext {
  readonly checkFunctions: CheckFunctions
  readonly isProven: (slot: number) => boolean
  readonly elsewhere: Elsewhere
  /** Address of the engine's block: see state.ts. */
  readonly state: number
}

export class Checks {
  readonly #out: CodeBuffer
  readonly #locals: Locals
  readonly #facts: Facts
  readonly #functions: CheckFunctions
  readonly #isProven: (slot: number) => boolean
  readonly #elsewhere: Elsewhere
  readonly #state: number
  /** Constructs around the instruction, inside the block that accesses leave when they aren't where they surely seem to be. */
  level = 0
  #goesOn = false

  constructor(
    out: CodeBuffer,
    locals: Locals,
    facts: Facts,
    { checkFunctions, isProven, elsewhere, state }: CheckContext,
  ) {
    this.#out = out
    this.#locals = locals
    this.#facts = facts
    this.#functions = checkFunctions
    this.#isProven = isProven
    this.#elsewhere = elsewhere
    this.#state = state
  }

  /** Whether some access leaves the function's code, its slot on the stack, for the interpreter to go on. */
  get goesOn(): boolean {
    return this.#goesOn
  }

  /** Where the shadow is: at the start of a function, and after whatever may have made the memory grow. */
  loadShadow(): void {
    const out = this.#out
    out.i32(0)
    out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.SHADOW)
    out.set(this.#locals.shadow)
    out.i32(0)
    out.memory(WASM.I64_LOAD, 3, KERNEL_WORD.GRANULES)
    out.set(this.#locals.granules)
  }

  /**
   * Checks an access.
   *
   * @param value leaves what is stored; 'in place': the access can't be done elsewhere
   * @returns whether a `block` was opened, as the access may have been done elsewhere: the caller writes the load or store, and then {@link closePlace}
   */
  check(
    slot: number,
    base: number,
    offset: number,
    size: number,
    rights: number,
    value?: (() => void) | 'in place',
  ): boolean {
    const access = rights & Access.readWrite
    const facts = this.#facts
    if (this.#isProven(slot)) return false
    if (facts.isInStack(base, offset, size) && rights === access) return false
    if (facts.wasChecked(base, offset, size, access) && rights === access) return false
    if (facts.isInRegion(base, offset, size, access) && rights === access) return false
    const out = this.#out
    if (rights === access && facts.isInValue(base, offset, size, access)) {
      out.i32(slot)
      out.get(this.#locals.registers[base] ?? 0)
      out.op(WASM.I64_EQZ)
      out.opIndex(WASM.BR_IF, this.level)
      out.op(WASM.DROP)
      this.#goesOn = true
      facts.foundValue(base)
      return false
    }
    const region = facts.guessedRegion(base, access)
    const seemsKnown =
      rights === access && (region !== undefined ? region.size >= size : facts.seemsInStack(base))
    if (seemsKnown && facts.isSure(base)) {
      out.i32(slot)
      if (region !== undefined) this.#compareWithRegion(base, offset, size, region)
      else this.#compareWithStack(base, offset, size)
      out.op(WASM.I32_EQZ)
      out.opIndex(WASM.BR_IF, this.level)
      out.op(WASM.DROP)
      this.#goesOn = true
      facts.checked(base, offset, size, access)
      return false
    }
    const isLoad = access === Access.read
    const mayMove = value !== 'in place' && (isLoad ? this.#elsewhere.loads : this.#elsewhere.stores)
    if (mayMove) out.open(WASM.BLOCK, isLoad ? TYPE.I64 : TYPE.EMPTY)
    else facts.checked(base, offset, size, access)
    out.open(WASM.BLOCK, TYPE.EMPTY)
    if (seemsKnown) {
      if (region !== undefined) this.#compareWithRegion(base, offset, size, region)
      else this.#compareWithStack(base, offset, size)
      out.opIndex(WASM.BR_IF, 0)
    } else this.#lookAtShadow(base, offset, size, isLoad)
    if (mayMove && typeof value === 'function') {
      out.i32(this.#state)
      value()
      out.memory(WASM.I64_STORE, 3, STATE.RESULT)
    }
    out.get(this.#locals.registers[base] ?? 0)
    out.i64(offset)
    out.op(WASM.I64_ADD)
    out.i32(size)
    out.i32(rights)
    out.i32(slot)
    out.opIndex(WASM.CALL, this.#functions.slowCheck)
    if (mayMove) {
      out.open(WASM.IF, TYPE.EMPTY)
      if (isLoad) {
        out.i32(this.#state)
        out.memory(WASM.I64_LOAD, 3, STATE.RESULT)
      }
      out.opIndex(WASM.BR, 2)
      out.op(WASM.END)
    } else out.op(WASM.DROP)
    out.op(WASM.END)
    return mayMove
  }

  /** Leaves whether the access is inside a region whose place is known. */
  #compareWithRegion(base: number, offset: number, size: number, region: Region): void {
    const out = this.#out
    const distance = offset - region.address
    if (this.#isIndexed(base, false)) this.#indexPlus(base, this.#facts.indexedBase(base) + distance)
    else {
      out.get(this.#locals.registers[base] ?? 0)
      out.i64Halves(distance | 0, Math.floor(distance / TWO_32) - KERNEL_HI)
      out.op(WASM.I64_ADD)
    }
    out.i64Halves(region.size - size, 0)
    out.op(WASM.I64_LE_U)
  }

  /** Leaves whether the access is inside the stack. */
  #compareWithStack(base: number, offset: number, size: number): void {
    const out = this.#out
    const { registers } = this.#locals
    if (this.#isIndexed(base, true))
      this.#indexPlus(base, this.#facts.indexedBase(base) + offset + STACK_SIZE)
    else {
      out.get(registers[base] ?? 0)
      out.get(registers[FRAME_POINTER] ?? 0)
      out.op(WASM.I64_SUB)
      out.i64(offset + STACK_SIZE)
      out.op(WASM.I64_ADD)
    }
    out.i64(STACK_SIZE - size)
    out.op(WASM.I64_LE_U)
  }

  #isIndexed(register: number, inStack: boolean): boolean {
    return this.#facts.isIndexed(register) && this.#facts.isIndexedInStack(register) === inStack
  }

  /** Leaves an index and a distance, added. */
  #indexPlus(base: number, distance: number): void {
    const out = this.#out
    out.get(this.#locals.indices + this.#facts.indexLocal(base))
    if (distance === 0) return
    out.i64Halves(distance | 0, Math.floor(distance / TWO_32))
    out.op(WASM.I64_ADD)
  }

  /** Leaves the block around if the shadow lets the access pass. */
  #lookAtShadow(base: number, offset: number, size: number, isLoad: boolean): void {
    const out = this.#out
    const { wide, granules, shadow, registers } = this.#locals
    out.open(WASM.BLOCK, TYPE.EMPTY)
    out.get(registers[base] ?? 0)
    this.#untag(offset)
    this.#rotate(size)
    out.tee(wide)
    out.get(granules)
    out.op(WASM.I64_GE_U)
    out.opIndex(WASM.BR_IF, 0)
    out.get(wide)
    out.op(WASM.I32_WRAP_I64)
    out.get(shadow)
    out.op(WASM.I32_ADD)
    out.memory(WASM.I32_LOAD8_U, 0, 0)
    if (isLoad) {
      // Read-only bytes will do.
      out.i32(READ_WHOLE | USER)
      out.op(WASM.I32_AND)
      out.i32(READ_WHOLE)
    } else out.i32(READ_WRITE_WHOLE)
    out.op(WASM.I32_EQ)
    out.opIndex(WASM.BR_IF, 1)
    out.op(WASM.END)
  }

  closePlace(): void {
    this.#out.op(WASM.END)
  }

  /** Adds an offset and takes the tag away. */
  #untag(offset: number): void {
    this.#out.i64Halves(offset, (offset >> 31) - KERNEL_HI)
    this.#out.op(WASM.I64_ADD)
  }

  /** From an address to the granule; one that isn't aligned becomes a huge number. */
  #rotate(size: number): void {
    const out = this.#out
    if (size > 1 && size < 8) {
      out.i64(~(8 - size))
      out.op(WASM.I64_AND)
    }
    out.i64(3)
    out.op(size === 1 ? WASM.I64_SHR_U : WASM.I64_ROTR)
  }
}

/**
 * Writes the body of the slow check: (address i64, size i32, rights i32, slot i32) -> i32: 0, or 1 where it was done elsewhere.
 * @param fault the import that decides what this doesn't let pass: (slot, low, high, size, rights) -> i32
 */
export function emitSlowCheck(out: CodeBuffer, fault: number): void {
  const [address, size, rights, slot, low, granule, byte] = [0, 1, 2, 3, 4, 5, 6]
  const body = out.openSized()
  out.unsigned(1)
  out.unsigned(3)
  out.byte(TYPE.I32)
  const shadowByte = (): void => {
    out.i32(0)
    out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.SHADOW)
    out.get(granule)
    out.op(WASM.I32_ADD)
    out.memory(WASM.I32_LOAD8_U, 0, 0)
    out.set(byte)
  }
  /** Leaves whether the shadow byte lacks the rights. */
  const lacksRights = (): void => {
    const mask = (): void => {
      out.get(rights)
      out.i32(Access.readWrite)
      out.op(WASM.I32_AND)
      out.i32(ACCESS_SHIFT)
      out.op(WASM.I32_SHL)
    }
    out.get(byte)
    mask()
    out.i32(USER | FREED)
    out.op(WASM.I32_OR)
    out.op(WASM.I32_AND)
    mask()
    out.op(WASM.I32_NE)
  }
  const count = (): void => {
    out.get(byte)
    out.i32(COUNT_MASK)
    out.op(WASM.I32_AND)
  }
  out.open(WASM.BLOCK, TYPE.EMPTY)
  out.get(address)
  out.i64Halves(0, -KERNEL_HI | 0)
  out.op(WASM.I64_ADD)
  out.i64(3)
  out.op(WASM.I64_SHR_U)
  out.i32(0)
  out.memory(WASM.I64_LOAD, 3, KERNEL_WORD.GRANULES)
  out.op(WASM.I64_GE_U)
  out.opIndex(WASM.BR_IF, 0)
  out.get(rights)
  out.i32(MUST_BE_ALIGNED)
  out.op(WASM.I32_GE_U)
  out.get(address)
  out.op(WASM.I32_WRAP_I64)
  out.tee(low)
  out.get(size)
  out.i32(1)
  out.op(WASM.I32_SUB)
  out.op(WASM.I32_AND)
  out.op(WASM.I32_EQZ)
  out.op(WASM.I32_EQZ)
  out.op(WASM.I32_AND)
  out.opIndex(WASM.BR_IF, 0)
  out.get(low)
  out.i32(3)
  out.op(WASM.I32_SHR_U)
  out.set(granule)
  shadowByte()
  lacksRights()
  out.opIndex(WASM.BR_IF, 0)
  // From here on `low` is the end of the access in its first granule.
  out.get(low)
  out.i32(7)
  out.op(WASM.I32_AND)
  out.get(size)
  out.op(WASM.I32_ADD)
  out.tee(low)
  count()
  out.op(WASM.I32_LE_U)
  out.open(WASM.IF, TYPE.EMPTY)
  out.i32(0)
  out.op(WASM.RETURN)
  out.op(WASM.END)
  out.get(low)
  out.i32(WHOLE)
  out.op(WASM.I32_LE_U)
  count()
  out.i32(WHOLE)
  out.op(WASM.I32_NE)
  out.op(WASM.I32_OR)
  out.opIndex(WASM.BR_IF, 0)
  out.get(granule)
  out.i32(1)
  out.op(WASM.I32_ADD)
  out.set(granule)
  shadowByte()
  lacksRights()
  out.opIndex(WASM.BR_IF, 0)
  out.get(low)
  out.i32(WHOLE)
  out.op(WASM.I32_SUB)
  count()
  out.op(WASM.I32_LE_U)
  out.open(WASM.IF, TYPE.EMPTY)
  out.i32(0)
  out.op(WASM.RETURN)
  out.op(WASM.END)
  out.op(WASM.END)
  out.get(slot)
  out.get(address)
  out.op(WASM.I32_WRAP_I64)
  out.get(address)
  out.i64(32)
  out.op(WASM.I64_SHR_U)
  out.op(WASM.I32_WRAP_I64)
  out.get(size)
  out.get(rights)
  out.opIndex(WASM.CALL, fault)
  out.op(WASM.END)
  out.closeSized(body)
}
