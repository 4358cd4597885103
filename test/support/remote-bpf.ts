/** The bpf() system call, made by a process of its own: what tests ask of the kernel that no library asks. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** Commands of bpf(2). */
export const BPF = {
  CLOSE: -1,
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  PROG_LOAD: 5,
  PROG_TEST_RUN: 10,
  BTF_LOAD: 18,
  MAP_FREEZE: 22,
} as const

/** Memory that an attribute points to. */
export interface RemoteBuffer {
  /** Where its address goes. */
  readonly at: number
  readonly bytes?: Uint8Array
  /** Bytes; default: those of `bytes`. */
  readonly size?: number
  /** Whether it comes back: whole, as text up to its end, or as the last 2,000 characters of that. */
  readonly returns?: 'all' | 'text' | 'tail'
}

export interface RemoteCall {
  readonly command: number
  /** 32-bit numbers of `union bpf_attr`, by offset in bytes. */
  readonly fields: Readonly<Record<number, number>>
  readonly buffers?: readonly RemoteBuffer[]
}

export interface RemoteAnswer {
  /** 0 or a descriptor; -1: `errno` says why. */
  readonly result: number
  readonly errno: number
  readonly attributes: DataView
  /** Of those that come back; others are empty. */
  readonly buffers: readonly Uint8Array[]
}

const ATTRIBUTE_BYTES = 144
const KINDS = { all: 1, text: 2, tail: 3 } as const
const HEADER = 20
const BUFFER_HEADER = 16
const ANSWER_HEADER = 12
/** After which a call is interrupted. */
const PATIENCE_S = process.env['VM'] === '1' ? 120 : 20

/** How calls get there and answers back. */
export interface Transport extends AsyncDisposable {
  readonly input: Writable
  readonly output: Readable
}

/** Compiles the other end. Takes a C compiler, as the addon does. @returns its path, in `folder` */
export function compileRemote(folder: string): string {
  const program = join(folder, 'remote-bpf')
  const source = fileURLToPath(new URL('remote-bpf.c', import.meta.url))
  execFileSync(process.env['CC'] ?? 'cc', ['-O1', '-Wall', '-o', program, source])
  return program
}

/** A process on this machine. */
function localProcess(): Transport {
  const folder = mkdtempSync(join(tmpdir(), 'remote-bpf-'))
  const child = spawn(compileRemote(folder), { stdio: ['pipe', 'pipe', 'inherit'] })
  return {
    input: child.stdin,
    output: child.stdout,
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin.end()
      await ended
      rmSync(folder, { recursive: true })
    },
  }
}

export class RemoteBpf implements AsyncDisposable {
  readonly #transport: Transport
  readonly #waiting: {
    readonly resolve: (frame: Buffer) => void
    readonly reject: (error: Error) => void
  }[] = []
  #received: Buffer[] = []
  #bytes = 0

  /** @param transport default: a process on this machine */
  constructor(transport: Transport = localProcess()) {
    this.#transport = transport
    transport.output.on('data', (chunk: Buffer) => this.#receive(chunk))
    transport.output.once('close', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('who called bpf() has gone'))
    })
    transport.output.resume()
  }

  /** Calls bpf(); calls are answered in their order. @param patience seconds after which it is interrupted: EAGAIN */
  async call(call: RemoteCall, patience = PATIENCE_S): Promise<RemoteAnswer> {
    const answered = new Promise<Buffer>((resolve, reject) => this.#waiting.push({ resolve, reject }))
    this.#transport.input.write(request(call, patience))
    return answer(await answered)
  }

  async close(descriptor: number): Promise<void> {
    await this.call({ command: BPF.CLOSE, fields: { 0: descriptor } })
  }

  #receive(chunk: Buffer): void {
    this.#received.push(chunk)
    this.#bytes += chunk.length
    for (;;) {
      if (this.#bytes < 4) return
      if ((this.#received[0]?.length ?? 0) < 4) this.#received = [Buffer.concat(this.#received)]
      const size = 4 + (this.#received[0]?.readUInt32LE(0) ?? 0)
      if (this.#bytes < size) return
      const all = Buffer.concat(this.#received)
      this.#received = [all.subarray(size)]
      this.#bytes -= size
      this.#waiting.shift()?.resolve(all.subarray(0, size))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]()
  }
}

const padded = (size: number): number => (size + 7) & ~7

function request({ command, fields, buffers = [] }: RemoteCall, patience: number): Buffer {
  const given = buffers.map(({ bytes }) => bytes?.length ?? 0)
  const size =
    HEADER + ATTRIBUTE_BYTES + given.reduce((sum, length) => sum + BUFFER_HEADER + padded(length), 0)
  const frame = Buffer.alloc(size)
  ;[size - 4, command, patience, ATTRIBUTE_BYTES, buffers.length].forEach((value, i) =>
    frame.writeInt32LE(value, 4 * i),
  )
  for (const [offset, value] of Object.entries(fields)) frame.writeInt32LE(value | 0, HEADER + Number(offset))
  let at = HEADER + ATTRIBUTE_BYTES
  buffers.forEach(({ at: where, bytes, size: wanted, returns }, i) => {
    const length = given[i] ?? 0
    const header = [where, wanted ?? length, length, returns === undefined ? 0 : KINDS[returns]]
    header.forEach((value, field) => frame.writeUInt32LE(value, at + 4 * field))
    if (bytes !== undefined) frame.set(bytes, at + BUFFER_HEADER)
    at += BUFFER_HEADER + padded(length)
  })
  return frame
}

function answer(frame: Buffer): RemoteAnswer {
  const buffers: Uint8Array[] = []
  for (let at = ANSWER_HEADER + ATTRIBUTE_BYTES; at < frame.length;) {
    const size = frame.readUInt32LE(at)
    buffers.push(frame.subarray(at + 8, at + 8 + size))
    at += 8 + padded(size)
  }
  return {
    result: frame.readInt32LE(4),
    errno: frame.readInt32LE(8),
    attributes: new DataView(frame.buffer, frame.byteOffset + ANSWER_HEADER, ATTRIBUTE_BYTES),
    buffers,
  }
}
