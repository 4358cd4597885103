/**
 * Networks of a test's own: namespaces that live as long as a process that the test started, so that nothing is left behind, whatever happens.
 *
 * Commands run in them through nsenter(1); bash sends packets, since it starts quickly and is everywhere.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { plainEnvironment } from './plain-environment.js'

/** A network namespace of its own, with nothing but a loopback interface, which is up. */
export class TestNamespace implements Disposable {
  readonly #keeper: ChildProcess
  readonly pid: number

  private constructor(keeper: ChildProcess, pid: number) {
    this.#keeper = keeper
    this.pid = pid
  }

  static async create(): Promise<TestNamespace> {
    // cat ends when this process does: its input is closed then.
    const keeper = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
    const { pid, stdin, stdout } = keeper
    if (pid === undefined) throw new Error('unshare did not start')
    // An echo says that the namespace is there.
    stdin.write('\n')
    await once(stdout, 'data')
    const namespace = new TestNamespace(keeper, pid)
    namespace.ip('link set lo up')
    return namespace
  }

  /** What stands for it in the file system. */
  get path(): string {
    return `/proc/${this.pid}/ns/net`
  }

  run(command: string, ...args: readonly string[]): string {
    return execFileSync('nsenter', [`--net=${this.path}`, '--', command, ...args], {
      encoding: 'utf8',
      env: plainEnvironment(),
      stdio: 'pipe',
    })
  }

  ip(words: string): string {
    return this.run('ip', ...words.split(' '))
  }

  tc(words: string): string {
    return this.run('tc', ...words.split(' '))
  }

  /** Sends one UDP datagram, whether or not somebody listens. */
  send(address: string, port = 9): void {
    this.run('bash', '-c', `echo packet > /dev/udp/${address}/${port}`)
  }

  [Symbol.dispose](): void {
    this.#keeper.stdin?.end()
    this.#keeper.kill()
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
