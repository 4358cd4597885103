/** The simulated kernel's trace_pipe: lines of its log, in the format of ftrace. */
import type { RecordSource } from './maps/ring-reader.js'
import type { TraceLine, TraceLog } from './trace-log.js'

/** Lines that wait for a reader; ftrace's buffer holds some more. */
const LIMIT = 16 * 1024

const encoder = new TextEncoder()

export class TraceSource implements RecordSource {
  readonly subject = 'trace pipe'
  readonly capacity = LIMIT
  readonly size = 1 << 20
  readonly available = undefined
  #lines: Uint8Array[] = []
  #lost = 0
  #wake: (() => void) | undefined
  readonly #stop: () => void

  constructor(log: TraceLog) {
    this.#stop = log.listen((line) => this.#add(line))
  }

  get readable(): boolean {
    return this.#lines.length > 0
  }

  nextLength(): number {
    return this.#lines[0]?.length ?? -1
  }

  take(_length: number, into: Uint8Array, at: number): void {
    const line = this.#lines.shift()
    if (line !== undefined) into.set(line, at)
  }

  subscribe(wake: () => void): () => void {
    this.#wake = wake
    return () => (this.#wake = undefined)
  }

  release(): void {
    this.#stop()
    this.#lines = []
  }

  #add(line: TraceLine): void {
    if (this.#lines.length >= LIMIT - 1) {
      this.#lost++
      return
    }
    if (this.#lost > 0) this.#lines.push(encoder.encode(`CPU:${line.cpu} [LOST ${this.#lost} EVENTS]`))
    this.#lost = 0
    for (const text of formatted(line).split('\n')) this.#lines.push(encoder.encode(text))
    this.#wake?.()
  }
}

/** As trace_print_context() of kernel/trace/trace_output.c does it. */
function formatted({ text, comm, pid, cpu, timeNs }: TraceLine): string {
  const micros = timeNs / 1000n
  const seconds = `${micros / 1_000_000n}.${String(micros % 1_000_000n).padStart(6, '0')}`
  const task = `${comm.padStart(16)}-${String(pid).padEnd(7)}`
  return `${task} [${String(cpu).padStart(3, '0')}] ..... ${seconds}: bpf_trace_printk: ${text}`
}
