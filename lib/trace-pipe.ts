/** What programs print with bpf_printk(), line by line. */
import { BpfError } from './errors.js'
import { EventReader } from './event-reader.js'
import { type EventReaderOptions } from './reader-options.js'
import { selectKernel, type KernelChoice } from './select-kernel.js'

export interface TracePipeOptions extends EventReaderOptions {
  /** As for `open()`: whose programs' lines. */
  readonly kernel?: KernelChoice
  /** Name of the tracing instance. It is made if it isn't there, and removed then by `close()`. Default: one of one's own. */
  readonly instance?: string
  /** Where tracefs is mounted. Default `/sys/kernel/tracing`. */
  readonly tracefs?: string
}

export interface TraceMessage {
  /** Name of the task that was running; `<...>` where the kernel no longer knows. */
  readonly task: string
  readonly pid: number
  readonly cpu: number
  /** What ftrace prints of the context: interrupts off, softirq … See Documentation/trace/ftrace.rst. */
  readonly flags: string
  /** Seconds since boot, with microseconds. */
  readonly ts: number
  /** Without the line feed. A message of several lines comes as several. */
  readonly message: string
}

/** Source: print_lat_fmt() and trace_print_context() of kernel/trace/trace_output.c. */
const LINE =
  /^\s*(.+)-(\d+)\s+(?:\(\s*[-\d]+\)\s+)?\[(\d+)\]\s+(\S+)\s+(\d+\.\d+): (?:bpf_trace_printk: )?(.*)$/s
const LOST = /^CPU:(\d+) \[LOST (\d+) EVENTS\]$/

/**
 * Reads what programs print with `bpf_printk()`, through a tracing instance of its own, so that other readers lose nothing: an
 * `EventEmitter` and an async iterable, as a ring buffer's reader is. What any program of the machine prints comes, from the moment it
 * is opened.
 *
 * Lifetime: until `close()`, which removes the instance; so does the process's end, also by SIGTERM, SIGINT or SIGHUP. What one that was
 * killed left is removed when the next trace pipe is opened.
 *
 * Needs Linux 5.9, tracefs, and the right to write there (root).
 *
 * @throws BpfError `UNSUPPORTED` with the mount command where there is no tracefs, `EACCES`
 *
 * @example
 * using pipe = new TracePipe()
 * for await (const { task, pid, message } of pipe) console.log(`${task}[${pid}]: ${message}`)
 */
export class TracePipe extends EventReader<TraceMessage> {
  constructor(options: TracePipeOptions = {}) {
    const { instance, tracefs = '/sys/kernel/tracing' } = options
    if (instance !== undefined && (!/^[^/\0]+$/.test(instance) || instance === '.' || instance === '..')) {
      throw new BpfError('BAD_VALUE', `option instance is the name of a folder, not '${instance}'`)
    }
    const kernel = selectKernel(options.kernel, { programs: [] })
    const decoder = new TextDecoder()
    let last: TraceMessage | undefined
    let reportLost: (count: number) => void = () => {}
    super({
      subject: 'trace pipe',
      options,
      headerBytes: 0,
      decode: (bytes, offset, length) => {
        const line = decoder.decode(bytes.subarray(offset, offset + length))
        const lost = LOST.exec(line)
        if (lost !== null) {
          reportLost(Number(lost[2]))
          return undefined
        }
        last = parseTraceLine(line) ?? (last === undefined ? undefined : { ...last, message: line })
        return last
      },
      open: (sink, readerOptions) =>
        kernel.openTrace(sink, { ...readerOptions, tracefs, ...(instance !== undefined && { instance }) }),
    })
    reportLost = (count) => this.reportDrops(count)
  }
}

/** A line of trace_pipe; undefined for one that has no such form, such as the second line of a message. */
export function parseTraceLine(line: string): TraceMessage | undefined {
  const found = LINE.exec(line)
  if (found === null) return undefined
  const [, task = '', pid, cpu, flags = '', ts, message = ''] = found
  return { task, pid: Number(pid), cpu: Number(cpu), flags, ts: Number(ts), message }
}
