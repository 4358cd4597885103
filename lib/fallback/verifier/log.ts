/**
 * What the verifier tells of its way, in the format of Linux 6.18's log, so that what reads the one reads the other.
 *
 * Level 1 keeps the path that led to the refusal: where a path ends well, its lines go. Level 2 keeps all paths.
 */
import { disassemble } from '../../isa/disassemble.js'
import { decode, SLOT, type Instruction } from '../../isa/instruction.js'
import type { LineInfo } from '../../object-file/types.js'
import { stateText } from './state-text.js'
import type { State } from './state.js'
import { touchedRegisters } from './touched-registers.js'

/** BPF_LOG_LEVEL1, BPF_LOG_LEVEL2 and BPF_LOG_STATS of Linux. */
export const LOG_LEVEL = { PATH: 1, ALL: 2, STATS: 4 } as const

export interface LogOptions {
  /** Bits of {@link LOG_LEVEL}. */
  readonly level: number
  /** Source lines by instruction, in order; offsets in bytes. */
  readonly lines: readonly LineInfo[]
}

/** What a log has room for; then the oldest lines go, as they do in Linux. */
const MAX_CHARACTERS = 16 << 20

/** Where verification stands. */
interface Place {
  readonly insn: number
  readonly state: State
}

const TAB = 8
/** Instructions that are shorter have their state in one column. */
const USUAL_WIDTH = 40

/** Column at which the state stands behind an instruction: its semicolon's. */
function stateColumn({ length }: string): number {
  return Math.ceil(Math.max(length + 1 + TAB / 2, USUAL_WIDTH) / TAB) * TAB - 2
}

export class VerifierLog {
  readonly #instructions: readonly Instruction[]
  readonly #lineAt: ReadonlyMap<number, LineInfo>
  readonly #keepsAll: boolean
  /** Names of the kernel's functions that are called, by slot. */
  readonly #kfuncs: ReadonlyMap<number, string>
  #lines: string[] = []
  #dropped = 0
  #characters = 0
  /** What the reader doesn't know yet: registers and slots that were read or written since their state was told. */
  #touched = { registers: 0, slotsLow: 0, slotsHigh: 0 }
  /** The last line is the instruction at hand: its state may stand behind it. */
  #isOpen = false
  /** The path comes from elsewhere: its whole state is told. */
  #arrivesFrom: number | undefined
  #source: LineInfo | undefined

  constructor(
    code: Uint8Array,
    { level, lines }: LogOptions,
    kfuncs: ReadonlyMap<number, string> = new Map(),
  ) {
    this.#kfuncs = kfuncs
    this.#instructions = decode(code)
    this.#keepsAll = (level & LOG_LEVEL.ALL) !== 0
    this.#lineAt = new Map(lines.map((line) => [line.offset / SLOT, line]))
  }

  /** Itself at level 2, for what is told there alone. */
  get detailed(): VerifierLog | undefined {
    return this.#keepsAll ? this : undefined
  }

  /** To come back to, when a branch that waits is followed. */
  get position(): number {
    return this.#dropped + this.#lines.length
  }

  get text(): string {
    return this.#lines.map((line) => `${line}\n`).join('')
  }

  /** A function's verification starts, or has ended well. */
  restart(): void {
    if (!this.#keepsAll) this.#truncate(0)
    this.#arrivesFrom = undefined
    this.#startPath()
  }

  /** A branch is followed that waited since `position`. */
  branch(from: number, position: number): void {
    if (!this.#keepsAll) this.#truncate(position)
    this.#arrivesFrom = from
    this.#startPath()
  }

  #startPath(): void {
    this.#isOpen = false
    this.#source = undefined
    this.touchAll()
  }

  /** Whatever is known at the next instruction is new. */
  touchAll(): void {
    this.#touched = { registers: -1, slotsLow: -1, slotsHigh: -1 }
  }

  /** A slot of the stack was read or written. */
  touchSlot(slot: number): void {
    if (slot < 32) this.#touched.slotsLow |= 1 << slot
    else this.#touched.slotsHigh |= 1 << (slot & 31)
  }

  /** The path is covered by another one. */
  covered({ state, insn }: Place): void {
    this.remark(this.#arrivesFrom === undefined ? `${insn}: safe` : `\n${this.#arrival(state, insn)} safe`)
  }

  /** An instruction is about to be simulated. */
  instruction(place: Place): void {
    const { insn } = place
    this.#tellArrival(place)
    if (this.#hasTouched) this.#tellState(place)
    const line = this.#lineAt.get(insn)
    if (line !== undefined && !isSameLine(line, this.#source)) {
      this.#source = line
      this.#push(`; ${line.text.trim()} @ ${line.file.replace(/^.*\//, '')}:${line.line}`)
    }
    const instruction = this.#instructions[insn]
    if (instruction === undefined) return
    this.#push(`${insn}: ${this.instructionText(insn)}`)
    this.#isOpen = true
    this.#touched.registers = touchedRegisters(instruction)
  }

  /** `(b7) r0 = 0` */
  instructionText(insn: number): string {
    const instruction = this.#instructions[insn]
    if (instruction === undefined) return ''
    const opcode = instruction.opcode.toString(16).padStart(2, '0')
    const kfunc = this.#kfuncs.get(insn)
    if (kfunc !== undefined) return `(${opcode}) call ${kfunc}#${instruction.imm}`
    const text = disassemble(instruction, this.#instructions[insn + 1])
    return text.startsWith('BUG_') ? text : `(${opcode}) ${text}`
  }

  /** A branch was decided, or forked: what is known now is told at once. */
  branched(place: Place): void {
    this.#tellState(place)
  }

  /** A function was called. */
  called(state: State): void {
    const callee = state.frames.length - 1
    this.remark('caller:', stateText(state, callee - 1), 'callee:', stateText(state, callee))
    this.touchAll()
  }

  /** The function at hand is about to return to `insn`. @param from undefined: where it comes from isn't told */
  returned(state: State, from: number | undefined, insn: number): void {
    const callee = state.frames.length - 1
    this.remark('returning from callee:', stateText(state, callee))
    this.remark(`to caller at ${insn}:`, stateText(state, callee - 1))
    if (this.#keepsAll) this.#arrivesFrom = from
  }

  /** Something that is said between instructions. */
  remark(...lines: readonly string[]): void {
    for (const line of lines) this.#push(line)
    this.#isOpen = false
  }

  get #hasTouched(): boolean {
    const { registers, slotsLow, slotsHigh } = this.#touched
    return (registers | slotsLow | slotsHigh) !== 0
  }

  #tellArrival({ state, insn }: Place): void {
    if (this.#arrivesFrom === undefined) return
    this.remark(`\n${this.#arrival(state, insn)}${stateText(state, state.frames.length - 1)}`)
    this.#arrivesFrom = undefined
    // Level 2 tells it again, as Linux does.
    if (!this.#keepsAll) this.#touched = { registers: 0, slotsLow: 0, slotsHigh: 0 }
  }

  /** What an instruction did stands behind it, or in front of the next one if something was said in between. */
  #tellState({ state, insn }: Place): void {
    const text = stateText(state, state.frames.length - 1, this.#touched)
    this.#touched = { registers: 0, slotsLow: 0, slotsHigh: 0 }
    if (!this.#isOpen) {
      this.#push(`${insn}:${text}`)
      return
    }
    const last = this.#lines.pop() ?? ''
    this.#characters -= last.length
    this.#push(`${last.padEnd(stateColumn(last))};${text}`)
    this.#isOpen = false
  }

  #arrival({ speculative }: State, insn: number): string {
    return `from ${this.#arrivesFrom} to ${insn}${speculative ? ' (speculative execution)' : ''}:`
  }

  #push(line: string): void {
    this.#lines.push(line)
    this.#characters += line.length
    if (this.#characters <= MAX_CHARACTERS) return
    const half = this.#lines.length >> 1
    this.#dropped += half
    this.#lines = this.#lines.slice(half)
    this.#characters = this.#lines.reduce((sum, { length }) => sum + length, 0)
  }

  #truncate(position: number): void {
    const kept = Math.max(0, position - this.#dropped)
    for (let i = kept; i < this.#lines.length; i++) this.#characters -= this.#lines[i]?.length ?? 0
    this.#lines.length = Math.min(kept, this.#lines.length)
  }
}

/** Line information has an entry for each column that matters. */
function isSameLine(a: LineInfo, b: LineInfo | undefined): boolean {
  return a.line === b?.line && a.file === b.file
}
