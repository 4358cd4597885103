/** A program as engines read it: words straight from the code, no object per instruction. */
import { BpfError } from '../../errors.js'
import { SLOT } from '../../isa/instruction.js'
import { CLASS, MOV_OFFSET, OP, PSEUDO_CALL, PSEUDO_LDDW, opcodeInfo } from '../../isa/opcodes.js'
import type { AddressCasts } from './types.js'

/** How control leaves a slot. */
export const FLOW = { NEXT: 0, BRANCH: 1, JUMP: 2, EXIT: 3, TRAP: 4 } as const

export const CALL_REGISTER_OPCODE = 0x8d
const LAST_REGISTER = 10

/** What each opcode needs to be sound, as bits. */
const KNOWN = 1
const SOURCE = 2
const BRANCH = 4
const PLAIN = 8

const PROPERTIES = Uint8Array.from({ length: 256 }, (_, opcode) => {
  const info = opcodeInfo(opcode)
  if (info === undefined) return 0
  const branch = info.kind === 'jump' || info.kind === 'may_goto' ? BRANCH : 0
  const special = ['mov', 'end', 'bswap', 'ja', 'call', 'exit', 'lddw'].includes(info.kind)
  return (
    KNOWN | branch | (info.register || info.kind === 'load' ? SOURCE : 0) | (special || branch ? 0 : PLAIN)
  )
})

export class Slots {
  readonly count: number
  /** Two words a slot: opcode, registers and offset; the immediate. */
  readonly words: Int32Array
  /** 1 for the second slot of a 64-bit immediate load. */
  readonly #second: Uint8Array

  /** @param casts what address space casts do; undefined: there are none */
  constructor(
    code: Uint8Array,
    readonly casts?: AddressCasts,
  ) {
    if (code.length % SLOT !== 0)
      throw new BpfError('BAD_OBJECT', `program code is ${code.length} bytes: not a multiple of ${SLOT}`)
    this.count = code.length / SLOT
    const aligned = code.byteOffset % 4 === 0 ? code : code.slice()
    this.words = new Int32Array(aligned.buffer, aligned.byteOffset, this.count * 2)
    this.#second = new Uint8Array(this.count + 1)
    for (let slot = 0; slot < this.count; slot++) if (this.opcode(slot) === OP.LDDW) this.#second[++slot] = 1
  }

  opcode(slot: number): number {
    return (this.words[2 * slot] ?? 0) & 0xff
  }
  dst(slot: number): number {
    return ((this.words[2 * slot] ?? 0) >> 8) & 15
  }
  src(slot: number): number {
    return ((this.words[2 * slot] ?? 0) >> 12) & 15
  }
  /** Signed 16 bits. */
  offset(slot: number): number {
    return (this.words[2 * slot] ?? 0) >> 16
  }
  imm(slot: number): number {
    return this.words[2 * slot + 1] ?? 0
  }

  /** Where a jump or branch at a slot leads. */
  target(slot: number): number {
    return slot + 1 + (this.opcode(slot) === OP.JA32 ? this.imm(slot) : this.offset(slot))
  }

  /** Where a local call or the address of a function leads. */
  callee(slot: number): number {
    return slot + 1 + this.imm(slot)
  }

  /** Slots of the instruction. */
  length(slot: number): number {
    return this.opcode(slot) === OP.LDDW ? 2 : 1
  }

  /** One of FLOW. What predecode.ts makes a trap of is one here. */
  flow(slot: number): number {
    if (slot >= this.count || this.#second[slot] === 1) return FLOW.TRAP
    const opcode = this.opcode(slot)
    const properties = PROPERTIES[opcode] ?? 0
    const dst = this.dst(slot)
    if (dst > LAST_REGISTER) return FLOW.TRAP
    if ((properties & KNOWN) === 0) return opcode === CALL_REGISTER_OPCODE ? FLOW.NEXT : FLOW.TRAP
    const src = this.src(slot)
    if ((properties & SOURCE) !== 0 && src > LAST_REGISTER) return FLOW.TRAP
    if ((properties & PLAIN) !== 0) return FLOW.NEXT
    if ((properties & BRANCH) !== 0) return this.#inside(this.target(slot)) ? FLOW.BRANCH : FLOW.TRAP
    switch (opcode) {
      case OP.EXIT:
        return FLOW.EXIT
      case OP.JA:
      case OP.JA32:
        return this.#inside(this.target(slot)) ? FLOW.JUMP : FLOW.TRAP
      case OP.CALL:
        if (src === PSEUDO_CALL.HELPER) return FLOW.NEXT
        return src === PSEUDO_CALL.LOCAL && this.#inside(this.callee(slot)) ? FLOW.NEXT : FLOW.TRAP
      case OP.LDDW:
        if (slot + 1 >= this.count || this.opcode(slot + 1) !== 0) return FLOW.TRAP
        return src === PSEUDO_LDDW.IMM || src === PSEUDO_LDDW.FUNC ? FLOW.NEXT : FLOW.TRAP
      default:
        return this.#isMoveOrSwap(slot, opcode) ? FLOW.NEXT : FLOW.TRAP
    }
  }

  #isMoveOrSwap(slot: number, opcode: number): boolean {
    if (opcode === OP.LE || opcode === OP.BE || opcode === OP.BSWAP) {
      const bits = this.imm(slot)
      return bits === 16 || bits === 32 || bits === 64
    }
    const offset = this.offset(slot)
    if (offset === 0) return true
    if (opcode === OP.MOV32_REG) return offset === 8 || offset === 16
    if (opcode !== OP.MOV64_REG) return false
    return (
      offset === 8 ||
      offset === 16 ||
      offset === 32 ||
      (this.casts !== undefined && offset === MOV_OFFSET.ADDR_SPACE_CAST)
    )
  }

  #inside(slot: number): boolean {
    return slot >= 0 && slot < this.count
  }

  /** Whether an instruction changes its destination register, and no other than r0 and those. */
  writesDestination(slot: number): boolean {
    const opcode = this.opcode(slot)
    const klass = opcode & 7
    return klass === CLASS.ALU || klass === CLASS.ALU64 || klass === CLASS.LDX || opcode === OP.LDDW
  }
}

/** Whether an instruction is one of those that select-calls.ts selects. */
export function isCall(opcode: number): boolean {
  return opcode === OP.CALL || opcode === CALL_REGISTER_OPCODE
}

/** Whether an instruction loads from a packet. */
export function isPacketLoad(opcode: number): boolean {
  return (opcode & 7) === CLASS.LD && opcode !== OP.LDDW
}
