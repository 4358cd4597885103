/** How often each instruction and each line of a program ran. */
import type { Listing } from './listing.js'

export interface LineCoverage {
  readonly file: string
  readonly line: number
  readonly text: string
  /** How often execution of the line started. */
  readonly hits: number
}

/** Counts of one program, from when they were asked for until the debugger is closed. */
export class Coverage {
  /** The program's name. */
  readonly program: string
  readonly #listing: Listing
  readonly #hits: Float64Array

  /** @internal */
  constructor(program: string, listing: Listing) {
    this.program = program
    this.#listing = listing
    this.#hits = new Float64Array((listing.instructions.at(-1)?.insn ?? -1) + 1)
  }

  /** @internal */
  count(slot: number): void {
    this.#hits[slot] = (this.#hits[slot] ?? 0) + 1
  }

  /** How often an instruction ran. @param insn index of its slot; 0 for one where none starts */
  hits(insn: number): number {
    return this.#hits[insn] ?? 0
  }

  /** Instructions that ran so far. */
  get executed(): number {
    return this.#hits.reduce((sum, hits) => sum + hits, 0)
  }

  /** Lines that have instructions, by file and number. Empty where the object has no line information. */
  get lines(): readonly LineCoverage[] {
    const lines = new Map<string, LineCoverage>()
    for (const { insn, source, startsLine } of this.#listing.instructions) {
      if (source === undefined || !startsLine) continue
      const { file, line, text } = source
      const key = `${file}:${line}`
      // Inlined or unrolled, a line starts in several places: the busiest tells how often it ran.
      const hits = Math.max(lines.get(key)?.hits ?? 0, this.hits(insn))
      lines.set(key, { file, line, text, hits })
    }
    return [...lines.values()].sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line)
  }

  /** Forgets what ran. */
  reset(): void {
    this.#hits.fill(0)
  }

  /**
   * As a tracefile of lcov, for `genhtml` and editors: lines and functions of the C source. Tracefiles of several programs may be written one behind
   * the other.
   */
  lcov(): string {
    const records: string[] = []
    const byFile = new Map<string, LineCoverage[]>()
    for (const line of this.lines) byFile.set(line.file, [...(byFile.get(line.file) ?? []), line])
    for (const [file, lines] of byFile) {
      const functions = this.#functionsOf(file)
      records.push(
        `TN:${this.program}`,
        `SF:${file}`,
        ...functions.map(({ name, line }) => `FN:${line},${name}`),
        ...functions.map(({ name, hits }) => `FNDA:${hits},${name}`),
        `FNF:${functions.length}`,
        `FNH:${functions.filter(({ hits }) => hits > 0).length}`,
        ...lines.map(({ line, hits }) => `DA:${line},${hits}`),
        `LF:${lines.length}`,
        `LH:${lines.filter(({ hits }) => hits > 0).length}`,
        'end_of_record',
      )
    }
    return records.map((record) => `${record}\n`).join('')
  }

  #functionsOf(
    file: string,
  ): readonly { readonly name: string; readonly line: number; readonly hits: number }[] {
    const functions = new Map<string, { name: string; line: number; hits: number }>()
    for (const { insn, function: name, source } of this.#listing.instructions) {
      if (source?.file === file && !functions.has(name))
        functions.set(name, { name, line: source.line, hits: this.hits(insn) })
    }
    return [...functions.values()]
  }
}
