import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { patience } from '../support/patience.js'
import { describeSince } from '../support/require-kernel.js'
import { isSanitized, isVirtual } from '../support/this-machine.js'

const CHILD = fileURLToPath(new URL('lifecycle-child.mjs', import.meta.url))

/** How many one after the other. Each takes an emulated processor ten seconds, and one with sanitizers two. */
const WORKERS = isVirtual ? 4 : isSanitized ? 5 : 20

/** The object that fills the ring uses bpf_loop(). */
const BPF_LOOP = '5.17'

interface Ending {
  readonly code: number | string
  readonly output: string
  readonly errors: string
}

/** Runs a scenario of lifecycle-child.mjs in a process of its own. */
function run(scenario: string): Promise<Ending> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--expose-gc', CHILD, scenario, String(WORKERS)], { timeout: patience(30_000) }, (error, stdout, stderr) => {
      const code = error === null ? 0 : (error.signal ?? error.code ?? 'unknown')
      resolve({ code, output: stdout.trim(), errors: stderr })
    })
  })
}

describeSince(BPF_LOOP)('a worker that ends', { timeout: patience(40_000) }, () => {
  it.each([
    ['terminated in mid-stream', 'terminate'],
    ['by process.exit() in its sink', 'workerExit'],
    ['by an exception in its sink', 'workerThrow'],
    ['terminated while an object is being loaded', 'workerLoad'],
  ])('%s takes the process not with it', async (_, scenario) => {
    expect(await run(scenario)).toMatchObject({ code: 0, output: `${WORKERS} workers ended` })
  })
})

describeSince(BPF_LOOP)('a process with an open reader', { timeout: patience(40_000) }, () => {
  it('ends by process.exit() in the sink, with its code', async () => {
    expect((await run('exitInSink')).code).toBe(7)
  })

  it('ends by process.exit() in mid-stream, with its code', async () => {
    expect((await run('exitBesideStream')).code).toBe(7)
  })

  it('ends by an exception in the sink that nobody catches', async () => {
    const { code, errors } = await run('uncaught')
    expect(code).toBe(1)
    expect(errors).toContain('Error: on purpose')
  })

  it('goes on where uncaught exceptions are handled', async () => {
    expect(await run('listenerThrows')).toMatchObject({ code: 0, output: 'batch 1, batch 2, batch 3' })
  })

  it('gets exceptions of a consume() as uncaught ones too', async () => {
    expect(await run('throwInConsume')).toMatchObject({ code: 0, output: '3 0 on purpose' })
  })

  it('ends by itself after unref()', async () => {
    expect(await run('unref')).toMatchObject({ code: 0 })
  })

  it('stays alive by it, even paused', async () => {
    expect(await run('refPaused')).toMatchObject({ code: 0, output: 'still alive' })
  })

  it('sleeps while the ring is silent', async () => {
    expect(await run('idle')).toMatchObject({ code: 0, output: 'asleep' })
  })
})

describeSince(BPF_LOOP)('garbage collection', { timeout: patience(40_000) }, () => {
  it('takes closed readers only', async () => {
    expect(await run('gc')).toMatchObject({ code: 0, output: '33 33 33' })
  })

  it('leaves the memory of a map that was collected', async () => {
    expect(await run('memoryOutlivesMap')).toMatchObject({ code: 0, output: 'true' })
  })
})

describeSince(BPF_LOOP)('the addon', { timeout: patience(40_000) }, () => {
  it('survives methods called on what they do not belong to', async () => {
    expect(await run('hostileThis')).toMatchObject({ code: 0, output: 'handled' })
  })
})
