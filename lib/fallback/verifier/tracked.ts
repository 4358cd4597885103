/** What is followed back on a path: registers and slots whose numbers count. */
import { CLASS, OP } from '../../isa/opcodes.js'
import type { Code } from './code.js'
import { FRAME_POINTER, MAX_FRAMES } from './state.js'
import { ALU } from './values/scalar-alu.js'

const ATOMIC_BITS = 0xe7
const ATOMIC_STORE = 0xc3

/** What is followed back: registers and slots, by frame. */
export class Tracked {
  frame = 0
  readonly registers = new Int32Array(MAX_FRAMES)
  /** Slots 0…31 and 32…63 of each frame in turn. */
  readonly slots = new Int32Array(2 * MAX_FRAMES)

  /** Frames behind it are emptied as they are entered. */
  reset(frame: number): void {
    this.frame = frame
    for (let i = 0; i <= frame; i++) this.empty(i)
  }

  empty(frame: number): void {
    this.registers[frame] = 0
    this.slots[2 * frame] = this.slots[2 * frame + 1] = 0
  }

  get isEmpty(): boolean {
    for (let i = 0; i <= this.frame; i++) {
      if (
        ((this.registers[i] as number) |
          (this.slots[2 * i] as number) |
          (this.slots[2 * i + 1] as number)) !==
        0
      )
        return false
    }
    return true
  }

  /** Registers of the frame at hand, as bits. */
  get mask(): number {
    return this.registers[this.frame] as number
  }
  set mask(registers: number) {
    this.registers[this.frame] = registers
  }

  /** What is followed in a frame. */
  in(frame: number): { registers: number; slotsLow: number; slotsHigh: number } {
    return {
      registers: this.registers[frame] as number,
      slotsLow: this.slots[2 * frame] as number,
      slotsHigh: this.slots[2 * frame + 1] as number,
    }
  }

  has(register: number): boolean {
    return ((this.registers[this.frame] as number) & (1 << register)) !== 0
  }

  set(register: number): void {
    this.setIn(this.frame, register)
  }

  setIn(frame: number, register: number): void {
    this.registers[frame] = (this.registers[frame] as number) | (1 << register)
  }

  clear(register: number): void {
    this.clearIn(this.frame, register)
  }

  clearIn(frame: number, register: number): void {
    this.registers[frame] = (this.registers[frame] as number) & ~(1 << register)
  }

  hasSlot(frame: number, slot: number): boolean {
    return ((this.slots[2 * frame + (slot >> 5)] as number) & (1 << (slot & 31))) !== 0
  }

  setSlot(frame: number, slot: number): void {
    const at = 2 * frame + (slot >> 5)
    this.slots[at] = (this.slots[at] as number) | (1 << (slot & 31))
  }

  clearSlot(frame: number, slot: number): void {
    const at = 2 * frame + (slot >> 5)
    this.slots[at] = (this.slots[at] as number) & ~(1 << (slot & 31))
  }

  /**
   * Undoes instructions that lie one behind the other, down to the one behind `special`, without those that concern more than registers of the
   * frame at hand. Of none of them the history tells anything.
   *
   * @returns the instruction that is next, which isn't undone; `insn` if that is it
   */
  stepBackTo(special: number, { opcode: opcodes, dst: targets, src: sources }: Code, insn: number): number {
    let mask = this.mask
    if (mask === 0) return insn
    let at = insn
    for (; at > special && mask !== 0; at--) {
      const opcode = opcodes[at] as number
      const dst = targets[at] as number
      const klass = opcode & 7
      if (klass === CLASS.ALU64 || klass === CLASS.ALU) {
        mask = beforeAlu(mask, dst, sources[at] as number, opcode)
      } else if (klass === CLASS.LDX || opcode === OP.LDDW) {
        // Nothing of the stack: the history would tell.
        mask &= ~(1 << dst)
      } else if (klass === CLASS.JMP || klass === CLASS.JMP32) {
        if (opcode === OP.CALL || opcode === OP.EXIT) break
        mask = beforeBranch(mask, dst, sources[at] as number, opcode)
      } else if (klass === CLASS.ST || klass === CLASS.STX) {
        // The base of a store is a pointer, which nobody follows.
        if ((mask & (1 << dst)) !== 0 || (opcode & ATOMIC_BITS) === ATOMIC_STORE) break
      } else if (opcode !== 0) break
    }
    this.mask = mask
    return at
  }
}

/** Registers that count before arithmetic, by those that count behind it. */
export function beforeAlu(mask: number, dst: number, src: number, opcode: number): number {
  const target = 1 << dst
  const operation = opcode & 0xf0
  if ((mask & target) === 0 || operation === ALU.END || operation === ALU.NEG) return mask
  const source = (opcode & 8) !== 0 && src !== FRAME_POINTER ? 1 << src : 0
  return (operation === ALU.MOV ? mask & ~target : mask) | source
}

/** Registers that count before a branch. Each operand was narrowed by the other; jumps that compare nothing have no such form. */
export function beforeBranch(mask: number, dst: number, src: number, opcode: number): number {
  const both = (1 << dst) | (1 << src)
  return (opcode & 8) !== 0 && (mask & both) !== 0 ? mask | both : mask
}
