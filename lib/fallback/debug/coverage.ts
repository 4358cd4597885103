/** How often each instruction and each line of a program ran. */
import type { SourcePosition } from '../../errors.js'
import type { Listing } from './listing.js'

export interface LineCoverage {
  readonly file: string
  readonly line: number
  readonly text: string
  /** How often execution of the line started. */
  readonly hits: number
}

/** A conditional jump: which way it went, and how often. */
export interface BranchCoverage {
  readonly insn: number
  /** In the syntax of Linux's verifier log: `if r1 == 0x0 goto pc+2`. */
  readonly text: string
  /** undefined where the object has no line information. */
  readonly source: SourcePosition | undefined
  /** How often its condition held. */
  readonly taken: number
  /** How often it didn't. */
  readonly notTaken: number
}

/** Counts of one program, from when they were asked for until the debugger is closed. */
export class Coverage {
  /** The program's name. */
  readonly program: string
  readonly #listing: Listing
  readonly #hits: Float64Array
  /** Conditional jumps, by slot: where they lead. */
  readonly #targets: Int32Array
  readonly #taken: Float64Array
  readonly #notTaken: Float64Array
  /** The conditional jump that ran last, if nothing has run since; else -1. */
  #jump = -1

  /** @internal */
  constructor(program: string, listing: Listing) {
    this.program = program
    this.#listing = listing
    const slots = (listing.instructions.at(-1)?.insn ?? -1) + 1
    this.#hits = new Float64Array(slots)
    this.#taken = new Float64Array(slots)
    this.#notTaken = new Float64Array(slots)
    this.#targets = new Int32Array(slots).fill(-1)
    for (const { insn, branchTarget } of listing.instructions)
      if (branchTarget !== undefined) this.#targets[insn] = branchTarget
  }

  /** @internal */
  count(slot: number): void {
    this.#hits[slot] = (this.#hits[slot] ?? 0) + 1
    const jump = this.#jump
    if (jump >= 0) {
      // Neither, where a run ended at the jump: fuel ran out.
      if (slot === this.#targets[jump]) this.#taken[jump] = (this.#taken[jump] ?? 0) + 1
      else if (slot === jump + 1) this.#notTaken[jump] = (this.#notTaken[jump] ?? 0) + 1
    }
    this.#jump = (this.#targets[slot] ?? -1) < 0 ? -1 : slot
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

  /** Conditional jumps, in the order of their instructions. A compiler makes several of one condition, or none. */
  get branches(): readonly BranchCoverage[] {
    return this.#listing.instructions
      .filter(({ branchTarget }) => branchTarget !== undefined)
      .map(({ insn, text, source }) => ({
        insn,
        text,
        source,
        taken: this.#taken[insn] ?? 0,
        notTaken: this.#notTaken[insn] ?? 0,
      }))
  }

  /** Forgets what ran. */
  reset(): void {
    this.#hits.fill(0)
    this.#taken.fill(0)
    this.#notTaken.fill(0)
  }

  /**
   * As a tracefile of lcov, for `genhtml` and editors: lines, functions and branches of the C source. Of each conditional jump branch 0
   * is the jump, branch 1 what follows it. Tracefiles of several programs may be written one behind
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
        ...this.#branchesOf(file),
        ...lines.map(({ line, hits }) => `DA:${line},${hits}`),
        `LF:${lines.length}`,
        `LH:${lines.filter(({ hits }) => hits > 0).length}`,
        'end_of_record',
      )
    }
    return records.map((record) => `${record}\n`).join('')
  }

  #branchesOf(file: string): readonly string[] {
    const branches = this.branches.filter(({ source }) => source?.file === file)
    const counts = branches.flatMap(({ taken, notTaken }) => [taken, notTaken])
    const records = branches.flatMap(({ insn, source, taken, notTaken }) => {
      const block = `BRDA:${source?.line ?? 0},${insn}`
      const count = (branch: number): string => (taken + notTaken === 0 ? '-' : String(branch))
      return [`${block},0,${count(taken)}`, `${block},1,${count(notTaken)}`]
    })
    return [...records, `BRF:${counts.length}`, `BRH:${counts.filter((count) => count > 0).length}`]
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
