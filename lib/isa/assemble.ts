/**
 * Text to instructions: the syntax of Linux's verifier log and of `bpftool prog dump xlated`, with labels.
 *
 *     r0 = 0
 *   loop:
 *     r0 += r1
 *     r1 -= 1
 *     if r1 != 0 goto loop
 *     exit
 *
 * What {@link disassemble} writes comes back as the same instruction. As in Linux's own text, `r1 = 0x5` (hexadecimal) is a 64-bit immediate load
 * of two slots, and `r1 = 5` a move of one; `5 ll` is a 64-bit load too.
 */
import type { Instruction } from './instruction.js'
import { Scanner } from './scanner.js'
import { INT16, Statement, type LabelField } from './statement.js'

interface LabelUse {
  readonly slot: number
  readonly field: LabelField
  readonly label: string
  readonly scanner: Scanner
  readonly at: number
}

/** `12: (b7) ` in front of a line of a log. */
const LOG_PREFIX = /^\s*\d+:\s*(?:\([0-9a-f]{2}\))?/
const LABEL = /^\s*([A-Za-z_.$][\w.$]*):(?!:)/
const COMMENT = /;.*|\/\/.*/

/**
 * Assembles a program. A line holds one instruction, a label, both or nothing; `;` and `//` start a comment. Numbers in front of instructions, as in
 * logs, are skipped. Jumps and calls take a distance (`goto pc+3`) or a label.
 *
 * @returns one entry a slot: a 64-bit immediate load gives two
 * @throws AssemblyError with line, column and what was expected there
 */
export function assemble(text: string): Instruction[] {
  return new Assembler().run(text)
}

/** The same, and the slots of labels: where functions start, for who has more to say of them. @internal */
export function assembleWithLabels(text: string): {
  readonly instructions: readonly Instruction[]
  readonly labels: ReadonlyMap<string, number>
} {
  const assembler = new Assembler()
  return { instructions: assembler.run(text), labels: assembler.labels }
}

class Assembler {
  readonly #code: Instruction[] = []
  readonly labels = new Map<string, number>()
  readonly #uses: LabelUse[] = []

  run(text: string): Instruction[] {
    const lines = text.split('\n').map((line) => line.replace(COMMENT, ''))
    const names = new Set(lines.map((line) => LABEL.exec(line)?.[1]))
    lines.forEach((line, i) => {
      const label = LABEL.exec(line)
      if (label?.[1] !== undefined) this.#define(label[1], line, i + 1)
      // Spaces in place of what was read, so that columns stay those of the text.
      const rest = line.replace(label === null ? LOG_PREFIX : LABEL, (prefix) => ' '.repeat(prefix.length))
      const scanner = new Scanner(rest, i + 1)
      if (scanner.atEnd) return
      new Statement(scanner, names, (field, name, at) =>
        this.#uses.push({ slot: this.#code.length, field, label: name, scanner, at }),
      )
        .parse()
        .forEach((insn) => this.#code.push(insn))
      scanner.expectEnd()
    })
    for (const use of this.#uses) this.#resolve(use)
    return this.#code
  }

  #define(label: string, line: string, number: number): void {
    if (this.labels.has(label))
      new Scanner(line, number).fail(`a label other than '${label}', which is there already`)
    this.labels.set(label, this.#code.length)
  }

  #resolve({ slot, field, label, scanner, at }: LabelUse): void {
    const target = this.labels.get(label)
    const insn = this.#code[slot]
    if (target === undefined || insn === undefined)
      return scanner.fail("a distance such as 'pc+3', or a label that is defined", at)
    const distance = target - slot - 1
    if (field === 'offset' && (distance < INT16.least || distance > INT16.most))
      scanner.fail(`a label within 32767 slots, not ${distance}: 'gotol' reaches farther`, at)
    this.#code[slot] = { ...insn, [field]: distance }
  }
}
