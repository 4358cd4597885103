/**
 * What the verifier tells of its way, in the format of Linux 6.18's log, so that what reads the one reads the other.
 *
 * Level 1 keeps the path that led to the refusal: where a path ends well, its lines go. Level 2 keeps all paths.
 */
import { disassemble } from '../../isa/disassemble.js'
import { decode, SLOT, type Instruction } from '../../isa/instruction.js'
import type { LineInfo } from '../../object-file/types.js'
import { frameText } from './state-text.js'
import { copyFrame, type Frame } from './state.js'

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
/** Column at which the state stands behind an instruction. */
const STATE_COLUMN = 37

/** Where a verification stands. */
interface Place {
  readonly insn: number
  readonly frame: Frame
}

export class VerifierLog {
  readonly #instructions: readonly Instruction[]
  readonly #lineAt: ReadonlyMap<number, LineInfo>
  readonly #keepsAll: boolean
  #lines: string[] = []
  #dropped = 0
  #characters = 0
  /** The frame as its state was printed last. */
  #printed: Frame | undefined
  /** The path comes from elsewhere: its whole state is printed. */
  #arrivesFrom: number | undefined
  #source: LineInfo | undefined

  constructor(code: Uint8Array, { level, lines }: LogOptions) {
    this.#instructions = decode(code)
    this.#keepsAll = (level & LOG_LEVEL.ALL) !== 0
    this.#lineAt = new Map(lines.map((line) => [line.offset / SLOT, line]))
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
    this.#printed = undefined
    this.#arrivesFrom = undefined
    this.#source = undefined
  }

  /** A branch is followed that waited since `position`. */
  branch(from: number, position: number): void {
    if (!this.#keepsAll) this.#truncate(position)
    this.#printed = undefined
    this.#arrivesFrom = from
    this.#source = undefined
  }

  /** The path is covered by another one. */
  covered({ insn, frame }: Place): void {
    this.#finishLine({ insn, frame })
    this.#push(this.#arrivesFrom === undefined ? `${insn}: safe` : `\n${this.#arrival(insn)} safe`)
  }

  /** An instruction is about to be simulated. */
  instruction(place: Place): void {
    const { insn, frame } = place
    this.#finishLine(place)
    if (this.#printed === undefined) {
      const start = this.#arrivesFrom === undefined ? `${insn}:` : `\n${this.#arrival(insn)}`
      this.#push(`${start}${frameText(frame)}`)
    }
    this.#arrivesFrom = undefined
    this.#printed = copyFrame(frame)
    const line = this.#lineAt.get(insn)
    if (line !== undefined && !isSameLine(line, this.#source)) {
      this.#source = line
      this.#push(`; ${line.text.trim()} @ ${line.file.replace(/^.*\//, '')}:${line.line}`)
    }
    const instruction = this.#instructions[insn]
    if (instruction === undefined) return
    const opcode = instruction.opcode.toString(16).padStart(2, '0')
    this.#push(`${insn}: (${opcode}) ${disassemble(instruction, this.#instructions[insn + 1])}`)
  }

  /** What an instruction did stands behind it. */
  #finishLine({ frame }: Place): void {
    if (this.#printed === undefined) return
    const changed = frameText(frame, this.#printed)
    if (changed === '') return
    const last = this.#lines.pop() ?? ''
    this.#characters -= last.length
    this.#push(`${last.padEnd(STATE_COLUMN)} ;${changed}`)
  }

  #arrival(insn: number): string {
    return `from ${this.#arrivesFrom} to ${insn}:`
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
