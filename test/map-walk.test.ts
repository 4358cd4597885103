/** How maps are walked, with a kernel that does what is rare: buckets that don't fit, calls that are missing, keys that vanish. */
import { expect, it } from 'vitest'
import { systemError, type BpfError } from '../lib/errors.js'
import type { BatchOutcome, KernelMap, MapBatch } from '../lib/kernel.js'
import { errno } from '../lib/linux/errno.js'
import { MapWalk } from '../lib/map-walk.js'
import { code } from './support/errors.js'

const INFO = {
  name: 'm',
  id: 1,
  type: 1,
  keySize: 4,
  valueSize: 4,
  bufferSize: 4,
  maxEntries: 1_000,
  flags: 0,
}

const failure = (name: 'ENOSPC' | 'ENOTSUPP' | 'EINVAL' | 'EPERM'): BpfError =>
  systemError('bpf(BPF_MAP_LOOKUP_BATCH)', errno(name), "map 'm'")

/** Answers from a script; it fails a test that asks for more. */
function batching(answers: readonly ((batch: MapBatch) => BatchOutcome)[], maxEntries = 1_000): KernelMap {
  let asked = 0
  const map = {
    info: { ...INFO, maxEntries },
    batch: (_operation: string, batch: MapBatch) => {
      const answer = answers[asked++]
      if (answer === undefined) throw new Error('asked too often')
      return answer(batch)
    },
  }
  return map as unknown as KernelMap
}

const some =
  (count: number, end = false) =>
  (): BatchOutcome => ({ count, end, error: undefined })
const refused = (error: BpfError) => (): BatchOutcome => ({ count: 0, end: false, error })

const counts = (walk: MapWalk): number[] => [...walk.blocks('lookup')].map(({ count }) => count)

it('does not take a short batch for the end', () => {
  expect(counts(new MapWalk(batching([some(3), some(0), some(1), some(2, true)])))).toEqual([3, 1, 2])
})

it('passes the cursor on, and starts without one', () => {
  const seen: (readonly [boolean, number])[] = []
  const step = (next: number, end: boolean) => (batch: MapBatch) => {
    seen.push([batch.first, batch.cursor[0] ?? 0])
    batch.cursor[0] = next
    return { count: 1, end, error: undefined }
  }
  counts(new MapWalk(batching([step(7, false), step(9, false), step(0, true)])))
  expect(seen).toEqual([[true, 0], [false, 7], [false, 9]]) // prettier-ignore
})

it('grows on ENOSPC, from where it stood, and says so when that does not help', () => {
  const sizes: number[] = []
  const tooSmall = (batch: MapBatch): BatchOutcome => {
    sizes.push(batch.count)
    expect(batch.keys.length).toBe(4 * batch.count)
    return refused(failure('ENOSPC'))()
  }
  expect(counts(new MapWalk(batching([some(1), tooSmall, tooSmall, some(5, true)], 100_000)))).toEqual([1, 5])
  expect(sizes[1]).toBe(2 * (sizes[0] ?? 0))
  const never = Array.from({ length: 20 }, () => tooSmall)
  expect(code(() => counts(new MapWalk(batching(never, 50))))).toBe('ENOSPC')
})

it('gives other errors to the caller', () => {
  expect(code(() => counts(new MapWalk(batching([refused(failure('EPERM'))]))))).toBe('EPERM')
  // Once batches have worked, EINVAL isn't taken for a kernel without them.
  expect(code(() => counts(new MapWalk(batching([some(1), refused(failure('EINVAL'))]))))).toBe('EINVAL')
})

/** A hash without batches whose keys are a list: a key that is gone makes the walk start again, as in Linux. */
function keyed(keys: number[], onNextKey: () => void = () => {}): KernelMap & { batches: number } {
  const map = {
    info: INFO,
    batches: 0,
    batch() {
      map.batches++
      return refused(failure('ENOTSUPP'))()
    },
    nextKey(key: Uint8Array | null, next: Uint8Array) {
      onNextKey()
      const at = key === null ? -1 : keys.indexOf(new DataView(key.buffer).getUint32(0, true))
      const found = keys[at + 1]
      if (found === undefined) return false
      new DataView(next.buffer).setUint32(0, found, true)
      return true
    },
    lookup: (key: Uint8Array) => keys.includes(new DataView(key.buffer).getUint32(0, true)),
  }
  return map as unknown as KernelMap & { batches: number }
}

const keysOf = function* (walk: MapWalk): Generator<number> {
  for (const { keys } of walk.blocks('lookup')) yield new DataView(keys.buffer).getUint32(0, true)
}

it('goes key by key where there are no batches, and asks for them once', () => {
  const map = keyed([1, 2, 3])
  const walk = new MapWalk(map)
  expect([...keysOf(walk)]).toEqual([1, 2, 3])
  expect([...keysOf(walk)]).toEqual([1, 2, 3])
  expect(map.batches).toBe(1)
})

it('gives every key once although deletions make the walk start again', () => {
  const keys = Array.from({ length: 100 }, (_, i) => i)
  const seen: number[] = []
  for (const key of keysOf(new MapWalk(keyed(keys)))) {
    seen.push(key)
    // The current key, and the one that the walk stands on by now.
    for (const gone of key % 10 === 0 ? [key, key + 1] : []) {
      const at = keys.indexOf(gone)
      if (at >= 0) keys.splice(at, 1)
    }
  }
  expect(new Set(seen).size).toBe(seen.length)
  expect(seen.filter((key) => key % 10 !== 1)).toEqual(
    Array.from({ length: 100 }, (_, i) => i).filter((key) => key % 10 !== 1),
  )
})

it('says so when it had to give up', () => {
  // Whatever key the walk stands on is gone when it asks for the next one, and the first is there again.
  const keys = [1, 2, 3]
  let asked = 0
  const map = keyed(keys, () => {
    if (++asked > 1) keys.splice(0, 3, asked % 2 === 0 ? 2 : 1)
  })
  expect(code(() => [...keysOf(new MapWalk(map))])).toBe('ITERATION_ABORTED')
})
