/** What programs print: the simulated trace_pipe. */
export interface TraceLine {
  /** Without the line feed at its end. */
  readonly text: string
  /** The current task and CPU when it was printed. */
  readonly comm: string
  readonly pid: number
  readonly cpu: number
  /** Nanoseconds since boot. */
  readonly timeNs: bigint
}

export type TraceListener = (line: TraceLine) => void

/** Lines that are kept at least; older ones give way. */
const LIMIT = 4096

/** A bounded log. Listeners are called when a program prints, before its helper returns. */
export class TraceLog {
  #lines: TraceLine[] = []
  #dropped = 0
  readonly #listeners = new Set<TraceListener>()

  /** The last lines, oldest first: 4,096 at least, 8,192 at most. */
  get lines(): readonly TraceLine[] {
    return this.#lines
  }

  /** Lines that gave way to newer ones. */
  get dropped(): number {
    return this.#dropped
  }

  /** @returns a function that ends it */
  listen(listener: TraceListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  clear(): void {
    this.#lines = []
    this.#dropped = 0
  }

  /** @internal */
  add(line: TraceLine): void {
    if (this.#lines.length >= 2 * LIMIT) {
      this.#dropped += this.#lines.length - LIMIT
      this.#lines = this.#lines.slice(-LIMIT)
    }
    this.#lines.push(line)
    for (const listener of this.#listeners) listener(line)
  }
}
