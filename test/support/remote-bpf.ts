/** The bpf() system call, made by a process of its own: what tests ask of the kernel that no library asks. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** Commands of bpf(2), and those of the other end. */
export const BPF = {
  /** The descriptor in field 0. */
  CLOSE: -1,
  /** Makes fields 0 and 4, 64 bits, the capabilities in effect, as far as they are permitted. */
  CAPABILITIES: -2,
  /** Reads a file: its path at 0, where it goes at 8, how much of it at 16. */
  READ: -3,
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  PROG_LOAD: 5,
  PROG_TEST_RUN: 10,
  BTF_LOAD: 18,
  MAP_FREEZE: 22,
  MAP_LOOKUP_BATCH: 24,
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

/** A place where the result of an earlier call of the same batch goes. */
export interface RemoteLink {
  /** Number of the buffer; default: the attributes. */
  readonly buffer?: number
  /** In bytes. */
  readonly at: number
  /** Number of the call. If it failed, this one isn't made. */
  readonly call: number
}

export interface RemoteCall {
  readonly command: number
  /** 32-bit numbers of `union bpf_attr`, by offset in bytes. */
  readonly fields: Readonly<Record<number, number>>
  readonly buffers?: readonly RemoteBuffer[]
  readonly links?: readonly RemoteLink[]
  /** Number of an earlier call of the same batch: this one is made if that one has failed only. */
  readonly unless?: number
}

export interface RemoteAnswer {
  /** 0 or a descriptor; -1: `errno` says why. ECANCELED: the call wasn't made. */
  readonly result: number
  readonly errno: number
  readonly attributes: DataView
  /** Of those that come back; others are empty. */
  readonly buffers: readonly Uint8Array[]
}

const ATTRIBUTE_BYTES = 144
const KINDS = { all: 1, text: 2, tail: 3 } as const
const FRAME_HEADER = 4
const BATCH_HEADER = 8
const CALL_HEADER = 24
const BUFFER_HEADER = 16
const LINK_BYTES = 16
const ANSWER_HEADER = 16
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

const GONE = 'who called bpf() has gone: a crash of the kernel? See its log'

export class RemoteBpf implements AsyncDisposable {
  readonly #transport: Transport
  readonly #waiting: {
    readonly resolve: (frame: Buffer) => void
    readonly reject: (error: Error) => void
  }[] = []
  #received: Buffer[] = []
  #bytes = 0
  #isGone = false

  /** @param transport default: a process on this machine */
  constructor(transport: Transport = localProcess()) {
    this.#transport = transport
    transport.output.on('data', (chunk: Buffer) => this.#receive(chunk))
    transport.output.once('close', () => {
      this.#isGone = true
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(GONE))
    })
    // What is written to it then is lost, and said to be so above.
    transport.input.on('error', () => {})
    transport.output.resume()
  }

  /** Calls bpf(); calls are answered in their order. @param patience seconds after which it is interrupted: EAGAIN */
  async call(call: RemoteCall, patience = PATIENCE_S): Promise<RemoteAnswer> {
    const [first] = await this.batch([call], patience)
    if (first === undefined) throw new Error('a call without an answer')
    return first
  }

  /** Makes up to 64 calls, with nobody else's in between: one way there and back, however many they are. @returns as many answers */
  async batch(calls: readonly RemoteCall[], patience = PATIENCE_S): Promise<readonly RemoteAnswer[]> {
    if (this.#isGone) throw new Error(GONE)
    const answered = new Promise<Buffer>((resolve, reject) => this.#waiting.push({ resolve, reject }))
    this.#transport.input.write(request(calls, patience))
    return answers(await answered)
  }

  /** A file of the machine. @throws Error if there is none, or it is larger than `size` */
  async read(path: string, size: number): Promise<Uint8Array> {
    const { result, errno, buffers } = await this.call({
      command: BPF.READ,
      fields: { 16: size },
      buffers: [
        { at: 0, bytes: new TextEncoder().encode(`${path}\0`) },
        { at: 8, size, returns: 'all' },
      ],
    })
    if (result < 0 || result === size)
      throw new Error(`${path}: ${result < 0 ? `errno ${errno}` : 'too large'}`)
    return buffers[1]?.slice(0, result) ?? new Uint8Array()
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

function callBytes({ buffers = [], links = [] }: RemoteCall): number {
  const given = buffers.reduce((sum, { bytes }) => sum + BUFFER_HEADER + padded(bytes?.length ?? 0), 0)
  return CALL_HEADER + ATTRIBUTE_BYTES + given + LINK_BYTES * links.length
}

function request(calls: readonly RemoteCall[], patience: number): Buffer {
  const size = calls.reduce((sum, call) => sum + callBytes(call), BATCH_HEADER)
  const frame = Buffer.alloc(FRAME_HEADER + size)
  frame.writeUInt32LE(size, 0)
  frame.writeUInt32LE(calls.length, FRAME_HEADER)
  let at = FRAME_HEADER + BATCH_HEADER
  for (const call of calls) {
    writeCall(frame.subarray(at), call, patience)
    at += callBytes(call)
  }
  return frame
}

function writeCall(
  frame: Buffer,
  { command, fields, buffers = [], links = [], unless = -1 }: RemoteCall,
  patience: number,
): void {
  ;[command, patience, unless + 1, ATTRIBUTE_BYTES, buffers.length, links.length].forEach((value, i) =>
    frame.writeInt32LE(value, 4 * i),
  )
  for (const [offset, value] of Object.entries(fields))
    frame.writeInt32LE(value | 0, CALL_HEADER + Number(offset))
  let at = CALL_HEADER + ATTRIBUTE_BYTES
  for (const { at: where, bytes, size: wanted, returns } of buffers) {
    const length = bytes?.length ?? 0
    const header = [where, wanted ?? length, length, returns === undefined ? 0 : KINDS[returns]]
    header.forEach((value, field) => frame.writeUInt32LE(value, at + 4 * field))
    if (bytes !== undefined) frame.set(bytes, at + BUFFER_HEADER)
    at += BUFFER_HEADER + padded(length)
  }
  for (const { buffer = -1, at: where, call } of links) {
    ;[buffer, where, call].forEach((value, field) => frame.writeInt32LE(value, at + 4 * field))
    at += LINK_BYTES
  }
}

function answers(frame: Buffer): readonly RemoteAnswer[] {
  const all: RemoteAnswer[] = []
  for (let at = FRAME_HEADER; at < frame.length;) {
    const [result, errno] = [frame.readInt32LE(at), frame.readInt32LE(at + 4)]
    const [attributes, count] = [frame.readUInt32LE(at + 8), frame.readUInt32LE(at + 12)]
    at += ANSWER_HEADER
    const view = new DataView(frame.buffer, frame.byteOffset + at, attributes)
    at += padded(attributes)
    const buffers: Uint8Array[] = []
    for (let i = 0; i < count; i++) {
      const size = frame.readUInt32LE(at)
      buffers.push(frame.subarray(at + 8, at + 8 + size))
      at += 8 + padded(size)
    }
    all.push({ result, errno, attributes: view, buffers })
  }
  return all
}
