/** A BPF file system that nobody else sees: mounted in the namespace of a process that the test started, and reached through it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export class TestBpffs implements Disposable {
  readonly #holder: ChildProcess
  readonly path: string

  private constructor(holder: ChildProcess, path: string) {
    this.#holder = holder
    this.path = path
  }

  static async mount(): Promise<TestBpffs> {
    // cat ends when this process does: its input is closed then.
    const script = 'mount -t bpf bpf /mnt && echo ready && exec cat'
    const holder = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(holder.stdout, 'data')
    return new TestBpffs(holder, `/proc/${holder.pid ?? 0}/root/mnt`)
  }

  [Symbol.dispose](): void {
    this.#holder.stdin?.end()
    this.#holder.kill()
  }
}
