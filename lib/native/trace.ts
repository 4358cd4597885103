/**
 * trace_pipe of a tracing instance of one's own: what programs print with bpf_printk().
 *
 * Source: Documentation/trace/ftrace.rst, kernel/trace/bpf_trace.c.
 */
import { closeSync, constants, existsSync, openSync, rmdirSync, writeFileSync } from 'node:fs'
import { BpfError, systemError } from '../errors.js'
import type { KernelReader, RecordSink, TraceOptions } from '../kernel.js'
import type { Addon } from './addon-types.js'
import { pumpArguments } from './reader.js'
import { beforeEnd, makeInstance, ownName, removeAbandoned } from './trace-instance.js'

/** The event that bpf_trace_printk() fires. Linux 5.9. */
const PRINTK_EVENT = 'events/bpf_trace/bpf_trace_printk/enable'

export function openTrace(addon: Addon, sink: RecordSink, options: TraceOptions): KernelReader {
  const { tracefs, instance = ownName() } = options
  assertMounted(tracefs)
  removeAbandoned(tracefs)
  const folder = `${tracefs}/instances/${instance}`
  const ours = make(folder)
  try {
    // Wakes the reader for the first line, not for half a buffer of them (5.0; before that, always).
    if (existsSync(`${folder}/buffer_percent`)) writeFileSync(`${folder}/buffer_percent`, '0')
    writeFileSync(`${folder}/${PRINTK_EVENT}`, '1')
    const fd = openSync(`${folder}/trace_pipe`, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const subject = `trace_pipe of instance '${instance}'`
      return new TraceReader(addon.openLines(...pumpArguments(sink, options), fd, subject, ours ? folder : ''))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (ours && existsSync(folder)) rmdirSync(folder)
    throw error instanceof BpfError ? error : fileFailure(error, folder)
  }
}

/** Closes the reader, which removes the instance, also when the process ends without `close()`. */
class TraceReader implements KernelReader {
  readonly #reader: KernelReader
  readonly #forgetEnd: () => void
  #closed = false

  constructor(reader: KernelReader) {
    this.#reader = reader
    this.#forgetEnd = beforeEnd(() => this.close())
  }

  consume(): number {
    return this.#reader.consume()
  }

  available(): number | undefined {
    return this.#reader.available()
  }

  pause(): void {
    this.#reader.pause()
  }

  resume(): void {
    this.#reader.resume()
  }

  ref(): void {
    this.#reader.ref()
  }

  unref(): void {
    this.#reader.unref()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#forgetEnd()
    this.#reader.close()
  }
}

function assertMounted(tracefs: string): void {
  if (existsSync(`${tracefs}/instances`)) return
  throw new BpfError('UNSUPPORTED', `UNSUPPORTED: no tracefs is mounted at ${tracefs}`, {
    call: 'open',
    hint: `mount -t tracefs tracefs ${tracefs} (as root; containers have none unless the host's is passed in)`,
  })
}

/** As {@link makeInstance}, with its errors as ours. */
function make(folder: string): boolean {
  try {
    return makeInstance(folder)
  } catch (error) {
    throw fileFailure(error, folder)
  }
}

function fileFailure(error: unknown, folder: string): unknown {
  if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') return error
  const call = 'syscall' in error ? String(error.syscall) : 'open'
  const hint =
    errorCode(error) === 'ENOENT'
      ? 'The event bpf_trace_printk came with Linux 5.9 and CONFIG_BPF_EVENTS'
      : errorCode(error) === 'EACCES' || errorCode(error) === 'EPERM'
        ? 'Tracing files belong to root (0700): run as root, or have the files given to a group (mount option gid=)'
        : undefined
  return systemError(call, -error.errno, `tracing instance '${folder}'`, {
    cause: error,
    ...(hint !== undefined && { hint }),
  })
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
