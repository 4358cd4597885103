/** Where the elements of maps lie: what is used again, what is guarded, and when a ring buffer wakes its consumer. */
import { describe, expect, it } from 'vitest'
import { createMap } from '../../lib/fallback/maps/create.js'
import { RB_FORCE_WAKEUP, RB_NO_WAKEUP, RingBufferMap } from '../../lib/fallback/maps/ring-buffer.js'
import type { MapAttributes, MapStorage } from '../../lib/fallback/maps/types.js'
import { Access, Memory } from '../../lib/fallback/memory.js'
import { BPF_MAP_FLAGS as F, BPF_MAP_TYPE as T } from '../../lib/linux/map-types.js'

const ATTRIBUTES: MapAttributes = {
  name: 'm',
  type: T.HASH,
  keySize: 4,
  valueSize: 8,
  maxEntries: 4,
  flags: 0,
  mapExtra: 0n,
}
const CPUS = { possible: 2, current: 0 }

const key = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
const set = (map: MapStorage, k: number, byte: number): number =>
  map.update(key(k), 0, new Uint8Array(8).fill(byte), 0, 0)

describe('elements of a hash', () => {
  it('are used again when they were deleted', () => {
    const memory = new Memory()
    const map = createMap(memory, CPUS, ATTRIBUTES)
    set(map, 0, 1)
    const used = memory.usedBytes
    for (let i = 0; i < 100; i++) {
      expect(map.delete(key(i), 0)).toBe(0)
      expect(set(map, i + 1, 1)).toBe(0)
    }
    expect(memory.usedBytes).toBe(used)
  })

  it('are used again when they were replaced, in a full map too', () => {
    const memory = new Memory()
    const map = createMap(memory, CPUS, ATTRIBUTES)
    for (let k = 0; k < 4; k++) set(map, k, k)
    set(map, 0, 9)
    const used = memory.usedBytes
    for (let i = 0; i < 100; i++) expect(set(map, i % 4, i)).toBe(0)
    expect(memory.usedBytes).toBe(used)
    expect(Array.from({ length: 4 }, (_, k) => memory.u8[map.lookup(key(k), 0)])).toEqual([96, 97, 98, 99])
  })

  it('show their old value until the next replacement takes them', () => {
    const memory = new Memory()
    const map = createMap(memory, CPUS, ATTRIBUTES)
    set(map, 1, 10)
    set(map, 2, 20)
    const old = map.lookup(key(1), 0)
    set(map, 1, 11)
    expect(memory.u8[old]).toBe(10)
    expect(memory.u8[map.lookup(key(1), 0)]).toBe(11)
    set(map, 2, 21)
    expect(map.lookup(key(2), 0)).toBe(old)
    expect(memory.u8[old]).toBe(21)
  })

  it('stay apart: an element that was deleted and inserted again is in one chain', () => {
    const map = createMap(new Memory(), CPUS, ATTRIBUTES)
    for (let round = 0; round < 3; round++) {
      for (let k = 0; k < 4; k++) expect(set(map, k, k)).toBe(0)
      expect(set(map, 4, 4)).toBe(-7)
      for (let k = 0; k < 4; k++) expect(map.delete(key(k), 0)).toBe(0)
      expect(map.nextKey(null, new Uint8Array(4))).toBe(-2)
    }
  })
})

describe('values of an array', () => {
  const accessible = (memory: Memory, address: number, size: number): boolean =>
    memory.accessible(address, size, Access.readWrite)

  it.each([
    [T.ARRAY, 8],
    [T.ARRAY, 5],
    [T.ARRAY, 100],
    [T.PERCPU_ARRAY, 8],
    [T.PERCPU_ARRAY, 12],
  ])('are guarded from one another (type %i, %i bytes)', (type, valueSize) => {
    const memory = new Memory()
    const map = createMap(memory, CPUS, { ...ATTRIBUTES, type, valueSize, maxEntries: 37 })
    for (let index = 0; index < 37; index++) {
      const address = map.lookup(key(index), 0)
      expect(accessible(memory, address, valueSize)).toBe(true)
      expect(accessible(memory, address + valueSize, 1)).toBe(false)
      expect(accessible(memory, address - 1, 1)).toBe(false)
    }
  })

  it('are contiguous where user space maps them', () => {
    const memory = new Memory()
    const map = createMap(memory, CPUS, { ...ATTRIBUTES, type: T.ARRAY, flags: F.BPF_F_MMAPABLE })
    expect(map.mapped).toEqual({ address: map.lookup(key(0), 0), size: 32 })
    expect(map.lookup(key(3), 0) - map.lookup(key(0), 0)).toBe(24)
  })

  it('come to user space as they are, whatever lies between them', () => {
    const memory = new Memory()
    const cpus = { ...CPUS }
    const map = createMap(memory, cpus, { ...ATTRIBUTES, type: T.PERCPU_ARRAY })
    for (cpus.current = 0; cpus.current < 2; cpus.current++) set(map, 3, 7 + cpus.current)
    const all = map.lookupAll(key(3), 0)
    expect([...memory.u8.subarray(all, all + map.bufferSize)]).toEqual([
      ...new Uint8Array(8).fill(7),
      ...new Uint8Array(8).fill(8),
    ])
  })

  it('may be read or written by programs as the flags say', () => {
    const rights = (flags: number): readonly boolean[] => {
      const memory = new Memory()
      const address = createMap(memory, CPUS, { ...ATTRIBUTES, type: T.ARRAY, flags }).lookup(key(0), 0)
      return [Access.read, Access.write, Access.readWrite].map((access) =>
        memory.accessible(address, 8, access),
      )
    }
    expect(rights(0)).toEqual([true, true, true])
    expect(rights(F.BPF_F_RDONLY_PROG)).toEqual([true, false, false])
    expect(rights(F.BPF_F_WRONLY_PROG)).toEqual([false, true, false])
  })
})

describe('a ring buffer', () => {
  function ring(): { readonly ring: RingBufferMap; readonly wakeUps: () => number } {
    const made = new RingBufferMap(new Memory(), {
      ...ATTRIBUTES,
      type: T.RINGBUF,
      keySize: 0,
      valueSize: 0,
      maxEntries: 4096,
    })
    let count = 0
    made.subscribe(() => count++)
    return { ring: made, wakeUps: () => count }
  }
  const takeAll = (from: RingBufferMap): void => {
    const into = new Uint8Array(4096)
    for (let length = from.nextLength(); length >= 0; length = from.nextLength()) from.take(length, into, 0)
  }

  it('wakes a consumer that has caught up, and no other', () => {
    const { ring: made, wakeUps } = ring()
    const send = (flags = 0): number => made.commit(made.reserve(8), flags, false)
    send()
    expect(wakeUps()).toBe(1)
    send()
    send()
    expect(wakeUps()).toBe(1)
    takeAll(made)
    send()
    expect(wakeUps()).toBe(2)
    send(RB_FORCE_WAKEUP)
    expect(wakeUps()).toBe(3)
    takeAll(made)
    send(RB_NO_WAKEUP)
    expect(wakeUps()).toBe(3)
  })

  it('wakes for the record that the consumer waits for, whichever is committed first', () => {
    const { ring: made, wakeUps } = ring()
    const first = made.reserve(8)
    const second = made.reserve(8)
    made.commit(second, 0, false)
    expect([wakeUps(), made.readable]).toEqual([0, false])
    made.commit(first, 0, false)
    expect([wakeUps(), made.readable]).toEqual([1, true])
  })

  it('wakes after each of its rounds as in the first one', () => {
    const { ring: made, wakeUps } = ring()
    for (let i = 1; i <= 1000; i++) {
      made.commit(made.reserve(40), 0, false)
      expect(wakeUps()).toBe(i)
      takeAll(made)
    }
  })
})
