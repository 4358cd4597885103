/** Programs' streams: stdout and stderr of BPF programs. */
import { BpfError } from './errors.js'
import type { KernelProgram } from './kernel.js'

/** BPF_STDOUT and BPF_STDERR of linux/bpf.h. */
const STREAMS = { stdout: 1, stderr: 2 } as const

export type ProgramStreamName = keyof typeof STREAMS

const CHUNK_BYTES = 16 * 1024
/** What the kernel keeps of a stream: BPF_STREAM_MAX_CAPACITY. It bounds the reading, should a program go on writing. */
const MOST_BYTES = 100_000 + CHUNK_BYTES

/** @throws BpfError `UNSUPPORTED` */
export function readProgramStream(program: KernelProgram, name: ProgramStreamName): string {
  const stream: number | undefined = STREAMS[name]
  if (stream === undefined) {
    throw new BpfError('BAD_VALUE', `a program's streams are stdout and stderr, not '${name}'`)
  }
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
