/**
 * Networks of a test's own: namespaces that live as long as a process that the test started, so that nothing is left behind, whatever happens.
 *
 * That process is a shell, which is asked for what is to be done there: bash, because it sends packets by itself. To start a program from here, and
 * another one that enters the namespace, takes a second of an emulated processor.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { plainEnvironment } from './plain-environment.js'

/** Answers each line with its status, the number of bytes that it wrote, and those bytes. It ends with whoever asks. */
const SHELL = `
export LC_ALL=C
exec 3<"$0" 4>"$1"
echo ready
while IFS= read -r -u 3 line; do
  output=$(eval "$line" 2>&1)
  printf '%d %d\\n%s' $? \${#output} "$output" >&4
done
`

/** Packets that wait to be received, on any processor. Source: softnet_seq_show() in net/core/net-procfs.c of Linux 6.18, which has it since 5.10. */
function waitingPackets(): number {
  const lines = readFileSync('/proc/net/softnet_stat', 'utf8').trim().split('\n')
  return lines.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[11] ?? '0', 16), 0)
}

const never = new Int32Array(new SharedArrayBuffer(4))

/** For 2 ms: tests of packets don't go on meanwhile. */
function sleep(): void {
  Atomics.wait(never, 0, 0, 2)
}

/** Waits until what was sent has been received: a busy machine does that a little later. */
function settle(): void {
  const MOST = 200
  for (let turn = 0; turn < MOST; turn++) {
    sleep()
    if (waitingPackets() === 0) return
  }
}

/** A network namespace of its own, with nothing but a loopback interface, which is up. */
export class TestNamespace implements Disposable {
  readonly #keeper: ChildProcess
  readonly #questions: number
  readonly #answers: number
  readonly pid: number

  private constructor(keeper: ChildProcess, pid: number, questions: number, answers: number) {
    this.#keeper = keeper
    this.#questions = questions
    this.#answers = answers
    this.pid = pid
  }

  static async create(): Promise<TestNamespace> {
    const folder = mkdtempSync(join(tmpdir(), 'namespace-'))
    const pipes = ['questions', 'answers'].map((name) => join(folder, name))
    execFileSync('mkfifo', pipes, { env: plainEnvironment() })
    // For both directions: neither waits for the shell.
    const [questions = -1, answers = -1] = pipes.map((pipe) => openSync(pipe, 'r+'))
    const keeper = spawn('unshare', ['--net', 'bash', '-c', SHELL, ...pipes], {
      env: plainEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const { pid, stdout } = keeper
    if (pid === undefined) throw new Error('unshare did not start')
    await once(stdout, 'data')
    rmSync(folder, { recursive: true })
    const namespace = new TestNamespace(keeper, pid, questions, answers)
    namespace.ip('link set lo up')
    return namespace
  }

  /** What stands for it in the file system. */
  get path(): string {
    return `/proc/${this.pid}/ns/net`
  }

  /** A program of its own, in the namespace. */
  run(command: string, ...args: readonly string[]): string {
    const output = execFileSync('nsenter', [`--net=${this.path}`, '--', command, ...args], {
      encoding: 'utf8',
      env: plainEnvironment(),
      stdio: 'pipe',
    })
    settle()
    return output
  }

  ip(words: string): string {
    return this.#ask(`ip ${words}`)
  }

  tc(words: string): string {
    return this.#ask(`tc ${words}`)
  }

  /** Sends one UDP datagram, whether or not somebody listens. */
  send(address: string, port = 9): void {
    this.#ask(`echo packet > /dev/udp/${address}/${port}`)
    settle()
  }

  [Symbol.dispose](): void {
    this.#keeper.kill()
    closeSync(this.#questions)
    closeSync(this.#answers)
  }

  /** Has the shell do a line. @returns what it wrote, without the last ends of lines */
  #ask(line: string): string {
    writeSync(this.#questions, `${line}\n`)
    let head = ''
    while (!head.endsWith('\n')) head += this.#read(1)
    const [status, length = 0] = head.split(' ').map(Number)
    const output = this.#read(length)
    if (status !== 0) throw new Error(`${line}: ${output}`)
    return output
  }

  #read(length: number): string {
    const bytes = Buffer.alloc(length)
    for (let at = 0; at < length;) at += readSync(this.#answers, bytes, at, length - at, null)
    return bytes.toString('utf8')
  }
}

export const NEAR = { interface: 'near', address: '10.99.0.1', address6: 'fd99::1' } as const
export const FAR = { interface: 'far', address: '10.99.0.2', address6: 'fd99::2' } as const

/** Two namespaces, and a cable between them: interface `near` in one, `far` in the other. */
export class TestNetwork implements Disposable {
  readonly near: TestNamespace
  readonly far: TestNamespace

  private constructor(near: TestNamespace, far: TestNamespace) {
    this.near = near
    this.far = far
  }

  static async create(): Promise<TestNetwork> {
    const [near, far] = await Promise.all([TestNamespace.create(), TestNamespace.create()])
    // Several queues: for which one, Linux takes a packet apart.
    near.ip(`link add near numtxqueues 2 numrxqueues 2 type veth peer name far netns ${far.pid}`)
    for (const [namespace, end] of [
      [near, NEAR],
      [far, FAR],
    ] as const) {
      namespace.ip(`addr add ${end.address}/24 dev ${end.interface}`)
      // Without nodad the address would be of no use for a second.
      namespace.ip(`addr add ${end.address6}/64 dev ${end.interface} nodad`)
      namespace.ip(`link set ${end.interface} up`)
    }
    // Until Linux has seen that the cable is there, it drops what is sent.
    while (!near.ip(`link show ${NEAR.interface}`).includes('state UP')) sleep()
    while (!far.ip(`link show ${FAR.interface}`).includes('state UP')) sleep()
    return new TestNetwork(near, far)
  }

  /** A datagram that comes in at `near`. */
  receive(): void {
    this.far.send(NEAR.address)
  }

  /** A datagram that goes out at `near`. */
  transmit(): void {
    this.near.send(FAR.address)
  }

  /** A packet of segment routing that comes in at `near`, with this segment (an address of IPv6) before its last one. */
  receiveSegments(segment: string): void {
    this.far.ip(`-6 route replace ${segment}/128 via ${NEAR.address6} dev far`)
    this.far.ip(`-6 route replace fd89::/64 encap seg6 mode encap segs ${segment},fd88::ffff dev far`)
    this.far.send('fd89::1')
  }

  [Symbol.dispose](): void {
    this.near[Symbol.dispose]()
    this.far[Symbol.dispose]()
  }
}
