import { afterEach, beforeEach, expect, it } from 'vitest'
import type { KernelObject } from '../../lib/kernel.js'
import { nativeKernel } from '../../lib/native/kernel.js'
import { code } from '../support/errors.js'
import { loadNative, readU32, u32 } from '../support/native.js'
import { describeNative, describeSince, SYSCALL_PROGRAMS } from '../support/require-kernel.js'

const BPF_NOEXIST = 1
const BPF_EXIST = 2
const BPF_F_LOCK = 4

let object: KernelObject
beforeEach(() => {
  object = loadNative('native_maps')
})
afterEach(() => object.close())

describeNative('a native map', () => {
  it('tells what the kernel knows of it', () => {
    const { id, ...info } = object.map('hash').info
    expect(id).toBeGreaterThan(0)
    expect(info).toEqual({ name: 'hash', type: 1, keySize: 4, valueSize: 8, bufferSize: 8, maxEntries: 4, flags: 0 })
  })

  it('stores, finds, walks and deletes entries of a hash', () => {
    const map = object.map('hash')
    const value = new Uint8Array(8)
    expect(map.lookup(u32(1), value, 0)).toBe(false)
    for (const key of [1, 2, 3]) map.update(u32(key), u32(key * 10, 0), 0)
    expect(map.lookup(u32(2), value, 0)).toBe(true)
    expect(readU32(value)).toBe(20)

    const keys: number[] = []
    const next = new Uint8Array(4)
    for (let key: Uint8Array | null = null; map.nextKey(key, next); key = next) keys.push(readU32(next))
    expect(keys.toSorted((a, b) => a - b)).toEqual([1, 2, 3])

    expect(map.delete(u32(2))).toBe(true)
    expect(map.delete(u32(2))).toBe(false)
    expect(map.lookup(u32(2), value, 0)).toBe(false)
  })

  it('keeps to the update flags, and says when it is full', () => {
    const map = object.map('hash')
    const value = new Uint8Array(8)
    expect(code(() => map.update(u32(1), value, BPF_EXIST))).toBe('ENOENT')
    map.update(u32(1), value, BPF_NOEXIST)
    expect(code(() => map.update(u32(1), value, BPF_NOEXIST))).toBe('EEXIST')
    for (const key of [2, 3, 4]) map.update(u32(key), value, 0)
    expect(() => map.update(u32(5), value, 0)).toThrow(/map 'hash'.*E2BIG.*maxEntries/)
  })

  it('refuses keys and values of the wrong size or kind, and goes on', () => {
    const map = object.map('hash')
    const value = new Uint8Array(8)
    for (const size of [0, 3, 5, 1 << 20]) {
      expect(code(() => map.lookup(new Uint8Array(size), value, 0))).toBe('BAD_VALUE')
      expect(code(() => map.update(u32(1), new Uint8Array(size), 0))).toBe('BAD_VALUE')
      expect(code(() => map.nextKey(null, new Uint8Array(size)))).toBe('BAD_VALUE')
    }
    const strange: unknown[] = [undefined, null, 7, '1234', [1, 2, 3, 4], new Int8Array(4), new DataView(new ArrayBuffer(4)), {}]
    for (const key of strange) {
      expect(code(() => map.lookup(key as Uint8Array, value, 0))).toBe('BAD_VALUE')
      expect(code(() => map.delete(key as Uint8Array))).toBe('BAD_VALUE')
    }
    for (const flags of [-1, 0.5, Number.NaN, 2 ** 40]) {
      expect(code(() => map.lookup(u32(1), value, flags))).toBe('BAD_VALUE')
    }
    const detached = u32(1)
    structuredClone(detached.buffer, { transfer: [detached.buffer as ArrayBuffer] })
    expect(code(() => map.lookup(detached, value, 0))).toBe('BAD_VALUE')
    map.update(u32(1), value, 0)
    expect(map.lookup(u32(1), value, 0)).toBe(true)
  })

  it('has a part for each possible CPU in a per-CPU value', () => {
    const map = object.map('percpu')
    const { possibleCpus } = nativeKernel()
    expect(map.info).toMatchObject({ valueSize: 4, bufferSize: 8 * possibleCpus })
    const value = new Uint8Array(map.info.bufferSize)
    for (let cpu = 0; cpu < possibleCpus; cpu++) value[cpu * 8] = cpu + 1
    map.update(u32(1), value, 0)
    const read = new Uint8Array(map.info.bufferSize)
    expect(map.lookup(u32(1), read, 0)).toBe(true)
    expect(read).toEqual(value)
    expect(code(() => map.lookup(u32(1), new Uint8Array(4), 0))).toBe('BAD_VALUE')
  })

  it('takes a key of no bytes where there are no keys', () => {
    const queue = object.map('queue')
    const none = new Uint8Array(0)
    const value = new Uint8Array(4)
    expect(queue.lookup(none, value, 0)).toBe(false)
    queue.update(none, u32(9), 0)
    expect(queue.lookup(none, value, 0)).toBe(true)
    expect(readU32(value)).toBe(9)
    expect(code(() => queue.update(u32(0), u32(9), 0))).toBe('BAD_VALUE')
  })

  it('reads and writes under the spin lock of a value', () => {
    const map = object.map('locked')
    map.update(u32(0), u32(0, 77), BPF_F_LOCK)
    const value = new Uint8Array(8)
    expect(map.lookup(u32(0), value, BPF_F_LOCK)).toBe(true)
    expect(readU32(value, 1)).toBe(77)
    expect(code(() => object.map('hash').lookup(u32(0), value, BPF_F_LOCK))).toBe('EINVAL')
  })

  it('refuses what its type cannot do', () => {
    expect(() => object.map('mapped').delete(u32(0))).toThrow(/EINVAL.*array/i)
    expect(() => object.map('.rodata').update(u32(0), u32(3), 0)).toThrow(/EPERM.*frozen/)
    expect(code(() => object.map('hash').openRing(() => {}, {
      batchBytes: 4096, batchRecords: 16, floodIntervalMs: 1, floodWakeups: 0, floodPeriodMs: 1,
    }))).toBe('EINVAL')
  })

  it('is closed any number of times, and opened again while the object lives', () => {
    const map = object.map('hash')
    map.update(u32(1), u32(1, 0), 0)
    map.close()
    map.close()
    expect(code(() => map.lookup(u32(1), new Uint8Array(8), 0))).toBe('CLOSED')
    expect(code(() => map.memory())).toBe('CLOSED')
    expect(object.map('hash').lookup(u32(1), new Uint8Array(8), 0)).toBe(true)
  })
})

/** The quick way chooses a map by number, and numbers are used again. */
describeNative('the scratch of a native map', () => {
  it('reads, writes and deletes, as other buffers do', () => {
    const map = object.map('hash')
    const { key, value } = map.scratch
    key.set(u32(1))
    value.set(u32(7, 8))
    expect(map.lookup(key, value, 0)).toBe(false)
    map.update(key, value, 0)
    value.fill(0)
    expect(map.lookup(key, value, 0)).toBe(true)
    expect(value).toEqual(new Uint8Array(u32(7, 8)))
    expect(map.delete(key)).toBe(true)
    expect(map.delete(key)).toBe(false)
    expect(map.lookup(u32(1), new Uint8Array(8), 0)).toBe(false)
  })

  it('says when the map is full, and names it', () => {
    const map = object.map('hash')
    const { key, value } = map.scratch
    const fill = (): void => {
      for (let i = 0; i < 5; i++) {
        key.set(u32(i))
        map.update(key, value, 0)
      }
    }
    expect(fill).toThrow(/map 'hash'.*E2BIG.*maxEntries/)
  })

  it('is of one map: a closed one does not reach the map that came after it', () => {
    const closed = object.map('hash')
    const { key, value } = closed.scratch
    closed.close()
    const next = object.map('hash')
    next.scratch.key.set(u32(1))
    next.update(next.scratch.key, next.scratch.value, 0)
    key.set(u32(1))
    for (const call of [closed.lookup, closed.update]) {
      expect(code(() => call.call(closed, key, value, 0))).toBe('CLOSED')
    }
    expect(code(() => closed.delete(key))).toBe('CLOSED')
    expect(next.lookup(next.scratch.key, next.scratch.value, 0)).toBe(true)
  })
})

describeNative('the memory of a native map', () => {
  it('has entries 8-byte aligned, and ends with the last one', () => {
    const map = object.map('mapped')
    const memory = map.memory()
    expect(memory?.length).toBe(16 + 16 + 12)
    map.update(u32(2), new Uint8Array(12).fill(7), 0)
    expect(memory?.subarray(32)).toEqual(new Uint8Array(12).fill(7))
  })

  it('is there for writable mmap-able arrays only', () => {
    for (const name of ['hash', 'percpu', 'locked', '.rodata']) expect(object.map(name).memory()).toBeUndefined()
  })

  it('becomes empty when the map is closed: no view reaches unmapped pages', () => {
    const map = object.map('.bss')
    const memory = map.memory()
    const view = new DataView(memory?.buffer ?? new ArrayBuffer(0))
    map.close()
    expect(memory?.length).toBe(0)
    expect(() => view.getUint32(0)).toThrow(TypeError)
  })
})

describeSince(SYSCALL_PROGRAMS)('the memory of a native map that a program uses', () => {
  it('is live in both directions, and the same at each call', () => {
    const map = object.map('.bss')
    const memory = map.memory()
    expect(memory?.length).toBe(map.info.valueSize)
    object.program('count').run({ ctx: u32(0) })
    expect(readU32(memory)).toBe(1)
    memory?.set(u32(41))
    expect(object.program('count').run({ ctx: u32(0) }).retval).toBe(42)
    expect(map.memory()).toBe(memory)
  })
})
