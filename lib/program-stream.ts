/** Programs' streams: stdout and stderr of BPF programs. */
import { BpfError } from './errors.js'
import { EventReader } from './event-reader.js'
import type { KernelProgram } from './kernel.js'
import { integer, type EventReaderOptions } from './reader-options.js'
import { StreamPoll } from './stream-poll.js'

/** BPF_STDOUT and BPF_STDERR of linux/bpf.h. */
const STREAMS = { stdout: 1, stderr: 2 } as const

export type ProgramStreamName = keyof typeof STREAMS

const CHUNK_BYTES = 16 * 1024
/** What the kernel keeps of a stream: BPF_STREAM_MAX_CAPACITY. It bounds the reading, should a program go on writing. */
const MOST_BYTES = 100_000 + CHUNK_BYTES

export interface ProgramStreamOptions extends EventReaderOptions {
  /** How often to look, in milliseconds: the kernel tells nobody that there is something. Default 100. */
  readonly periodMs?: number
}

const DEFAULT_PERIOD_MS = 100
const MOST_PERIOD_MS = 3_600_000

/**
 * A reader of what a program writes with `bpf_stream_printk()`: an `EventEmitter` and an async iterable of lines, as a ring
 * buffer's reader is of records. What has no line feed comes as a line when nothing has followed it for a period.
 *
 * Lifetime: until `close()`; then its last lines are left in the kernel's stream, if nobody has read them. It reads from the program, which must
 * be loaded as long. The kernel keeps 100,000 bytes of a stream and drops what comes then, uncounted.
 */
export class ProgramStream extends EventReader<string> {}

/** @internal */
export function openProgramStream(
  program: KernelProgram,
  name: ProgramStreamName,
  options: ProgramStreamOptions,
): ProgramStream {
  const stream = streamNumber(name)
  const periodMs = integer('periodMs', options.periodMs ?? DEFAULT_PERIOD_MS, 1, MOST_PERIOD_MS)
  const decoder = new TextDecoder()
  return new ProgramStream({
    subject: `${name} of program '${program.info.name}'`,
    options,
    headerBytes: 0,
    decode: (bytes, offset, length) => decoder.decode(bytes.subarray(offset, offset + length)),
    open: (sink, readerOptions) =>
      new StreamPoll((into) => program.readStream(stream, into), sink, readerOptions, periodMs),
  })
}

function streamNumber(name: ProgramStreamName): number {
  const stream: number | undefined = STREAMS[name]
  if (stream !== undefined) return stream
  throw new BpfError('BAD_VALUE', `a program's streams are stdout and stderr, not '${name}'`)
}

/** @throws BpfError `UNSUPPORTED` */
export function readProgramStream(program: KernelProgram, name: ProgramStreamName): string {
  const stream = streamNumber(name)
  const decoder = new TextDecoder()
  const chunk = new Uint8Array(CHUNK_BYTES)
  let text = ''
  for (let read = 0; read < MOST_BYTES;) {
    const got = program.readStream(stream, chunk)
    if (got === 0) break
    text += decoder.decode(chunk.subarray(0, got), { stream: true })
    read += got
  }
  return text + decoder.decode()
}
