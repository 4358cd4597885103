/** What a debugger knows of a program before it runs: text, function and source line of each instruction. */
import { BpfError, type SourcePosition } from '../../errors.js'
import { disassemble } from '../../isa/disassemble.js'
import { decode, SLOT } from '../../isa/instruction.js'
import { opcodeInfo } from '../../isa/opcodes.js'
import { didYouMean } from '../../nearest.js'
import { describe } from '../describe.js'
import { positionOf } from '../vm/trap.js'
import type { ExecutableProgram } from '../vm/types.js'

/** Kinds of instructions that go one way or another. */
const BRANCHES: ReadonlySet<string> = new Set(['jump', 'may_goto'])

/** One instruction of a program, as it runs: relocated, with its sub-programs behind it. */
export interface ListedInstruction {
  /** Index of its first 8-byte slot. */
  readonly insn: number
  /** In the syntax of Linux's verifier log: `r0 = *(u32 *)(r1 +16)`. */
  readonly text: string
  readonly function: string
  /** undefined where the object has no line information. */
  readonly source: SourcePosition | undefined
  /** The instructions before it belong to another line: execution of the line starts here. Without line information each instruction is a line. */
  readonly startsLine: boolean
  /** Of a conditional jump, the slot that it leads to where its condition holds; else it goes on behind itself. undefined: it is none. */
  readonly branchTarget: number | undefined
}

/** A place in a program: an instruction, the start of a function, or a line of a source file (of any file, where none is named). */
export type Place =
  | { readonly insn: number }
  | { readonly function: string }
  | { readonly line: number; readonly file?: string }

export class Listing {
  readonly instructions: readonly ListedInstruction[]
  readonly #bySlot: readonly (ListedInstruction | undefined)[]
  readonly #functions: ExecutableProgram['functions']
  readonly #program: string

  constructor({ name, code, functions, lines }: ExecutableProgram) {
    this.#program = name
    this.#functions = functions
    const insns = decode(code)
    const bySlot: (ListedInstruction | undefined)[] = Array.from({ length: insns.length })
    let line = -1
    let owner = 0
    for (let slot = 0; slot < insns.length; slot++) {
      const insn = insns[slot]
      if (insn === undefined) break
      while ((functions[owner + 1]?.start ?? Infinity) <= slot) owner++
      const before = line
      while ((lines[line + 1]?.offset ?? Infinity) <= slot * SLOT) line++
      const info = lines[line]
      bySlot[slot] = {
        insn: slot,
        text: disassemble(insn, insns[slot + 1]),
        function: functions[owner]?.name ?? name,
        source: info === undefined ? undefined : positionOf(info),
        startsLine: info === undefined || line !== before || functions[owner]?.start === slot,
        branchTarget: BRANCHES.has(opcodeInfo(insn.opcode)?.kind ?? '') ? slot + 1 + insn.offset : undefined,
      }
      if (opcodeInfo(insn.opcode)?.kind === 'lddw') slot++
    }
    this.#bySlot = bySlot
    this.instructions = bySlot.filter((each) => each !== undefined)
  }

  /** @throws BpfError `BAD_VALUE` where no instruction starts */
  at(slot: number): ListedInstruction {
    const found = this.#bySlot[slot]
    if (found !== undefined) return found
    throw new BpfError(
      'BAD_VALUE',
      `program '${this.#program}': no instruction starts at slot ${describe(slot)}`,
    )
  }

  /** Slots of a place. @throws BpfError `BAD_VALUE` where there is nothing */
  find(place: Place): readonly number[] {
    if ('insn' in place) return [this.at(place.insn).insn]
    if ('function' in place) return [this.#startOf(place.function)]
    const { line, file } = place
    const matches = ({ source, startsLine }: ListedInstruction): boolean =>
      startsLine && source?.line === line && (file === undefined || isSameFile(source.file, file))
    const found = this.instructions.filter(matches).map(({ insn }) => insn)
    if (found.length > 0) return found
    const lines = [...new Set(this.instructions.map(({ source }) => source?.line ?? 0))].sort((a, b) => a - b)
    throw new BpfError(
      'BAD_VALUE',
      `program '${this.#program}' has no instructions for line ${describe(line)}${file === undefined ? '' : ` of ${file}`}`,
      {
        hint:
          lines[0] === 0
            ? 'It has no line information: compile with clang -g'
            : `Lines with code: ${lines.join(', ')}`,
      },
    )
  }

  #startOf(name: string): number {
    const found = this.#functions.find((each) => each.name === name)
    if (found !== undefined) return found.start
    const hint = didYouMean(
      name,
      this.#functions.map((each) => each.name),
    )
    throw new BpfError(
      'BAD_VALUE',
      `program '${this.#program}' has no function '${name}'`,
      hint === undefined ? {} : { hint },
    )
  }
}

/** Objects name files as their compiler was told to: the end of a path is enough. */
function isSameFile(path: string, wanted: string): boolean {
  return path === wanted || path.endsWith(`/${wanted}`)
}
