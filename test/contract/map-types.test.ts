/** Maps without an object, of the types that both kernels have. */
import { expect, it } from 'vitest'
import { createMap, mapById, openPinnedMap, type CreateMapOptions } from '../../lib/create-map.js'
import type { StandaloneMap } from '../../lib/standalone-map.js'
import { code } from '../support/errors.js'
import { describeContract, type TestedKernel, type TestKernel } from '../support/kernels.js'

function make<K = number, V = bigint>(tested: TestedKernel, options: CreateMapOptions): StandaloneMap<K, V> {
  return createMap<K, V>({ kernel: tested.make().choice, ...options })
}

const sorted = (values: Iterable<number>): number[] => [...values].toSorted((a, b) => a - b)
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** Bloom filters are in Linux since 5.16, BPF_MAP_LOOKUP_AND_DELETE_ELEM of hashes since 5.14. */
const describeMaps: typeof describeContract = (title, tests) => describeContract(title, tests, '5.16')

describeMaps('a map without an object', (tested) => {
  it('is created, written, read and closed', () => {
    using map = make(tested, { type: 'hash', name: 'counts', key: 'u32', value: 'u64', maxEntries: 8 })
    map.set(1, 10n)
    expect(map.get(1)).toBe(10n)
    expect(map).toMatchObject({ name: 'counts', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 8 })
    expect(map.id).toBeGreaterThan(0)
    map.close()
    expect(map.closed).toBe(true)
    expect(code(() => map.get(1))).toBe('CLOSED')
    map.close()
  })

  it('takes bytes where it has no types', () => {
    using map = make<Uint8Array, Uint8Array>(tested, {
      type: 'hash',
      keySize: 3,
      valueSize: 5,
      maxEntries: 2,
    })
    map.set(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3, 4, 5))
    expect(map.get(Uint8Array.of(1, 2, 3))).toEqual(Uint8Array.of(1, 2, 3, 4, 5))
    expect(code(() => map.set(Uint8Array.of(1), new Uint8Array(5)))).toBe('BAD_VALUE')
    expect(map.getBatch()).toHaveLength(1)
  })

  it('has structs, arrays and strings as types', () => {
    using map = make<{ port: number; address: Uint8Array }, { name: string; hits: bigint }>(tested, {
      type: 'hash',
      key: { port: 'u16', address: 'u8[4]' },
      value: { name: 'char[8]', hits: 'u64' },
      maxEntries: 2,
    })
    expect(map).toMatchObject({ keySize: 6, valueSize: 16 })
    const key = { port: 80, address: Uint8Array.of(127, 0, 0, 1) }
    map.set(key, { name: 'home', hits: 3n })
    expect([...map]).toEqual([[key, { name: 'home', hits: 3n }]])
  })

  it('takes types from an object file', () => {
    const file = new URL('../../bpf/test/contract.bpf.o', import.meta.url)
    using map = make<number, unknown>(tested, {
      type: 'array',
      value: 'struct pair',
      maxEntries: 2,
      file,
    })
    map.set(1, { left: -1, right: 2n, label: 'x' })
    expect(map.get(1)).toEqual({ left: -1, right: 2n, label: 'x' })
    expect(code(() => make(tested, { type: 'array', value: 'struct par', maxEntries: 2, file }))).toBe(
      'NOT_FOUND',
    )
  })

  it.each<[string, CreateMapOptions, RegExp]>([
    ['an unknown type', { type: 'hsh', maxEntries: 1 }, /no map type 'hsh'.*'hash'/],
    ['a missing size', { type: 'hash', key: 'u32', maxEntries: 1 }, /value/],
    ['missing maxEntries', { type: 'hash', key: 'u32', value: 'u32' }, /maxEntries/],
    ['an unknown scalar', { type: 'hash', key: 'u33', value: 'u32', maxEntries: 1 }, /no type 'u33'/],
    ['a fraction', { type: 'hash', key: 'u32', value: 'u32', maxEntries: 1.5 }, /maxEntries/],
    ['no entries', { type: 'hash', key: 'u32', value: 'u32', maxEntries: 0 }, /EINVAL/],
    ['a map of maps without an inner map', { type: 'hash_of_maps', key: 'u32', maxEntries: 1 }, /inner/],
    [
      'an unknown flag',
      { type: 'array', value: 'u32', maxEntries: 1, flags: ['BPF_F_MAP' as never] },
      /BPF_F_MAP/,
    ],
    ['an array with a long key', { type: 'array', keySize: 8, value: 'u32', maxEntries: 1 }, /EINVAL/],
    [
      'an mmap-able hash',
      { type: 'hash', key: 'u32', value: 'u32', maxEntries: 1, flags: ['BPF_F_MMAPABLE'] },
      /EINVAL/,
    ],
  ])('is refused with %s', (_what, options, message) => {
    expect(() => make(tested, options)).toThrow(message)
  })

  it('is opened by id, and is the same map', () => {
    const { choice } = tested.make()
    using map = createMap<number, bigint>({
      kernel: choice,
      type: 'hash',
      key: 'u32',
      value: 'u64',
      maxEntries: 8,
    })
    using same = mapById<number, bigint>(map.id, { kernel: choice, key: 'u32', value: 'u64' })
    same.set(3, 4n)
    expect(map.get(3)).toBe(4n)
    expect(code(() => mapById(map.id, { kernel: choice, key: 'u64' }))).toBe('BAD_VALUE')
    expect(code(() => mapById(0x7fff_fff0, { kernel: choice }))).toBe('ENOENT')
  })

  it('is frozen for user space', () => {
    using map = make<number, number>(tested, { type: 'array', value: 'u32', maxEntries: 2 })
    map.set(0, 7)
    expect(map.info.frozen).toBe(false)
    map.freeze()
    expect(map.info.frozen).toBe(true)
    expect(code(() => map.set(0, 8))).toBe('EPERM')
    expect(map.get(0)).toBe(7)
    // Linux 6.1 takes the map for busy.
    expect(code(() => map.freeze())).toMatch(/^(EPERM|EBUSY)$/)
  })
})

describeMaps('batches', (tested) => {
  const hash = (maxEntries: number): StandaloneMap<number, bigint> =>
    make(tested, { type: 'hash', key: 'u32', value: 'u64', maxEntries })

  it('write, read, take and delete thousands of entries', () => {
    using map = hash(10_000)
    expect(map.setBatch(range(10_000).map((i) => [i, BigInt(i)] as const))).toBe(10_000)
    expect(map.get(9_999)).toBe(9_999n)
    const all = map.getBatch()
    expect(all).toHaveLength(10_000)
    expect(new Set(all.map(([key]) => key)).size).toBe(10_000)
    expect(map.deleteBatch(range(5_000))).toBe(5_000)
    expect(sorted(map.keys())).toEqual(range(10_000).slice(5_000))
    expect(map.getAndDeleteBatch()).toHaveLength(5_000)
    expect(map.getBatch()).toEqual([])
  })

  it('do so without blocking the event loop', async () => {
    using map = hash(10_000)
    expect(await map.setBatchAsync(range(10_000).map((i) => [i, BigInt(i)] as const))).toBe(10_000)
    const all = await map.getBatchAsync()
    expect(sorted(all.map(([key]) => key))).toEqual(range(10_000))
    expect(all.every(([key, value]) => BigInt(key) === value)).toBe(true)
    expect(await map.deleteBatchAsync([1, 2, 2, 20_000, 3])).toBe(3)
    expect(await map.getAndDeleteBatchAsync()).toHaveLength(9_997)
    const seen: number[] = []
    for await (const [key] of map.set(5, 5n).entriesAsync()) seen.push(key)
    expect(seen).toEqual([5])
  })

  it('pass over keys that are not there', () => {
    using map = hash(8)
    map.setBatch([
      [1, 1n],
      [3, 3n],
    ])
    expect(map.deleteBatch([0, 1, 2, 3, 4])).toBe(2)
    expect(map.deleteBatch([])).toBe(0)
  })

  it('say which entry did not fit, and keep those before it', () => {
    using map = hash(4)
    expect(() => map.setBatch(range(6).map((i) => [i, 0n] as const))).toThrow(/E2BIG.*at entry 4/)
    expect(sorted(map.keys())).toEqual([0, 1, 2, 3])
  })

  it('keep to the update mode', () => {
    using map = hash(4)
    map.set(1, 1n)
    expect(code(() => map.setBatch([[1, 2n]], { mode: 'noexist' }))).toBe('EEXIST')
    expect(map.setBatch([[1, 2n]], { mode: 'exist' })).toBe(1)
    expect(map.get(1)).toBe(2n)
    expect(code(() => map.setBatch([[1, 2n]], { mode: 'never' as 'any' }))).toBe('BAD_VALUE')
  })

  it('write arrays, whose entries are not deleted', () => {
    using map = make<number, number>(tested, { type: 'array', value: 'u32', maxEntries: 3_000 })
    expect(map.setBatch(range(3_000).map((i) => [i, i * 2] as const))).toBe(3_000)
    expect([...map.values()]).toEqual(range(3_000).map((i) => i * 2))
    expect(code(() => map.deleteBatch([1]))).toBe('EINVAL')
    expect(code(() => map.clear())).toBe('EINVAL')
  })

  it('are cleared', () => {
    using map = hash(100)
    map.setBatch(range(100).map((i) => [i, 1n] as const))
    expect(map.clear()).toBe(100)
    expect(map.clear()).toBe(0)
  })
})

describeMaps('iterating a hash', (tested) => {
  const full = (count: number): StandaloneMap<number, number> => {
    const map = make<number, number>(tested, {
      type: 'hash',
      key: 'u32',
      value: 'u32',
      maxEntries: 2 * count,
    })
    map.setBatch(range(count).map((i) => [i, i] as const))
    return map
  }

  it('finds every entry once, however many batches it takes', () => {
    using map = full(20_000)
    const keys = [...map.keys()]
    expect(keys).toHaveLength(20_000)
    expect(sorted(keys)).toEqual(range(20_000))
  })

  it('is right while its entries are deleted', () => {
    using map = full(20_000)
    const seen: number[] = []
    for (const key of map.keys()) {
      map.delete(key)
      seen.push(key)
    }
    expect(sorted(seen)).toEqual(range(20_000))
    expect([...map]).toEqual([])
  })

  it('is right while others are deleted and inserted', () => {
    using map = full(20_000)
    const seen: number[] = []
    // Even keys stay; of odd ones, each is deleted at some time, and as many new ones come.
    let odd = 1
    for (const key of map.keys()) {
      seen.push(key)
      if (odd < 20_000) {
        map.delete(odd)
        map.set(100_000 + odd, 0)
        odd += 2
      }
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(sorted(seen.filter((key) => key < 20_000 && key % 2 === 0))).toEqual(
      range(10_000).map((i) => 2 * i),
    )
  })
})

describeMaps('a hash', (tested) => {
  it('gives and deletes in one step', () => {
    using map = make(tested, { type: 'hash', key: 'u32', value: 'u64', maxEntries: 2 })
    map.set(1, 5n)
    expect(map.getAndDelete(1)).toBe(5n)
    expect(map.getAndDelete(1)).toBeUndefined()
  })
})

describeMaps('a per-CPU map', (tested) => {
  it.each(['percpu_hash', 'percpu_array', 'lru_percpu_hash'])('%s has a value for each CPU', (type) => {
    const test = tested.make()
    using map = createMap<number, number[]>({
      kernel: test.choice,
      type,
      key: 'u32',
      value: 'u32',
      maxEntries: 4,
    })
    const cpus = map.info.bufferSize / 8
    const values = range(cpus).map((cpu) => cpu + 1)
    map.set(2, values)
    expect(map.get(2)).toEqual(values)
    expect(map.sum(2)).toBe((cpus * (cpus + 1)) / 2)
    expect(map.max(2)).toBe(cpus)
    expect(map.sum(2, (value) => BigInt(value))).toBe(BigInt((cpus * (cpus + 1)) / 2))
    expect(code(() => map.set(2, [...values, 1]))).toBe('BAD_VALUE')
    expect(new Map(map).get(2)).toEqual(values)
    expect(map.setBatch([[3, values]])).toBe(1)
    expect(map.getBatch().filter(([, [first]]) => first === 1)).toHaveLength(2)
  })

  it('adds up nothing where there is no key', () => {
    using map = make<number, number[]>(tested, {
      type: 'percpu_hash',
      key: 'u32',
      value: 'u32',
      maxEntries: 4,
    })
    expect(map.sum(1)).toBeUndefined()
    using plain = make<number, number>(tested, { type: 'hash', key: 'u32', value: 'u32', maxEntries: 4 })
    expect(code(() => plain.sum(1))).toBe('BAD_VALUE')
  })
})

describeMaps('queues and stacks', (tested) => {
  it('give first in, first out', () => {
    using queue = make<never, number>(tested, { type: 'queue', value: 'u32', maxEntries: 3 })
    queue.push(1).push(2).push(3)
    expect(code(() => queue.push(4))).toBe('E2BIG')
    expect(queue.peek()).toBe(1)
    queue.push(4, { mode: 'exist' })
    expect([queue.pop(), queue.pop(), queue.pop(), queue.pop()]).toEqual([2, 3, 4, undefined])
    expect(queue.peek()).toBeUndefined()
  })

  it('give last in, first out', () => {
    using stack = make<never, number>(tested, { type: 'stack', value: 'u32', maxEntries: 3 })
    stack.push(1).push(2).push(3)
    expect(code(() => stack.push(4))).toBe('E2BIG')
    stack.push(4, { mode: 'exist' })
    expect(stack.peek()).toBe(4)
    expect([stack.pop(), stack.pop(), stack.pop(), stack.pop()]).toEqual([4, 3, 2, undefined])
  })

  it('have no keys', () => {
    using queue = make<unknown, number>(tested, { type: 'queue', value: 'u32', maxEntries: 3 })
    expect(code(() => [...queue])).toBe('EINVAL')
    expect(code(() => queue.push(1, { mode: 'noexist' }))).toBe('EINVAL')
    expect(queue.push(1).clear()).toBe(1)
    using hash = make(tested, { type: 'hash', key: 'u32', value: 'u64', maxEntries: 2 })
    expect(code(() => hash.push(1n))).toBe('BAD_VALUE')
    expect(code(() => hash.pop())).toBe('BAD_VALUE')
  })
})

describeMaps('a bloom filter', (tested) => {
  it('never says no to what is in it', () => {
    using filter = make<never, number>(tested, {
      type: 'bloom_filter',
      value: 'u32',
      maxEntries: 1_000,
      mapExtra: 3,
    })
    for (let i = 0; i < 1_000; i++) filter.push(i)
    expect(range(1_000).every((i) => filter.mayContain(i))).toBe(true)
    const wrong = range(1_000).filter((i) => filter.mayContain(i + 1_000_000)).length
    expect(wrong).toBeLessThan(300)
    expect(code(() => filter.push(1, { mode: 'exist' }))).toBe('EINVAL')
    expect(code(() => filter.pop())).toMatch(/ENOTSUPP|EOPNOTSUPP/)
  })
})

describeMaps('a trie of prefixes', (tested) => {
  interface Prefix {
    readonly prefixlen: number
    readonly data: Uint8Array
  }
  const prefix = (text: string): Prefix => {
    const [address = '', length] = text.split('/')
    return { prefixlen: Number(length ?? 32), data: Uint8Array.from(address.split('.'), Number) }
  }
  const trie = (test: TestKernel): StandaloneMap<Prefix, number> =>
    createMap({
      kernel: test.choice,
      type: 'lpm_trie',
      key: { prefixlen: 'u32', data: 'u8[4]' },
      value: 'u32',
      maxEntries: 5,
    })

  it('finds the longest prefix', () => {
    using map = trie(tested.make())
    map.set(prefix('10.0.0.0/8'), 8).set(prefix('10.1.0.0/16'), 16).set(prefix('10.1.2.0/23'), 23)
    expect(map.get(prefix('10.1.3.4'))).toBe(23)
    expect(map.get(prefix('10.1.4.4'))).toBe(16)
    expect(map.get(prefix('10.2.0.0'))).toBe(8)
    expect(map.get(prefix('11.0.0.0'))).toBeUndefined()
    map.set(prefix('0.0.0.0/0'), 0)
    expect(map.get(prefix('11.0.0.0'))).toBe(0)
    expect(map.get(prefix('10.1.3.4/9'))).toBe(8)
    expect(map.delete(prefix('10.1.3.9/23'))).toBe(true)
    expect(map.delete(prefix('10.1.3.9/23'))).toBe(false)
    expect(map.get(prefix('10.1.3.4'))).toBe(16)
  })

  it('refuses what is no prefix, and is full at max_entries', () => {
    using map = trie(tested.make())
    expect(code(() => map.set(prefix('1.2.3.4/33'), 1))).toBe('EINVAL')
    expect(code(() => map.set(prefix('1.2.3.4/8'), 1, { mode: 'exist' }))).toBe('ENOENT')
    map.set(prefix('1.2.3.4/8'), 1)
    expect(code(() => map.set(prefix('1.9.9.9/8'), 1, { mode: 'noexist' }))).toBe('EEXIST')
    for (let i = 2; i < 6; i++) map.set(prefix(`${i}.0.0.0/8`), i)
    expect(code(() => map.set(prefix('9.0.0.0/8'), 1))).toBe('ENOSPC')
  })

  it('is walked from the more specific prefixes to the others, and emptied', () => {
    using map = trie(tested.make())
    for (const [i, text] of [
      '10.0.0.0/8',
      '10.1.0.0/16',
      '0.0.0.0/0',
      '192.168.0.0/16',
      '10.1.128.0/17',
    ].entries())
      map.set(prefix(text), i)
    const order = [...map.values()]
    expect(order).toHaveLength(5)
    expect(order.indexOf(4)).toBeLessThan(order.indexOf(1))
    expect(order.indexOf(1)).toBeLessThan(order.indexOf(0))
    expect(order.at(-1)).toBe(2)
    for (const key of map.keys()) map.delete(key)
    expect([...map]).toEqual([])
    map.set(prefix('1.0.0.0/8'), 1)
    expect(map.clear()).toBe(1)
  })
})

describeMaps('a least-recently-used hash', (tested) => {
  it('takes new entries when it is full', () => {
    using map = make<number, number>(tested, { type: 'lru_hash', key: 'u32', value: 'u32', maxEntries: 64 })
    for (let i = 0; i < 1_000; i++) map.set(i, i)
    expect(map.get(999)).toBe(999)
    const left = [...map.keys()].length
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(64)
  })
})

describeMaps('maps of maps', (tested) => {
  it.each(['array_of_maps', 'hash_of_maps'])('%s holds maps, and tells their ids', (type) => {
    const { choice } = tested.make()
    const inner = (maxEntries = 4): StandaloneMap<number, number> =>
      createMap({ kernel: choice, type: 'hash', key: 'u32', value: 'u32', maxEntries })
    using template = inner()
    using outer = createMap<number>({
      kernel: choice,
      type,
      key: 'u32',
      maxEntries: 4,
      inner: template,
    })
    template.close()
    using first = inner()
    using second = inner(8)
    outer.set(1, first)
    expect(outer.get(1)).toBe(first.id)
    outer.set(1, second)
    expect(outer.get(1)).toBe(second.id)
    expect(outer.get(2)).toBeUndefined()
    const { id } = second
    second.close()
    using again = mapById<number, number>(id, { kernel: choice, key: 'u32', value: 'u32' })
    again.set(7, 8)
    expect(again.get(7)).toBe(8)
    expect(outer.delete(1)).toBe(true)
    expect(outer.get(1)).toBeUndefined()
    using other = createMap({ kernel: choice, type: 'array', value: 'u32', maxEntries: 4 })
    expect(code(() => outer.set(1, other))).toBe('EINVAL')
  })
})

describeMaps('mapped memory', (tested) => {
  it('is read and written without the kernel', () => {
    using map = make<number, number>(tested, {
      type: 'array',
      value: 'u32',
      maxEntries: 1_000,
      flags: ['BPF_F_MMAPABLE'],
    })
    const view = map.view()
    expect(view.length).toBe(1_000)
    view.set(7, 42)
    expect(map.get(7)).toBe(42)
    map.set(999, 1)
    expect(view.get(999)).toBe(1)
    expect(view.get(1_000)).toBeUndefined()
    expect(view.get(-1)).toBeUndefined()
    expect(code(() => view.set(1_000, 1))).toBe('BAD_VALUE')
    expect([...view].filter((value) => value !== 0)).toEqual([42, 1])
    expect(map.memory?.length).toBe(999 * 8 + 4)
    map.close()
    expect(code(() => view.get(0))).toBe('CLOSED')
  })

  it('is not there in other maps', () => {
    using map = make<number, number>(tested, { type: 'array', value: 'u32', maxEntries: 10 })
    expect(map.memory).toBeUndefined()
    expect(code(() => map.view())).toBe('UNSUPPORTED')
  })
})

describeMaps('a pin', (tested) => {
  it.skipIf(tested.name === 'native')('keeps a map alive until it is removed', () => {
    const { choice } = tested.make()
    const map = createMap<number, number>({ kernel: choice, type: 'array', value: 'u32', maxEntries: 2 })
    map.set(1, 5).pin('/sys/fs/bpf/kept')
    expect(code(() => map.pin('/sys/fs/bpf/kept'))).toBe('EEXIST')
    map.close()
    using again = openPinnedMap<number, number>('/sys/fs/bpf/kept', { kernel: choice, value: 'u32' })
    expect(again.get(1)).toBe(5)
    again.unpin('/sys/fs/bpf/kept')
    expect(code(() => openPinnedMap('/sys/fs/bpf/kept', { kernel: choice }))).toBe('ENOENT')
  })

  it('that is not there is ENOENT', () => {
    expect(code(() => openPinnedMap('/sys/fs/bpf/no/such/pin', { kernel: tested.make().choice }))).toBe(
      'ENOENT',
    )
  })
})
