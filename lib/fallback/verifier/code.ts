/** A program's instructions as columns, and what follows from an instruction's form alone. */
import { SLOT, slotCount } from '../../isa/instruction.js'
import { iteratorPart, type Kfunc, kfuncNamed } from '../../linux/kfuncs.js'
import { CLASS, OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../isa/opcodes.js'
import { type Edges, edgesOf } from './edges.js'

/** Helpers by the callbacks that they run: at once, maybe several times, or later on their own. */
const HELPER = {
  TIMER_SET_CALLBACK: 170,
  FOR_EACH_MAP_ELEM: 164,
  FIND_VMA: 180,
  LOOP: 181,
  USER_RINGBUF_DRAIN: 209,
} as const
const SYNC_CALLBACKS: ReadonlySet<number> = new Set([
  HELPER.FOR_EACH_MAP_ELEM,
  HELPER.FIND_VMA,
  HELPER.LOOP,
  HELPER.USER_RINGBUF_DRAIN,
])

/** The same among the kernel's functions. */
const TREE_INSERT = 'bpf_rbtree_add_impl'
const ASYNC_CALLBACKS: ReadonlySet<string> = new Set([
  'bpf_wq_set_callback_impl',
  'bpf_task_work_schedule_signal_impl',
  'bpf_task_work_schedule_resume_impl',
])

export class Code {
  readonly length: number
  readonly opcode: Uint8Array
  readonly dst: Uint8Array
  readonly src: Uint8Array
  readonly offset: Int16Array
  readonly imm: Int32Array
  private knownEdges: Edges | undefined = undefined

  /** Functions of the kernel that are called, by slot. */
  private readonly kfuncs: readonly (Kfunc | undefined)[]
  private readonly iteratorNext: Uint8Array

  /** @param kfuncs names of the kernel's functions that are called, by slot */
  constructor(code: Uint8Array, kfuncs: ReadonlyMap<number, string> = new Map()) {
    const length = slotCount(code)
    this.length = length
    this.opcode = new Uint8Array(length)
    this.dst = new Uint8Array(length)
    this.src = new Uint8Array(length)
    this.offset = new Int16Array(length)
    this.imm = new Int32Array(length)
    const view = new DataView(code.buffer, code.byteOffset, code.byteLength)
    for (let slot = 0; slot < length; slot++) {
      const at = slot * SLOT
      const registers = code[at + 1] as number
      this.opcode[slot] = code[at] as number
      this.dst[slot] = registers & 0x0f
      this.src[slot] = registers >> 4
      this.offset[slot] = view.getInt16(at + 2, true)
      this.imm[slot] = view.getInt32(at + 4, true)
    }
    const known: (Kfunc | undefined)[] = []
    this.kfuncs = known
    this.iteratorNext = new Uint8Array(length)
    for (const [slot, name] of kfuncs) {
      known[slot] = kfuncNamed(name)
      if (iteratorPart(name)?.part === 'next') this.iteratorNext[slot] = 1
    }
  }

  /** Fields of an instruction that exists. */
  opcodeAt(slot: number): number {
    return this.opcode[slot] as number
  }

  offsetAt(slot: number): number {
    return this.offset[slot] as number
  }

  immAt(slot: number): number {
    return this.imm[slot] as number
  }

  dstAt(slot: number): number {
    return this.dst[slot] as number
  }

  srcAt(slot: number): number {
    return this.src[slot] as number
  }

  /** Bytes of code between a jump's next instruction and its target, in slots. */
  jumpOffset(slot: number): number {
    return this.opcode[slot] === OP.JA32 ? (this.imm[slot] as number) : (this.offset[slot] as number)
  }

  isWide(slot: number): boolean {
    return this.opcode[slot] === OP.LDDW
  }

  isLocalCall(slot: number): boolean {
    return this.opcode[slot] === OP.CALL && this.src[slot] === PSEUDO_CALL.LOCAL
  }

  isHelperCall(slot: number): boolean {
    return this.opcode[slot] === OP.CALL && this.src[slot] === PSEUDO_CALL.HELPER
  }

  isKfuncCall(slot: number): boolean {
    return this.opcode[slot] === OP.CALL && this.src[slot] === PSEUDO_CALL.KFUNC
  }

  /** The kernel's function that is called; undefined: none, or one that isn't known. */
  kfuncAt(slot: number): Kfunc | undefined {
    return this.kfuncs[slot]
  }

  isIteratorNext(slot: number): boolean {
    return this.iteratorNext[slot] === 1
  }

  /** Loads the address of a function: a callback's. */
  isFunctionAddress(slot: number): boolean {
    return this.opcode[slot] === OP.LDDW && this.src[slot] === PSEUDO_LDDW.FUNC
  }

  callsCallback(slot: number): boolean {
    if (this.isKfuncCall(slot)) return this.kfuncs[slot]?.name === TREE_INSERT
    return this.isHelperCall(slot) && SYNC_CALLBACKS.has(this.immAt(slot))
  }

  callsAsyncCallback(slot: number): boolean {
    if (this.isKfuncCall(slot)) return ASYNC_CALLBACKS.has(this.kfuncs[slot]?.name ?? '')
    return this.isHelperCall(slot) && this.imm[slot] === HELPER.TIMER_SET_CALLBACK
  }

  isMayGoto(slot: number): boolean {
    return this.opcode[slot] === OP.MAY_GOTO
  }

  /** Whether it is a jump with a target: all of class JMP and JMP32 save calls and exits. */
  isJump(slot: number): boolean {
    const opcode = this.opcodeAt(slot)
    const klass = opcode & 7
    const operation = opcode & 0xf0
    return (klass === CLASS.JMP || klass === CLASS.JMP32) && operation !== 0x80 && operation !== 0x90
  }

  isGoto(slot: number): boolean {
    const opcode = this.opcode[slot]
    return opcode === OP.JA || opcode === OP.JA32
  }

  isExit(slot: number): boolean {
    return this.opcode[slot] === OP.EXIT
  }

  get edges(): Edges {
    return (this.knownEdges ??= edgesOf(this))
  }

  /** Whether it jumps to itself or an instruction before it: without any, there is no loop. */
  jumpsBack(slot: number): boolean {
    return this.isJump(slot) && this.jumpOffset(slot) < 0
  }

  /** The slot that comes next within the function, or to which an unconditional jump leads; -1: none. */
  nextOf(slot: number): number {
    const opcode = this.opcodeAt(slot)
    if (opcode === OP.EXIT) return -1
    if (opcode === OP.JA || opcode === OP.JA32) return slot + 1 + this.jumpOffset(slot)
    return slot + (opcode === OP.LDDW ? 2 : 1)
  }

  /** The slot to which a conditional jump leads; -1: it is none. */
  branchOf(slot: number): number {
    return this.isJump(slot) && !this.isGoto(slot) ? slot + 1 + this.offsetAt(slot) : -1
  }
}
