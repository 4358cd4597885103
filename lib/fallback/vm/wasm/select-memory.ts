/** Loads, stores and atomic operations: RFC 9669 section 5. */
import { ATOMIC } from '../../../isa/opcodes.js'
import { Access } from '../../memory.js'
import { STACK_SIZE } from '../frames.js'
import { MUST_BE_ALIGNED } from './checks.js'
import { WASM } from './opcodes.js'
import { Selector, type FunctionParts } from './selector.js'
import type { StackSlots } from './stack-slots.js'

/** By the size bits of an opcode: 32, 16, 8 and 64 bits. */
const BYTES = [4, 2, 1, 8] as const
const ALIGNMENT = [2, 1, 0, 3] as const
const LOADS = [WASM.I64_LOAD32_U, WASM.I64_LOAD16_U, WASM.I64_LOAD8_U, WASM.I64_LOAD] as const
const SIGNED_LOADS = [WASM.I64_LOAD32_S, WASM.I64_LOAD16_S, WASM.I64_LOAD8_S, WASM.I64_LOAD] as const
const STORES = [WASM.I64_STORE32, WASM.I64_STORE16, WASM.I64_STORE8, WASM.I64_STORE] as const
const TWO_32 = 4294967296
const SIGN_EXTENSIONS = [WASM.I64_EXTEND32_S, WASM.I64_EXTEND16_S, WASM.I64_EXTEND8_S] as const
const FRAME_POINTER = 10
const SIGNED_MODE = 0x80
const MODE = 0xe0
const WORD = 0
const DOUBLE_WORD = 3

const ATOMIC_OPERATIONS: ReadonlyMap<number, number> = new Map<number, number>([
  [ATOMIC.ADD, WASM.I64_ADD],
  [ATOMIC.OR, WASM.I64_OR],
  [ATOMIC.AND, WASM.I64_AND],
  [ATOMIC.XOR, WASM.I64_XOR],
])

export interface MemoryFunctions {
  /** The import that refuses an atomic operation: (slot, size). */
  readonly badAtomic: number
  /** Places of the stack that are locals. */
  readonly places: StackSlots
}

export class MemoryAccess extends Selector {
  readonly #functions: MemoryFunctions

  constructor(parts: FunctionParts, functions: MemoryFunctions) {
    super(parts)
    this.#functions = functions
  }

  load(slot: number): void {
    const slots = this.slots
    const out = this.out
    const opcode = slots.opcode(slot)
    const size = (opcode >> 3) & 3
    const base = slots.src(slot)
    const offset = slots.offset(slot)
    const place = this.#place(base, offset)
    if (place !== undefined) {
      out.get(place)
      if ((opcode & MODE) === SIGNED_MODE) out.op(SIGN_EXTENSIONS[size] ?? 0)
      return out.set(this.register(slots.dst(slot)))
    }
    const isOpen = this.checks.check(slot, base, offset, BYTES[size] ?? 8, Access.read)
    const opcodes = (opcode & MODE) === SIGNED_MODE ? SIGNED_LOADS : LOADS
    out.memory(opcodes[size] ?? 0, ALIGNMENT[size] ?? 0, this.#address(base, offset))
    if (isOpen) this.checks.closePlace()
    out.set(this.register(slots.dst(slot)))
  }

  /** @param isImmediate the value is the instruction's immediate */
  store(slot: number, isImmediate: boolean): void {
    const slots = this.slots
    const out = this.out
    const size = (slots.opcode(slot) >> 3) & 3
    const base = slots.dst(slot)
    const offset = slots.offset(slot)
    const value = (): void =>
      isImmediate ? out.i64(slots.imm(slot)) : out.get(this.register(slots.src(slot)))
    const place = this.#place(base, offset)
    if (place !== undefined) {
      value()
      if (size === WORD) this.#zeroExtend()
      else if (size !== DOUBLE_WORD) {
        out.i64(size === 1 ? 0xffff : 0xff)
        out.op(WASM.I64_AND)
      }
      return out.set(place)
    }
    const isOpen = this.checks.check(slot, base, offset, BYTES[size] ?? 8, Access.write, value)
    const at = this.#address(base, offset)
    value()
    out.memory(STORES[size] ?? 0, ALIGNMENT[size] ?? 0, at)
    if (isOpen) this.checks.closePlace()
  }

  /** The kernel runs one program at a time, so each is a plain read, change and write. */
  atomic(slot: number): void {
    const slots = this.slots
    const operation = slots.imm(slot)
    const size = (slots.opcode(slot) >> 3) & 3
    const bytes = BYTES[size] ?? 8
    const dst = slots.dst(slot)
    const src = slots.src(slot)
    const offset = slots.offset(slot)
    const out = this.out
    if (operation === ATOMIC.LOAD_ACQUIRE) {
      this.checks.check(slot, src, offset, bytes, Access.read | MUST_BE_ALIGNED, 'in place')
      out.memory(LOADS[size] ?? 0, ALIGNMENT[size] ?? 0, this.#address(src, offset))
      return out.set(this.register(dst))
    }
    if (operation === ATOMIC.STORE_RELEASE) {
      this.checks.check(slot, dst, offset, bytes, Access.write | MUST_BE_ALIGNED, 'in place')
      const at = this.#address(dst, offset)
      out.get(this.register(src))
      return out.memory(STORES[size] ?? 0, ALIGNMENT[size] ?? 0, at)
    }
    const known = ATOMIC_OPERATIONS.has(operation & ~ATOMIC.FETCH)
    const exchanges = operation === ATOMIC.XCHG || operation === ATOMIC.CMPXCHG
    const isWord = size === WORD || size === DOUBLE_WORD
    if (isWord) this.checks.check(slot, dst, offset, bytes, Access.readWrite | MUST_BE_ALIGNED, 'in place')
    if (!isWord || !(known || exchanges)) {
      out.i32(slot)
      out.i32(bytes)
      return out.opIndex(WASM.CALL, this.#functions.badAtomic)
    }
    this.#change(operation, size, dst, src, offset)
  }

  #change(operation: number, size: number, dst: number, src: number, offset: number): void {
    const out = this.out
    const { wide, address, registers } = this.locals
    const load = LOADS[size] ?? 0
    const store = STORES[size] ?? 0
    const alignment = ALIGNMENT[size] ?? 0
    const source = registers[src] ?? 0
    const at = this.#address(dst, offset)
    out.tee(address)
    out.get(address)
    out.memory(load, alignment, at)
    out.set(wide)
    if (operation === ATOMIC.CMPXCHG) {
      const result = registers[0] ?? 0
      out.get(source)
      out.get(wide)
      out.get(wide)
      out.get(result)
      if (size === WORD) this.#zeroExtend()
      out.op(WASM.I64_EQ)
      out.op(WASM.SELECT)
      out.memory(store, alignment, at)
      out.get(wide)
      return out.set(result)
    }
    if (operation === ATOMIC.XCHG) out.get(source)
    else {
      out.get(wide)
      out.get(source)
      out.op(ATOMIC_OPERATIONS.get(operation & ~ATOMIC.FETCH) ?? 0)
    }
    out.memory(store, alignment, at)
    if ((operation & ATOMIC.FETCH) === 0) return
    out.get(wide)
    out.set(source)
  }

  /** The local that is a place of the stack. */
  #place(base: number, offset: number): number | undefined {
    if (base !== FRAME_POINTER) return undefined
    const place = this.#functions.places.get(offset)
    return place === undefined ? undefined : this.locals.places + place
  }

  #zeroExtend(): void {
    this.out.op(WASM.I32_WRAP_I64)
    this.out.op(WASM.I64_EXTEND_I32_U)
  }

  /** Leaves an address as an i32. @returns what the instruction is to add: WebAssembly adds no negative numbers */
  #address(base: number, offset: number): number {
    const out = this.out
    const inStack = this.facts.stackOffset(base, offset)
    if (inStack >= 0) {
      out.get(this.locals.stack)
      return inStack
    }
    if (this.facts.isIndexed(base)) return this.#indexed(base, offset)
    out.get(this.register(base))
    out.op(WASM.I32_WRAP_I64)
    if (offset >= 0) return offset
    out.i32(offset)
    out.op(WASM.I32_ADD)
    return 0
  }

  /** A sum of what is known and an index: it takes no 64-bit constants, and where it can't overflow, no addition. */
  #indexed(base: number, offset: number): number {
    const facts = this.facts
    const out = this.out
    out.get(this.locals.indices + facts.indexLocal(base))
    out.op(WASM.I32_WRAP_I64)
    const known = facts.indexedBase(base)
    let rest = offset
    if (facts.isIndexedInStack(base)) {
      out.get(this.locals.stack)
      out.op(WASM.I32_ADD)
      rest += known + STACK_SIZE
    } else {
      if (facts.hasNarrowIndex(base) && known + offset >= 0 && known + offset < TWO_32) return known + offset
      // The same sum for all accesses through the register: engines compute it once.
      out.i32(known | 0)
      out.op(WASM.I32_ADD)
    }
    if (rest >= 0) return rest
    out.i32(rest)
    out.op(WASM.I32_ADD)
    return 0
  }
}
