/** Helpers that compiled programs do without a call: what is a word of the kernel's, and look-ups in maps that are known when a program is compiled. */
import { ITER_NUM_NEXT } from '../../kfunc-ids.js'
import { KERNEL_WORD } from '../../kernel-words.js'
import { Access, KERNEL_HI } from '../../memory.js'
import type { ArrayLayout, HashLayout } from '../../maps/layout.js'
import { lookupRoutine } from './hash-lookup.js'
import type { IntrinsicTables } from './intrinsic-tables.js'
import { TYPE, WASM } from './opcodes.js'
import { ASK_JAVASCRIPT, COMMIT_BITS, commitRoutine, reserveRoutine, wakesRoutine } from './ring-routines.js'
import type { Routines } from './routines.js'
import { Selector, type FunctionParts } from './selector.js'

export const MAP_LOOKUP = 1
const KTIME_GET_NS = 5
const GET_PRANDOM = 7
const GET_PROCESSOR = 8
const GET_PID_TGID = 14
const GET_UID_GID = 15
const KTIME_GET_BOOT_NS = 125
const KTIME_GET_COARSE_NS = 160
const RING_OUTPUT = 130
const RING_RESERVE = 131
const RING_SUBMIT = 132
const RING_DISCARD = 133
/** RB_NO_WAKEUP and RB_FORCE_WAKEUP. */
const WAKEUP_FLAGS = 3

export class Intrinsics extends Selector {
  readonly #tables: IntrinsicTables | undefined
  readonly #routines: Routines

  constructor(parts: FunctionParts, tables: IntrinsicTables | undefined, routines: Routines) {
    super(parts)
    this.#tables = tables
    this.#routines = routines
  }

  /** Whether helper ids are Linux's: tests may have helpers of their own. */
  get areLinuxs(): boolean {
    return this.#tables !== undefined
  }

  /** Writes what a helper does. @param call writes the call of it in JavaScript @returns false where it takes a call alone */
  select(slot: number, helper: number, call: () => void): boolean {
    if (this.#tables === undefined) return false
    const { keepsWords, keepsClock } = this.#tables
    switch (helper) {
      case MAP_LOOKUP:
        return this.#lookup(slot)
      case KTIME_GET_NS:
      case KTIME_GET_BOOT_NS:
      case KTIME_GET_COARSE_NS:
        return keepsClock && this.#word(WASM.I64_LOAD, 3, KERNEL_WORD.CLOCK)
      case GET_PROCESSOR:
        return keepsWords && this.#word(WASM.I64_LOAD32_U, 2, KERNEL_WORD.CPU)
      case GET_PID_TGID:
        return keepsWords && this.#word(WASM.I64_LOAD, 3, KERNEL_WORD.TASK)
      case GET_UID_GID:
        return keepsWords && this.#word(WASM.I64_LOAD, 3, KERNEL_WORD.USER)
      case GET_PRANDOM:
        return keepsWords && this.#random()
      case RING_RESERVE:
        return keepsWords && this.#reserve(call)
      case RING_SUBMIT:
        return keepsWords && this.#commit(COMMIT_BITS.SUBMIT, call)
      case RING_DISCARD:
        return keepsWords && this.#commit(COMMIT_BITS.DISCARD, call)
      case RING_OUTPUT:
        return keepsWords && this.#output(call)
      case ITER_NUM_NEXT:
        return this.#nextNumber()
      default:
        return false
    }
  }

  #word(load: number, alignment: number, offset: number): boolean {
    this.out.i32(0)
    this.out.memory(load, alignment, offset)
    this.out.set(this.#result)
    return true
  }

  get #result(): number {
    return this.locals.registers[0] ?? 0
  }

  /** As Random of random.ts does. */
  #random(): boolean {
    const out = this.out
    const { address } = this.locals
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
    const map = this.facts.kernelAddress(1)
    const layout = map < 0 ? undefined : this.#tables?.mapAt(map)
    if (layout === undefined || layout.kind === 'ring') return false
    const { keySize } = layout
    const isKnown = this.facts.isInStack(2, 0, keySize)
    if (!isKnown && keySize !== 4 && keySize !== 8) return false
    this.checks.check(slot, 2, 0, keySize, Access.read, 'in place')
    if (layout.kind === 'array') this.#arrayLookup(layout)
    else this.#hashLookup(layout)
    this.facts.pointToValue(0, layout.valueSize, layout.access)
    return true
  }

  /** Leaves the key's address. @returns what a load is to add */
  #key(): number {
    const inStack = this.facts.stackOffset(2, 0)
    if (inStack >= 0) {
      this.out.get(this.locals.stack)
      return inStack
    }
    this.out.get(this.locals.registers[2] ?? 0)
    this.out.op(WASM.I32_WRAP_I64)
    return 0
  }

  #arrayLookup({ base, stride, maxEntries, perCpuStride }: ArrayLayout): void {
    const out = this.out
    const { address } = this.locals
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
    const out = this.out
    const { address } = this.locals
    const offset = this.#key()
    if (offset > 0) {
      out.i32(offset)
      out.op(WASM.I32_ADD)
    }
    out.opIndex(WASM.CALL, lookupRoutine(this.#routines, layout))
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
    this.out.op(WASM.I64_EXTEND_I32_U)
    this.out.i64Halves(0, KERNEL_HI)
    this.out.op(WASM.I64_OR)
  }

  #addCpu(stride: number): void {
    if (stride === 0) return
    const out = this.out
    out.i32(0)
    out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.CPU)
    out.i32(stride)
    out.op(WASM.I32_MUL)
    out.op(WASM.I32_ADD)
  }

  /** Address of the words of the ring buffer that is surely in r1; -1: there is none, or it isn't known. */
  get #ring(): number {
    const map = this.facts.kernelAddress(1)
    const layout = map < 0 ? undefined : this.#tables?.mapAt(map)
    return layout?.kind === 'ring' ? layout.control : -1
  }

  #reserve(call: () => void): boolean {
    const out = this.out
    const ring = this.#ring
    if (ring < 0) return false
    const { address } = this.locals
    out.open(WASM.BLOCK, TYPE.EMPTY)
    // A size beyond 32 bits, or flags: there is no record.
    out.get(this.register(2))
    out.i64(32)
    out.op(WASM.I64_SHR_U)
    out.get(this.register(3))
    out.op(WASM.I64_OR)
    out.op(WASM.I64_EQZ)
    out.open(WASM.IF, TYPE.I32)
    out.i32(ring)
    this.#narrow(2)
    out.opIndex(WASM.CALL, reserveRoutine(this.#routines))
    out.op(WASM.ELSE)
    out.i32(0)
    out.op(WASM.END)
    out.tee(address)
    out.i32(ASK_JAVASCRIPT)
    out.op(WASM.I32_EQ)
    out.open(WASM.IF, TYPE.EMPTY)
    call()
    out.opIndex(WASM.BR, 1)
    out.op(WASM.END)
    out.get(address)
    this.#tag()
    out.i64(0)
    out.get(address)
    out.op(WASM.SELECT)
    out.set(this.#result)
    out.op(WASM.END)
    return true
  }

  #commit(bits: number, call: () => void): boolean {
    const out = this.out
    out.open(WASM.BLOCK, TYPE.EMPTY)
    out.get(this.register(1))
    out.i64(32)
    out.op(WASM.I64_SHR_U)
    out.op(WASM.I32_WRAP_I64)
    out.i32(KERNEL_HI)
    out.op(WASM.I32_EQ)
    out.open(WASM.IF, TYPE.EMPTY)
    this.#narrow(1)
    this.#narrow(2)
    out.i32(bits)
    out.opIndex(WASM.CALL, commitRoutine(this.#routines))
    out.open(WASM.IF, TYPE.EMPTY)
    out.i64(0)
    out.set(this.#result)
    out.opIndex(WASM.BR, 2)
    out.op(WASM.END)
    out.op(WASM.END)
    call()
    out.op(WASM.END)
    this.facts.forgetRights()
    return true
  }

  /** Of bytes that surely lie in the stack: reserves, copies and commits. */
  #output(call: () => void): boolean {
    const out = this.out
    const ring = this.#ring
    const size = this.facts.number(3)
    if (ring < 0 || size < 1 || !this.facts.isInStack(2, 0, size)) return false
    const { address, stack } = this.locals
    out.open(WASM.BLOCK, TYPE.EMPTY)
    out.get(this.register(4))
    out.i64(WAKEUP_FLAGS)
    out.op(WASM.I64_LE_U)
    out.open(WASM.IF, TYPE.EMPTY)
    out.i32(ring)
    this.#narrow(4)
    out.opIndex(WASM.CALL, wakesRoutine(this.#routines))
    out.op(WASM.I32_EQZ)
    out.open(WASM.IF, TYPE.EMPTY)
    out.i32(ring)
    out.i32(size)
    out.opIndex(WASM.CALL, reserveRoutine(this.#routines))
    out.tee(address)
    out.i32(ASK_JAVASCRIPT)
    out.op(WASM.I32_GT_U)
    out.open(WASM.IF, TYPE.EMPTY)
    out.get(address)
    out.get(stack)
    out.i32(this.facts.stackOffset(2, 0))
    out.op(WASM.I32_ADD)
    out.i32(size)
    out.copyBytes()
    out.get(address)
    this.#narrow(4)
    out.i32(COMMIT_BITS.SUBMIT)
    out.opIndex(WASM.CALL, commitRoutine(this.#routines))
    out.op(WASM.DROP)
    out.i64(0)
    out.set(this.#result)
    out.opIndex(WASM.BR, 3)
    out.op(WASM.END)
    out.op(WASM.END)
    out.op(WASM.END)
    // Also where there is no room: JavaScript finds that again.
    call()
    out.op(WASM.END)
    return true
  }

  /** bpf_iter_num_next() of an iterator that surely lies in the stack. */
  #nextNumber(): boolean {
    const facts = this.facts
    if (!facts.isInStack(1, 0, 8)) return false
    const out = this.out
    const { address, stack } = this.locals
    const at = facts.stackOffset(1, 0)
    out.get(stack)
    out.memory(WASM.I32_LOAD, 2, at)
    out.i32(1)
    out.op(WASM.I32_ADD)
    out.tee(address)
    out.get(stack)
    out.memory(WASM.I32_LOAD, 2, at + 4)
    out.op(WASM.I32_LT_S)
    out.open(WASM.IF, TYPE.EMPTY)
    out.get(stack)
    out.get(address)
    out.memory(WASM.I32_STORE, 2, at)
    out.get(this.register(1))
    out.set(this.#result)
    out.op(WASM.ELSE)
    out.get(stack)
    out.i64(0)
    out.memory(WASM.I64_STORE, 2, at)
    out.i64(0)
    out.set(this.#result)
    out.op(WASM.END)
    return true
  }

  /** Leaves the low half of an argument. */
  #narrow(argument: number): void {
    this.out.get(this.register(argument))
    this.out.op(WASM.I32_WRAP_I64)
  }
}
