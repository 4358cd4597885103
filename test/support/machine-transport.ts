/** A virtual machine's kernel, asked from outside: its bpf() at the end of a line. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PRIVILEGES, type Privileges } from '../../lib/linux/capabilities.js'
import { compileRemote, type Transport } from './remote-bpf.js'

interface Kernel {
  readonly release: string
}

/** What scripts/vm gives; it has no types. */
interface Scripts {
  readonly provideEmulator: () => unknown
  readonly provideKernel: (name: string) => Kernel
  readonly runInMachine: (
    emulator: unknown,
    kernel: Kernel,
    command: readonly string[],
    options: {
      readonly timeoutMs: number
      readonly signal: AbortSignal
      readonly channel: string
      readonly append: string
    },
  ) => Promise<unknown>
  readonly CHANNEL: string
}

/** What is in effect, as two halves of 64 bits, by what `privileges` calls it. */
export const CAPABILITIES = {
  /** CAP_NET_ADMIN and CAP_BPF. */
  bpf: [1 << 12, 1 << (39 - 32)],
  none: [0, 0],
} as const satisfies Readonly<Record<Exclude<Privileges, 'all'>, readonly [number, number]>>

/** @throws Error for what is no name */
export function privilegesOf(name = 'all'): Privileges {
  const found = PRIVILEGES.find((one) => one === name)
  if (found === undefined) throw new Error(`no privileges '${name}': there are ${PRIVILEGES.join(', ')}`)
  return found
}

const DAY_MS = 86_400_000
const ALLOW_EVERYBODY = 'echo 0 > /proc/sys/kernel/unprivileged_bpf_disabled && exec "$0" "$1"'

async function scripts(): Promise<Scripts> {
  const load = async (name: string): Promise<Partial<Scripts>> =>
    (await import(new URL(`../../scripts/vm/${name}.mjs`, import.meta.url).href)) as Partial<Scripts>
  return Object.assign({}, await load('emulator'), await load('kernels'), await load('machine')) as Scripts
}

/**
 * Boots a kernel, and waits until it listens. Needs root, as `npm run test:vm` does.
 *
 * @param name as `npm run test:vm -- --kernel` takes it
 * @param forEverybody whether programs may be loaded without capabilities; the kernel then defends itself against speculation, too
 */
export async function machineTransport(
  name: string,
  forEverybody = false,
): Promise<Transport & { readonly release: string }> {
  const { provideEmulator, provideKernel, runInMachine, CHANNEL } = await scripts()
  const folder = mkdtempSync(join(tmpdir(), 'remote-bpf-'))
  const program = compileRemote(folder)
  const channel = join(folder, 'line')
  const server = createServer()
  server.listen(channel)
  const abort = new AbortController()
  const kernel = provideKernel(name)
  const command = forEverybody ? ['/bin/sh', '-c', ALLOW_EVERYBODY, program, CHANNEL] : [program, CHANNEL]
  const ended = runInMachine(provideEmulator(), kernel, [folder, ...command], {
    timeoutMs: DAY_MS,
    signal: abort.signal,
    channel,
    // Where the kernel doesn't defend itself against its processor, the verifier doesn't either.
    append: forEverybody ? 'mitigations=auto' : '',
  })
  const [line] = (await Promise.race([
    once(server, 'connection'),
    ended.then(() => Promise.reject(new Error('the machine ended before it answered'))),
  ])) as [Socket]
  await listening(line)
  return {
    release: kernel.release,
    input: line,
    output: line,
    async [Symbol.asyncDispose]() {
      line.destroy()
      server.close()
      abort.abort()
      await ended
      rmSync(folder, { recursive: true })
    },
  }
}

/** Up to the byte that says so; what firmware and kernel say before is passed over. */
async function listening(line: Socket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      if (!chunk.includes('!')) return
      line.off('data', read)
      line.pause()
      resolve()
    }
    line.on('data', read)
    line.once('close', () => reject(new Error('the machine has gone before it was ready')))
  })
}
