/** Types of maps that the native kernel alone has, and what depends on Linux itself. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  createMap,
  mapById,
  mapFromFd,
  openPinnedMap,
  type CreateMapOptions,
} from '../../lib/create-map.js'
import { MAP_TYPES } from '../../lib/linux/map-types.js'
import { open } from '../../lib/open.js'
import { openPidfd } from '../../lib/pidfd.js'
import type { Program } from '../../lib/program.js'
import type { StandaloneMap } from '../../lib/standalone-map.js'
import { cgroupRoot } from '../support/cgroups.js'
import { code } from '../support/errors.js'
import { patience } from '../support/patience.js'
import { describeSince, linuxIsAtLeast, SYSCALL_PROGRAMS } from '../support/require-kernel.js'

function make<K = number, V = unknown>(options: CreateMapOptions): StandaloneMap<K, V> {
  return createMap<K, V>({ kernel: 'native', ...options })
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** This process's descriptors for things of a kind, as /proc names it. */
function ownDescriptors(kind: string): readonly number[] {
  const kindOf = (fd: string): string => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // the one that the folder was read through
    }
  }
  return readdirSync('/proc/self/fd').filter((fd) => kindOf(fd) === kind).map(Number)
}

/** The objects hold `syscall` programs: Linux 5.14. */
const describeNative = describeSince(SYSCALL_PROGRAMS)

const TYPES: readonly (readonly [type: string, options: Partial<CreateMapOptions>])[] = [
  ['hash', { key: 'u32', value: 'u32' }],
  ['array', { value: 'u32' }],
  ['prog_array', {}],
  ['perf_event_array', { maxEntries: 2 }],
  ['percpu_hash', { key: 'u32', value: 'u32' }],
  ['percpu_array', { value: 'u32' }],
  ['stack_trace', { value: 'u64[127]' }],
  ['cgroup_array', {}],
  ['lru_hash', { key: 'u32', value: 'u32' }],
  ['lru_percpu_hash', { key: 'u32', value: 'u32', flags: ['BPF_F_NO_COMMON_LRU'] }],
  ['lpm_trie', { key: { prefixlen: 'u32', data: 'u8[16]' }, value: 'u32' }],
  ['devmap', {}],
  ['devmap_hash', { value: 'u32[2]' }],
  ['cpumap', { value: 'u32[2]', maxEntries: 1 }],
  ['xskmap', {}],
  ['sockmap', {}],
  ['sockhash', { key: 'u64' }],
  ['reuseport_sockarray', {}],
  ['queue', { value: 'u32' }],
  ['stack', { value: 'u32' }],
  ['bloom_filter', { value: 'u32' }],
  ['sk_storage', { value: 'u64', maxEntries: 0 }],
  ['inode_storage', { value: 'u64', maxEntries: 0 }],
  ['task_storage', { value: 'u64', maxEntries: 0 }],
  ['cgrp_storage', { value: { packets: 'u64', bytes: 'u64' }, maxEntries: 0 }],
  ['ringbuf', { maxEntries: 4096 }],
  ['user_ringbuf', { maxEntries: 4096 }],
  ['arena', { maxEntries: 4 }],
]

describeNative('every type of map', () => {
  it.for(TYPES)('is created: %s', ([type, options], { skip }) => {
    const since = MAP_TYPES.find(({ name }) => name === type)?.since ?? ''
    skip(!linuxIsAtLeast(since), `needs Linux ${since}`)
    using map = make({ type, maxEntries: 4, ...options })
    expect(map.type).toBe(type)
    expect(map.info.memlock).toBeGreaterThanOrEqual(0)
    using same = mapById(map.id, { kernel: 'native' })
    expect(same.type).toBe(type)
    using again = mapFromFd(map.fd ?? -1, { kernel: 'native' })
    expect(again.id).toBe(map.id)
  })

  it('has the types of its entries in the kernel', () => {
    using map = make({ type: 'hash', key: 'u32', value: { left: 'u64' }, maxEntries: 1 })
    expect(map.info.btfId).toBeGreaterThan(0)
    expect(map.info.btfValueType).toBeGreaterThan(0)
  })
})

describeNative('maps whose values are descriptors', () => {
  it('a prog array takes programs and gives their ids', () => {
    using object = open(new URL('../../bpf/test/contract.bpf.o', import.meta.url), { kernel: 'native' }).load()
    using map = make({ type: 'prog_array', maxEntries: 4 })
    const bump = object.program('bump')
    map.set(1, bump)
    expect(map.get(1)).toBe(bump.id)
    expect(map.get(0)).toBeUndefined()
    expect(map.delete(1)).toBe(true)
    expect(code(() => map.set(1, 0x7fff))).toBe('EBADF')
    expect(code(() => map.set(9, bump))).toBe('E2BIG')
  })

  it('sockmap, sockhash and socket storage take sockets of Node', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    await once(socket, 'connect')
    try {
      using sockmap = make({ type: 'sockmap', maxEntries: 2 })
      sockmap.set(1, socket)
      expect(sockmap.get(1)).toBeGreaterThan(0n)
      expect(sockmap.delete(1)).toBe(true)
      using sockhash = make<bigint>({ type: 'sockhash', key: 'u64', maxEntries: 4 })
      sockhash.set(7n, socket)
      expect([...sockhash.keys()]).toEqual([7n])
      expect([...sockhash.values()]).toHaveLength(1)
      using storage = make<unknown, bigint>({ type: 'sk_storage', value: 'u64' })
      storage.set(socket, 9n)
      expect(storage.get(socket)).toBe(9n)
      expect(code(() => storage.set('socket', 9n))).toBe('BAD_VALUE')
    } finally {
      socket.destroy()
      server.close()
    }
  })

  it('task storage takes a process, inode storage an open file', () => {
    using tasks = make<unknown, bigint>({ type: 'task_storage', value: 'u64' })
    using own = openPidfd(process.pid, { kernel: 'native' })
    expect(tasks.get(own)).toBeUndefined()
    tasks.set(own, 12n)
    expect(tasks.get(own)).toBe(12n)
    expect(tasks.delete(own)).toBe(true)
    expect(code(() => openPidfd(0x3fff_ffff, { kernel: 'native' }))).toBe('ESRCH')

    const folder = mkdtempSync(join(tmpdir(), 'inode-'))
    writeFileSync(join(folder, 'file'), '')
    const fd = openSync(join(folder, 'file'), 'r')
    try {
      using inodes = make<unknown, bigint>({ type: 'inode_storage', value: 'u64' })
      inodes.set({ fd }, 3n)
      expect(inodes.get({ fd })).toBe(3n)
    } finally {
      closeSync(fd)
      rmSync(folder, { recursive: true })
    }
  })

  it('an xskmap and a reuseport array take sockets that come from elsewhere', { timeout: patience(20_000) }, async () => {
    // A process of its own inherits them: Node can't make such sockets, nor receive them.
    const [helper, child] = ['../support/with-sockets.pl', 'inherited-sockets-child.mjs'].map((file) =>
      fileURLToPath(new URL(file, import.meta.url)),
    ) as [string, string]
    const { stdout } = await promisify(execFile)('perl', [helper, process.execPath, child])
    expect(JSON.parse(stdout)).toEqual({
      xskmap: { replaced: 'ok', missing: 'ENOENT', deleted: true, deletedAgain: 'ENOENT', otherSocket: 'EOPNOTSUPP' },
      reuseport: { isCookie: true, empty: true, deleted: true, deletedTwice: false, otherSocket: 'ENOTSUPP' },
    })
  })

  it('a perf event array takes perf events', () => {
    using source = make({ type: 'perf_event_array' })
    // Its buffer opens one for each CPU.
    using _buffer = source.perfBuffer()
    const fd = ownDescriptors('anon_inode:[perf_event]')[0] ?? -1
    using map = make({ type: 'perf_event_array', maxEntries: 2 })
    expect(map.delete(1)).toBe(false)
    map.set(1, { fd })
    expect(code(() => map.get(1))).toMatch(/ENOTSUPP|EOPNOTSUPP/)
    expect(map.delete(1)).toBe(true)
    expect(map.delete(1)).toBe(false)
    expect(code(() => map.set(0, { fd: 0x7fff }))).toBe('EBADF')
  })

  it('device and CPU maps take programs beside their numbers', () => {
    using object = open(new URL('../../bpf/test/redirect.bpf.o', import.meta.url), { kernel: 'native' }).load()
    const { on_device: onDevice, on_cpu: onCpu, plain } = object.programs as Record<string, Program>
    if (onDevice === undefined || onCpu === undefined) throw new Error('no programs')
    const lo = 1

    using devices = make({ type: 'devmap', value: { ifindex: 'u32', program: 'u32' }, maxEntries: 4 })
    devices.set(0, { ifindex: lo, program: onDevice }).set(1, { ifindex: lo, program: onDevice.fd })
    expect(devices.get(0)).toEqual({ ifindex: lo, program: onDevice.id })
    expect(devices.get(1)).toEqual(devices.get(0))
    expect(devices.delete(0)).toBe(true)
    expect(devices.get(0)).toBeUndefined()
    expect(code(() => devices.set(0, { ifindex: lo, program: plain }))).toBe('EINVAL')
    expect(code(() => devices.set(0, { ifindex: 0x7fff_ffff, program: 0 }))).toBe('EINVAL')

    using pairs = make({ type: 'devmap', value: 'u32[2]', maxEntries: 1 })
    pairs.set(0, [lo, onDevice])
    expect(pairs.get(0)).toEqual([lo, onDevice.id])

    const hash = object.map<number>('devices')
    hash.set(77, { ifindex: lo, bpf_prog: { fd: onDevice } })
    expect(hash.get(77)).toMatchObject({ ifindex: lo, bpf_prog: { id: onDevice.id } })
    expect(hash.delete(77)).toBe(true)

    const cpus = object.map<number>('cpus')
    cpus.set(0, { qsize: 64, bpf_prog: { fd: onCpu } })
    expect(cpus.get(0)).toMatchObject({ qsize: 64, bpf_prog: { id: onCpu.id } })
    // Whatever keeps Linux from making the entry, it says so.
    expect(code(() => cpus.set(0, { qsize: 64, bpf_prog: { fd: onDevice } }))).toMatch(/^(ENOMEM|EINVAL)$/)
    expect(cpus.delete(0)).toBe(true)
  })

  it('a device map takes interfaces, a CPU map queue lengths', () => {
    using devices = make<number, number>({ type: 'devmap_hash', maxEntries: 4 })
    devices.set(7, 1).set(9, 1)
    expect(new Map(devices)).toEqual(new Map([[7, 1], [9, 1]])) // prettier-ignore
    using cpus = make<number, number>({ type: 'cpumap', maxEntries: 1 })
    cpus.set(0, 64)
    expect(cpus.get(0)).toBe(64)
  })

  it('reads what has no batches key by key, also while it is emptied', () => {
    using devices = make<number, number>({ type: 'devmap_hash', maxEntries: 500 })
    for (const key of range(500)) devices.set(key, 1)
    const seen: number[] = []
    for (const key of devices.keys()) {
      seen.push(key)
      devices.delete(key)
    }
    expect(seen.toSorted((a, b) => a - b)).toEqual(range(500))
    devices.set(1, 1).set(2, 1)
    expect(devices.clear()).toBe(2)
    expect(devices.setBatch([[3, 1]])).toBe(1)
    expect(devices.deleteBatch([3, 4])).toBe(1)
  })
})

describeSince('6.2')('a cgroup array and cgroup storage', () => {
  it('take an open folder', () => {
    const fd = openSync(cgroupRoot(), 'r')
    try {
      using map = make({ type: 'cgroup_array', maxEntries: 2 })
      map.set(0, { fd })
      expect(code(() => map.get(0))).toMatch(/ENOTSUPP|EOPNOTSUPP/)
      expect(map.delete(0)).toBe(true)
      using storage = make<unknown, bigint>({ type: 'cgrp_storage', value: 'u64' })
      expect(storage.get({ fd })).toBeUndefined()
      storage.set({ fd }, 4n)
      expect(storage.get(fd)).toBe(4n)
      expect(storage.delete(fd)).toBe(true)
    } finally {
      closeSync(fd)
    }
  })
})

describeNative('locked values', () => {
  it('are read and written under their spin lock', () => {
    using object = open(new URL('../../bpf/test/native_maps.bpf.o', import.meta.url), { kernel: 'native' }).load()
    const map = object.map<number, Record<string, unknown>>('locked')
    map.set(0, {}, { lock: true })
    expect(map.get(0, { lock: true })).toBeDefined()
    expect(code(() => object.map('hash').get(1, { lock: true }))).toBe('EINVAL')
  })
})

describeSince('6.9')('an arena', () => {
  it('is memory', () => {
    using map = make({ type: 'arena', maxEntries: 4 })
    const bytes = map.memory
    expect(bytes?.length).toBe(4 * 4096)
    bytes?.fill(7, 4096, 4100)
    expect(map.memory?.[4099]).toBe(7)
    map.close()
    expect(bytes?.length).toBe(0)
  })
})

describeNative('frozen and mapped maps', () => {
  it('are not frozen while they are mapped', () => {
    using map = make({ type: 'array', value: 'u64', maxEntries: 4, flags: ['BPF_F_MMAPABLE'] })
    map.view()
    expect(code(() => map.freeze())).toBe('EBUSY')
  })

  it('are not mapped when they are frozen', () => {
    using map = make({ type: 'array', value: 'u64', maxEntries: 4, flags: ['BPF_F_MMAPABLE'] })
    map.freeze()
    expect(map.memory).toBeUndefined()
  })
})

describeNative('descriptors that are no maps', () => {
  it('are refused', () => {
    const file = openSync('/proc/self/status', 'r')
    try {
      expect(code(() => mapFromFd(file, { kernel: 'native' }))).toBe('EINVAL')
      expect(code(() => mapFromFd(0x7ffe, { kernel: 'native' }))).toBe('EINVAL')
    } finally {
      closeSync(file)
    }
  })
})

describeNative('batches below the seam', () => {
  it('check buffers before the kernel writes into them', () => {
    using map = make({ type: 'hash', key: 'u32', value: 'u64', maxEntries: 8 })
    const { kernelMap } = map
    const batch = {
      first: true,
      cursor: new Uint8Array(4),
      keys: new Uint8Array(32),
      values: new Uint8Array(64),
      count: 8,
      flags: 0,
    }
    expect(code(() => kernelMap.batch('lookup', { ...batch, keys: new Uint8Array(31) }))).toBe('BAD_VALUE')
    expect(code(() => kernelMap.batch('lookup', { ...batch, values: new Uint8Array(63) }))).toBe('BAD_VALUE')
    expect(code(() => kernelMap.batch('lookup', { ...batch, cursor: new Uint8Array(3) }))).toBe('BAD_VALUE')
    expect(code(() => kernelMap.batch('lookup', { ...batch, count: 0xffff_ffff }))).toBe('BAD_VALUE')
    expect(code(() => kernelMap.batch('lookup', { ...batch, count: -1 }))).toBe('BAD_VALUE')
    expect(kernelMap.batch('lookup', batch)).toEqual({ count: 0, end: true, error: undefined })
  })

  it('go on when the map is closed before they end', async () => {
    const map = make<number, number>({ type: 'hash', key: 'u32', value: 'u32', maxEntries: 1_000 })
    map.setBatch(range(1_000).map((i) => [i, i] as const))
    const entries = map.getBatchAsync()
    map.close()
    expect((await entries).length).toBeGreaterThan(0)
  })

  it('fill a per-CPU batch by all possible CPUs', () => {
    using map = make<number, number[]>({ type: 'percpu_hash', key: 'u32', value: 'u8[3]', maxEntries: 300 })
    const cpus = map.info.bufferSize / 8
    for (const key of range(300)) map.set(key, range(cpus).map((cpu) => Uint8Array.of(cpu, key & 255, 1)) as never)
    for (const [key, values] of map.getBatch())
      expect(values).toEqual(range(cpus).map((cpu) => Uint8Array.of(cpu, key & 255, 1)))
  })
})

describeNative('pins', () => {
  let holder: ChildProcess
  let folder = ''
  beforeAll(async () => {
    // A BPF file system that nobody else sees, reached through the process that mounted it.
    const script = 'mount -t bpf bpf /mnt && echo ready && exec sleep 60'
    holder = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script])
    if (holder.stdout === null) throw new Error('the child has no output')
    await once(holder.stdout, 'data')
    folder = `/proc/${holder.pid ?? 0}/root/mnt`
  })
  afterAll(() => holder.kill())

  it('keep a map alive, and are removed', () => {
    const map = make<number, number>({ type: 'hash', key: 'u32', value: 'u32', maxEntries: 4 })
    map.set(1, 2).pin(`${folder}/map`)
    expect(code(() => map.pin(`${folder}/map`))).toBe('EEXIST')
    map.close()
    using again = openPinnedMap<number, number>(`${folder}/map`, { kernel: 'native', key: 'u32', value: 'u32' })
    expect(again.get(1)).toBe(2)
    again.unpin(`${folder}/map`)
    expect(code(() => again.unpin(`${folder}/map`))).toBe('ENOENT')
    expect(code(() => openPinnedMap(`${folder}/map`, { kernel: 'native' }))).toBe('ENOENT')
  })

  it('are for BPF file systems', () => {
    using map = make({ type: 'hash', key: 'u32', value: 'u32', maxEntries: 4 })
    expect(() => map.pin('/tmp/map')).toThrow(/mount -t bpf/)
  })
})
