import { describe, expect, it } from 'vitest'
import { createMap, ringBufferSize } from '../../lib/fallback/maps/create.js'
import type { MapAttributes, MapStorage } from '../../lib/fallback/maps/types.js'
import { Access, Memory } from '../../lib/fallback/memory.js'
import { BPF_MAP_FLAGS as F, BPF_MAP_TYPE as T } from '../../lib/linux/map-types.js'
import { code } from '../support/errors.js'

const ENOENT = -2
const E2BIG = -7
const EEXIST = -17
const EINVAL = -22

function make(
  attributes: Partial<MapAttributes>,
  memory = new Memory(),
  cpus = { possible: 2, current: 0 },
): MapStorage {
  return createMap(memory, cpus, {
    name: 'm',
    type: T.HASH,
    keySize: 4,
    valueSize: 8,
    maxEntries: 4,
    flags: 0,
    mapExtra: 0n,
    ...attributes,
  })
}

const key = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
const value = (...bytes: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: 8 }, (_, i) => bytes[i] ?? 0)
const set = (map: MapStorage, k: number, byte: number, flags = 0): number =>
  map.updateAll(key(k), 0, value(byte), 0, flags)

function keysOf(map: MapStorage): number[] {
  const keys: number[] = []
  const next = new Uint8Array(4)
  for (let error = map.nextKey(null, next); error === 0; error = map.nextKey(next.slice(), next)) {
    keys.push(new DataView(next.buffer).getUint32(0, true))
  }
  return keys
}

// What Linux 6.18 answered to bpf(BPF_MAP_CREATE).
describe('creating a map', () => {
  it.each<[string, Partial<MapAttributes>, string | undefined]>([
    ['a hash without entries', { maxEntries: 0 }, 'EINVAL'],
    ['a hash without a key', { keySize: 0 }, 'EINVAL'],
    ['a hash without a value', { valueSize: 0 }, 'EINVAL'],
    ['a hash with a long key', { keySize: 70_000 }, undefined],
    ['a hash with a value of 5 MB', { valueSize: 5_000_000 }, 'E2BIG'],
    ['an mmap-able hash', { flags: F.BPF_F_MMAPABLE }, 'EINVAL'],
    ['a hash without preallocation', { flags: F.BPF_F_NO_PREALLOC }, undefined],
    ['a hash that nobody may use', { flags: F.BPF_F_RDONLY_PROG | F.BPF_F_WRONLY_PROG }, 'EINVAL'],
    ['an array with a key of 8', { type: T.ARRAY, keySize: 8 }, 'EINVAL'],
    ['an array without preallocation', { type: T.ARRAY, flags: F.BPF_F_NO_PREALLOC }, 'EINVAL'],
    ['an mmap-able array', { type: T.ARRAY, flags: F.BPF_F_MMAPABLE }, undefined],
    ['an mmap-able per-CPU array', { type: T.PERCPU_ARRAY, flags: F.BPF_F_MMAPABLE }, 'EINVAL'],
    ['a per-CPU array with values of 32 KiB', { type: T.PERCPU_ARRAY, valueSize: 32_768 }, undefined],
    ['a per-CPU array with larger values', { type: T.PERCPU_ARRAY, valueSize: 32_769 }, 'E2BIG'],
    ['a ring of a page', { type: T.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 4096 }, undefined],
    ['a ring of 3 pages', { type: T.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 12_288 }, 'EINVAL'],
    ['a ring of half a page', { type: T.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 2048 }, 'EINVAL'],
    ['a ring of nothing', { type: T.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 0 }, 'EINVAL'],
    ['a ring with keys', { type: T.RINGBUF, keySize: 4, valueSize: 0, maxEntries: 4096 }, 'EINVAL'],
    ['a map with extra', { mapExtra: 1n }, 'EINVAL'],
    ['a type that is not simulated', { type: T.SOCKMAP }, 'UNSUPPORTED'],
  ])('%s', (_what, attributes, expected) => {
    expect(code(() => make(attributes))).toBe(expected)
  })

  it('names the type that is not simulated', () => {
    expect(() => make({ type: T.LPM_TRIE })).toThrow(/lpm_trie/)
  })

  it('rounds ring buffers up to what Linux takes, as libbpf does', () => {
    expect([0, 1, 4096, 4097, 12_288, 1 << 20].map(ringBufferSize)).toEqual([
      0,
      4096,
      4096,
      8192,
      16_384,
      1 << 20,
    ])
  })
})

describe('a hash', () => {
  it('answers updates as Linux does', () => {
    const map = make({ maxEntries: 2 })
    expect(set(map, 1, 1, 2)).toBe(ENOENT)
    expect(set(map, 1, 1, 1)).toBe(0)
    expect(set(map, 1, 1, 1)).toBe(EEXIST)
    expect(set(map, 1, 1, 3)).toBe(EINVAL)
    expect(set(map, 1, 1, 4)).toBe(EINVAL)
    expect(set(map, 2, 1)).toBe(0)
    expect(set(map, 3, 1)).toBe(E2BIG)
    expect(set(map, 2, 9, 2)).toBe(0)
    expect(map.delete(key(3), 0)).toBe(ENOENT)
    expect(map.delete(key(1), 0)).toBe(0)
    expect(set(map, 3, 1)).toBe(0)
  })

  it('holds what was put in, through growth, replacement and deletion', () => {
    const memory = new Memory({ initialBytes: 0x20000 })
    const map = make({ maxEntries: 5000, valueSize: 100 }, memory)
    const truth = new Map<number, number>()
    const unexpected: number[] = []
    for (let i = 0; i < 30_000; i++) {
      const k = (Math.imul(i, 0x9e3779b1) >>> 0) % 5000
      const there = truth.has(k)
      const remove = i % 3 === 2
      const error = remove
        ? map.delete(key(k), 0)
        : map.updateAll(key(k), 0, new Uint8Array(100).fill(i), 0, 0)
      if (error !== (remove && !there ? ENOENT : 0)) unexpected.push(i)
      if (remove) truth.delete(k)
      else truth.set(k, i & 0xff)
    }
    expect(unexpected).toEqual([])
    expect(new Set(keysOf(map))).toEqual(new Set(truth.keys()))
    for (const [k, byte] of truth) {
      const address = map.lookup(key(k), 0)
      expect([memory.u8[address], memory.u8[address + 99]]).toEqual([byte, byte])
    }
  })

  it('starts again from the beginning behind a key that is gone', () => {
    const map = make({ maxEntries: 10 })
    for (let k = 0; k < 10; k++) set(map, k, k)
    const before = keysOf(map)
    const next = new Uint8Array(4)
    map.delete(key(before[4] ?? 0), 0)
    expect(map.nextKey(key(before[4] ?? 0), next)).toBe(0)
    expect(next).toEqual(key(before[0] ?? 0))
    expect(keysOf(map)).toEqual(before.toSpliced(4, 1))
  })

  it('lets programs touch the value, read the key, and nothing else', () => {
    const memory = new Memory()
    const map = make({ valueSize: 13 }, memory)
    map.updateAll(key(1), 0, new Uint8Array(13), 0, 0)
    const address = map.lookup(key(1), 0)
    expect(memory.accessible(address, 13, Access.readWrite)).toBe(true)
    expect(memory.accessible(address + 13, 1, Access.read)).toBe(false)
    expect(memory.accessible(address - 8, 4, Access.readWrite)).toBe(false)
    expect(memory.accessible(address - 8, 4, Access.read)).toBe(true)
    expect(memory.accessible(address - 9, 1, Access.read)).toBe(false)
  })

  it('gives all its memory back', () => {
    const memory = new Memory()
    const map = make({ maxEntries: 1000 }, memory)
    for (let k = 0; k < 1000; k++) set(map, k, 1)
    map.destroy()
    expect(memory.usedBytes).toBe(0)
  })
})

describe('an array', () => {
  it('answers as Linux does', () => {
    const map = make({ type: T.ARRAY, maxEntries: 3 })
    expect(set(map, 3, 1)).toBe(E2BIG)
    expect(set(map, 0, 1, 1)).toBe(EEXIST)
    expect(set(map, 0, 1, 2)).toBe(0)
    expect(set(map, 0, 1, 4)).toBe(EINVAL)
    expect(map.delete(key(0), 0)).toBe(EINVAL)
    expect(map.lookup(key(3), 0)).toBe(0)
    expect(keysOf(map)).toEqual([0, 1, 2])
    expect(map.nextKey(key(2), new Uint8Array(4))).toBe(ENOENT)
    const next = key(9)
    expect(map.nextKey(key(7), next)).toBe(0)
    expect(next).toEqual(key(0))
  })

  it('of constants is read-only to programs', () => {
    const memory = new Memory()
    const map = make({ type: T.ARRAY, flags: F.BPF_F_RDONLY_PROG }, memory)
    const address = map.lookup(key(0), 0)
    expect(memory.accessible(address, 8, Access.read)).toBe(true)
    expect(memory.accessible(address, 1, Access.readWrite)).toBe(false)
  })
})

describe.each([
  ['array', T.PERCPU_ARRAY],
  ['hash', T.PERCPU_HASH],
])('a per-CPU %s', (_name, type) => {
  it('shows a program its own copy, and user space all of them', () => {
    const memory = new Memory()
    const cpus = { possible: 3, current: 0 }
    const map = make({ type, valueSize: 5 }, memory, cpus)
    expect(map.bufferSize).toBe(24)
    const all = new Uint8Array(24).map((_, i) => i)
    expect(map.updateAll(key(1), 0, all, 0, 0)).toBe(0)
    cpus.current = 2
    const own = map.lookup(key(1), 0)
    expect([...memory.u8.subarray(own, own + 5)]).toEqual([16, 17, 18, 19, 20])
    expect(memory.accessible(own, 5, Access.readWrite)).toBe(true)
    expect(map.update(key(1), 0, Uint8Array.of(1, 1, 1, 1, 1), 0, 0)).toBe(0)
    const together = map.lookupAll(key(1), 0)
    const seen = memory.u8.slice(together, together + 24)
    expect([seen[0], seen[8], seen[16], seen[20]]).toEqual([0, 8, 1, 1])
  })

  it('starts from zero on the other CPUs when a program makes the entry', () => {
    const memory = new Memory()
    const cpus = { possible: 2, current: 1 }
    const map = make({ type }, memory, cpus)
    expect(map.update(key(0), 0, value(7), 0, 0)).toBe(0)
    const together = map.lookupAll(key(0), 0)
    expect([memory.u8[together], memory.u8[together + 8]]).toEqual([0, 7])
  })
})
