/** Helpers that compiled programs do without a call: what is a word of the kernel's, and look-ups in maps that are known when a program is compiled. */
import { KERNEL_WORD } from '../../kernel-words.js'
import { Access, KERNEL_HI } from '../../memory.js'
import type { ArrayLayout, HashLayout } from '../../maps/layout.js'
import type { Checks } from './checks.js'
import type { CodeBuffer } from './code-buffer.js'
import type { Facts } from './facts.js'
import type { HashLookups } from './hash-lookup.js'
import type { IntrinsicTables } from './intrinsic-tables.js'
import type { Locals } from './locals.js'
import { WASM } from './opcodes.js'

const MAP_LOOKUP = 1
const KTIME_GET_NS = 5
const GET_PRANDOM = 7
const GET_PROCESSOR = 8
const KTIME_GET_BOOT_NS = 125

export class Intrinsics {
  readonly #out: CodeBuffer
  readonly #locals: Locals
  readonly #checks: Checks
  readonly #facts: Facts
  readonly #tables: IntrinsicTables | undefined
  readonly #hashes: HashLookups

  constructor(
    out: CodeBuffer,
    locals: Locals,
    checks: Checks,
    facts: Facts,
    tables: IntrinsicTables | undefined,
    hashes: HashLookups,
  ) {
    this.#out = out
    this.#locals = locals
    this.#checks = checks
    this.#facts = facts
    this.#tables = tables
    this.#hashes = hashes
  }

  /** Whether helper ids are Linux's: tests may have helpers of their own. */
  get areLinuxs(): boolean {
    return this.#tables !== undefined
  }

  /** Writes what a helper does. @returns false where it takes a call */
  select(slot: number, helper: number): boolean {
    if (this.#tables === undefined) return false
    const { keepsWords, keepsClock } = this.#tables
    switch (helper) {
      case MAP_LOOKUP:
        return this.#lookup(slot)
      case KTIME_GET_NS:
      case KTIME_GET_BOOT_NS:
        return keepsClock && this.#word(WASM.I64_LOAD, 3, KERNEL_WORD.CLOCK)
      case GET_PROCESSOR:
        return keepsWords && this.#word(WASM.I64_LOAD32_U, 2, KERNEL_WORD.CPU)
      case GET_PRANDOM:
        return keepsWords && this.#random()
      default:
        return false
    }
  }

  #word(load: number, alignment: number, offset: number): boolean {
    this.#out.i32(0)
    this.#out.memory(load, alignment, offset)
    this.#out.set(this.#result)
    return true
  }

  get #result(): number {
    return this.#locals.registers[0] ?? 0
  }

  /** As Random of random.ts does. */
  #random(): boolean {
    const out = this.#out
    const { address } = this.#locals
    const mix = (shift: number, distance: number): void => {
      out.get(address)
      out.get(address)
      out.i32(distance)
      out.op(shift)
      out.op(WASM.I32_XOR)
      out.set(address)
    }
    out.i32(0)
    out.i32(0)
    out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.RANDOM)
    out.set(address)
    mix(WASM.I32_SHL, 13)
    mix(WASM.I32_SHR_U, 17)
    mix(WASM.I32_SHL, 5)
    out.get(address)
    out.memory(WASM.I32_STORE, 2, KERNEL_WORD.RANDOM)
    out.get(address)
    out.op(WASM.I64_EXTEND_I32_U)
    out.set(this.#result)
    return true
  }

  #lookup(slot: number): boolean {
    const map = this.#facts.kernelAddress(1)
    const layout = map < 0 ? undefined : this.#tables?.mapAt(map)
    if (layout === undefined) return false
    const { keySize } = layout
    const isKnown = this.#facts.isInStack(2, 0, keySize)
    if (!isKnown && keySize !== 4 && keySize !== 8) return false
    this.#checks.check(slot, 2, 0, keySize, Access.read, false)
    if (layout.kind === 'array') this.#arrayLookup(layout)
    else this.#hashLookup(layout)
    this.#facts.pointToValue(0, layout.valueSize, layout.access)
    return true
  }

  /** Leaves the key's address. @returns what a load is to add */
  #key(): number {
    const inStack = this.#facts.stackOffset(2, 0)
    if (inStack >= 0) {
      this.#out.get(this.#locals.stack)
      return inStack
    }
    this.#out.get(this.#locals.registers[2] ?? 0)
    this.#out.op(WASM.I32_WRAP_I64)
    return 0
  }

  #arrayLookup({ base, stride, maxEntries, perCpuStride }: ArrayLayout): void {
    const out = this.#out
    const { address } = this.#locals
    out.memory(WASM.I32_LOAD, 2, this.#key())
    out.set(address)
    out.get(address)
    out.i32(stride)
    out.op(WASM.I32_MUL)
    out.i32(base)
    out.op(WASM.I32_ADD)
    this.#addCpu(perCpuStride)
    this.#tag()
    out.i64(0)
    out.get(address)
    out.i32(maxEntries)
    out.op(WASM.I32_LT_U)
    out.op(WASM.SELECT)
    out.set(this.#result)
  }

  #hashLookup(layout: HashLayout): void {
    const out = this.#out
    const { address } = this.#locals
    const offset = this.#key()
    if (offset > 0) {
      out.i32(offset)
      out.op(WASM.I32_ADD)
    }
    out.opIndex(WASM.CALL, this.#hashes.indexFor(layout))
    out.tee(address)
    this.#addCpu(layout.perCpuStride)
    this.#tag()
    out.i64(0)
    out.get(address)
    out.op(WASM.SELECT)
    out.set(this.#result)
  }

  /** Makes a pointer of the i32 on the stack. */
  #tag(): void {
    this.#out.op(WASM.I64_EXTEND_I32_U)
    this.#out.i64Halves(0, KERNEL_HI)
    this.#out.op(WASM.I64_OR)
  }

  #addCpu(stride: number): void {
    if (stride === 0) return
    const out = this.#out
    out.i32(0)
    out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.CPU)
    out.i32(stride)
    out.op(WASM.I32_MUL)
    out.op(WASM.I32_ADD)
  }
}
