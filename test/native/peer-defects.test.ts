/**
 * Defects that other bindings of libbpf have or had, each under its name. Others have tests where they belong: too short a buffer for a
 * per-CPU value in map.test.ts, a batch shorter than asked for and ENOSPC in map-walk.test.ts, handles and threads at a worker's end in
 * lifecycle.test.ts and readers-lifecycle.test.ts.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMap, open, type BpfObject } from '../../lib/index.js'
import { objectPath } from '../support/kernels.js'
import { patience } from '../support/patience.js'
import { describeNative, describeSince } from '../support/require-kernel.js'

/** bpf_loop(), which fills the ring. */
describeSince('5.17')('a ring that is never empty', () => {
  let object: BpfObject
  beforeEach(() => {
    object = open(objectPath('test/readers'), { kernel: 'native' }).load()
  })
  afterEach(() => object.close())

  const send = (first: number, count: number): void => {
    object.program('send_events').run({ ctx: new Uint8Array(Uint32Array.of(first, count).buffer) })
  }

  it('does not starve timers (an unbounded drain)', async () => {
    using reader = object.map('events').ringBuffer({ batchRecords: 16 })
    let seen = 0
    // Each record brings the next one.
    reader.on('event', () => send(++seen, 1))
    send(0, 1)
    await sleep(1)
    const early = seen
    await sleep(1)
    expect(seen).toBeGreaterThan(early)
  })

  it('gives each record once, in order, through batches that hold fewer (a positive return does not stop libbpf)', () => {
    using reader = object.map('events').ringBuffer<{ readonly number: bigint }>({ type: 'event', batchRecords: 3 })
    const seen: bigint[] = []
    send(0, 50)
    reader.on('batch', ({ count }) => expect(count).toBeLessThanOrEqual(3))
    reader.on('event', ({ number }) => seen.push(number))
    expect(reader.flush()).toBe(50)
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => BigInt(i)))
  })
})

describeNative('a walk over ten thousand entries', () => {
  it('gives all of them, once (a short batch taken for the end)', () => {
    using map = createMap<number, number>({ kernel: 'native', type: 'hash', key: 'u32', value: 'u32', maxEntries: 10_000 })
    map.setBatch(Array.from({ length: 10_000 }, (_, key) => [key, key] as const))
    const keys = [...map.keys()]
    expect(keys).toHaveLength(10_000)
    expect(new Set(keys).size).toBe(10_000)
    expect(map.getBatch()).toHaveLength(10_000)
  })
})

const CHILD = fileURLToPath(new URL('memlock-child.mjs', import.meta.url))
const hasTools = ['setpriv', 'prlimit'].every((tool) => spawnSync(tool, ['--version']).status === 0)

/** From this Linux on memory of maps counts for a cgroup, and not for RLIMIT_MEMLOCK. */
describeSince('5.11')('a limit of locked memory that nobody may raise', { timeout: patience(20_000) }, () => {
  describe.runIf(hasTools)('in a process without CAP_SYS_RESOURCE', () => {
    it('does not stand in the way, and stays as it was', () => {
      const limited = ['--memlock=65536:65536', 'setpriv', '--bounding-set', '-sys_resource', process.execPath, CHILD]
      const result = JSON.parse(execFileSync('prlimit', limited, { encoding: 'utf8' })) as object
      expect(result).toEqual({ before: [65_536, 65_536], after: [65_536, 65_536], read: 2 })
    })
  })
})
