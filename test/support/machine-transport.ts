/** A virtual machine's kernel, asked from outside: its bpf() at the end of a serial line. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
    options: { readonly timeoutMs: number; readonly signal: AbortSignal; readonly channel: string },
  ) => Promise<unknown>
}

const DAY_MS = 86_400_000
const PORT = '/dev/ttyS2'

async function scripts(): Promise<Scripts> {
  const load = async (name: string): Promise<Partial<Scripts>> =>
    (await import(new URL(`../../scripts/vm/${name}.mjs`, import.meta.url).href)) as Partial<Scripts>
  return Object.assign({}, await load('emulator'), await load('kernels'), await load('machine')) as Scripts
}

/**
 * Boots a kernel, and waits until it listens. Needs root, as `npm run test:vm` does.
 *
 * @param name as `npm run test:vm -- --kernel` takes it
 */
export async function machineTransport(name: string): Promise<Transport & { readonly release: string }> {
  const { provideEmulator, provideKernel, runInMachine } = await scripts()
  const folder = mkdtempSync(join(tmpdir(), 'remote-bpf-'))
  const program = compileRemote(folder)
  const channel = join(folder, 'line')
  const server = createServer()
  server.listen(channel)
  const abort = new AbortController()
  const kernel = provideKernel(name)
  const ended = runInMachine(provideEmulator(), kernel, [folder, program, PORT], {
    timeoutMs: DAY_MS,
    signal: abort.signal,
    channel,
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
