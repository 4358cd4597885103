/** Processes that end while programs are attached and a flood is read leave nothing in the kernel. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { TracePipe } from '../../lib/index.js'
import { KernelCensus, type KernelIds } from '../support/kernel-ids.js'
import { patience } from '../support/patience.js'
import { describeSince } from '../support/require-kernel.js'
import { mountTracefs, type Tracefs } from '../support/tracefs.js'

const CHILD = fileURLToPath(new URL('flood-child.mjs', import.meta.url))

interface Held extends KernelIds {
  readonly instances: readonly string[]
}

interface Flood {
  readonly process: ChildProcessByStdio<null, Readable, Readable>
  readonly held: Held
  /** Exit code or signal. */
  readonly end: Promise<number | string>
}

let tracefs: Tracefs
let census: KernelCensus
beforeAll(async () => {
  tracefs = await mountTracefs()
  census = new KernelCensus()
})
afterAll(async () => {
  census[Symbol.dispose]()
  await tracefs.close()
})

/** A process in mid-flood, which listens as `way` says. */
async function startFlood(way: 'signal' | 'handler' | 'uncaught'): Promise<Flood> {
  const child = spawn(process.execPath, [CHILD, way], {
    env: { ...process.env, TRACEFS: tracefs.path },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const end = once(child, 'exit').then(([code, signal]: (number | string | null)[]) => signal ?? code ?? 'unknown')
  let errors = ''
  child.stderr.on('data', (text) => (errors += String(text)))
  const first = await Promise.race([once(child.stdout, 'data'), end])
  if (!Array.isArray(first)) throw new Error(`the flood ended before it began: ${first}\n${errors}`)
  return { process: child, held: JSON.parse(String(first[0])) as Held, end }
}

/** Linux frees programs and maps a grace period after their last user is gone. */
function expectNothingLeft({ held }: Flood): Promise<void> {
  return vi.waitFor(
    () => {
      expect(census.remaining(held)).toEqual({ maps: [], programs: [], links: [] })
      const instances = readdirSync(`${tracefs.path}/instances`)
      expect(held.instances.filter((name) => instances.includes(name))).toEqual([])
    },
    { timeout: patience(10_000), interval: 100 },
  )
}

/** The readers' object has a user ring buffer: Linux 6.1. */
describeSince('6.1')('a process in mid-flood leaves nothing in the kernel', { timeout: patience(30_000) }, () => {
  it('holds something before', async () => {
    const flood = await startFlood('signal')
    expect(census.remaining(flood.held)).toEqual({
      maps: flood.held.maps,
      programs: flood.held.programs,
      links: flood.held.links,
    })
    expect(flood.held.links).toHaveLength(1)
    expect(flood.held.programs.length).toBeGreaterThan(3)
    expect(flood.held.maps.length).toBeGreaterThan(5)
    expect(flood.held.instances).toHaveLength(1)
    flood.process.kill('SIGTERM')
    await flood.end
  })

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('after %s that it does not handle', async (signal) => {
    const flood = await startFlood('signal')
    flood.process.kill(signal)
    expect(await flood.end).toBe(signal)
    await expectNothingLeft(flood)
  })

  it('after a SIGTERM whose handler calls process.exit()', async () => {
    const flood = await startFlood('handler')
    flood.process.kill('SIGTERM')
    expect(await flood.end).toBe(3)
    await expectNothingLeft(flood)
  })

  it('after an exception in a listener that nobody catches', async () => {
    const flood = await startFlood('uncaught')
    flood.process.kill('SIGUSR2')
    expect(await flood.end).toBe(1)
    await expectNothingLeft(flood)
  })

  it('after SIGKILL, once another trace pipe has been opened', async () => {
    const flood = await startFlood('signal')
    flood.process.kill('SIGKILL')
    expect(await flood.end).toBe('SIGKILL')
    expect(readdirSync(`${tracefs.path}/instances`)).toEqual(expect.arrayContaining([...flood.held.instances]))
    new TracePipe({ kernel: 'native', tracefs: tracefs.path }).close()
    await expectNothingLeft(flood)
  })
})
