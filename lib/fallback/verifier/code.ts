/** A program's instructions as columns, and what follows from an instruction's form alone. */
import type { Instruction } from '../../isa/instruction.js'
import { iteratorPart, type Kfunc, kfuncNamed } from '../../linux/kfuncs.js'
import { CLASS, OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../isa/opcodes.js'

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

export class Code {
  readonly length: number
  readonly opcode: Uint8Array
  readonly dst: Uint8Array
  readonly src: Uint8Array
  readonly offset: Int16Array
  readonly imm: Int32Array

  /** Functions of the kernel that are called, by slot. */
  private readonly kfuncs: readonly (Kfunc | undefined)[]
  private readonly iteratorNext: Uint8Array

  /** @param kfuncs names of the kernel's functions that are called, by slot */
  constructor(
    readonly instructions: readonly Instruction[],
    kfuncs: ReadonlyMap<number, string> = new Map(),
  ) {
    const { length } = instructions
    this.length = length
    this.opcode = new Uint8Array(length)
    this.dst = new Uint8Array(length)
    this.src = new Uint8Array(length)
    this.offset = new Int16Array(length)
    this.imm = new Int32Array(length)
    instructions.forEach((instruction, slot) => {
      this.opcode[slot] = instruction.opcode
      this.dst[slot] = instruction.dst
      this.src[slot] = instruction.src
      this.offset[slot] = instruction.offset
      this.imm[slot] = instruction.imm
    })
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
    return this.isHelperCall(slot) && SYNC_CALLBACKS.has(this.immAt(slot))
  }

  callsAsyncCallback(slot: number): boolean {
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

  /** Calls `visit` with the slots that may come next within the function. */
  successors(slot: number, visit: (next: number) => void): void {
    if (this.isExit(slot)) return
    if (this.isGoto(slot)) return visit(slot + 1 + this.jumpOffset(slot))
    visit(slot + (this.isWide(slot) ? 2 : 1))
    if (this.isJump(slot)) visit(slot + 1 + this.jumpOffset(slot))
  }
}
