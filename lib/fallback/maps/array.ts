/** BPF_MAP_TYPE_ARRAY and BPF_MAP_TYPE_PERCPU_ARRAY: kernel/bpf/arraymap.c. All values lie in one block, zero at the start. */
import { BPF_MAP_FLAGS, BPF_UPDATE_FLAGS } from '../../linux/map-types.js'
import { Access, type Memory } from '../memory.js'
import { E2BIG, EEXIST, EINVAL, ENOENT } from '../errors.js'
import {
  roundUp8,
  valueAccess,
  type CpuState,
  type MapAttributes,
  type MapStorage,
  type Range,
} from './types.js'

const { BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK } = BPF_UPDATE_FLAGS
const NO_INDEX = 0xffffffff
/** Inaccessible bytes behind each value that user space can't map: a step into the neighbour is caught. */
const GUARD = 16

/** What sets an array apart from others of its type. */
export interface ArrayTraits {
  readonly perCpu: boolean
}

export function createArray(
  memory: Memory,
  cpus: CpuState,
  attributes: MapAttributes,
  { perCpu }: ArrayTraits,
): MapStorage {
  const { valueSize, maxEntries, flags, name } = attributes
  /** Bytes from one value to the next as user space sees them, and here. */
  const userStride = roundUp8(valueSize)
  const isMapped = (flags & BPF_MAP_FLAGS.BPF_F_MMAPABLE) !== 0
  const stride = isMapped || maxEntries === 1 ? userStride : userStride + GUARD
  const copies = perCpu ? cpus.possible : 1
  /** Bytes of all values that one CPU sees. */
  const plane = stride * maxEntries
  const base = memory.alloc(plane * copies, Access.none, 16, `value of map '${name}'`)
  if (isMapped) memory.protect(base, plane, valueAccess(flags))
  else memory.protectRepeated(base, valueSize, stride, maxEntries * copies, valueAccess(flags))
  let keyScratch = 0

  const indexOf = (bytes: Uint8Array, at: number): number => u32(bytes, at)
  const copyOf = (cpu: number, index: number): number => base + cpu * plane + index * stride
  const own = (): number => (perCpu ? cpus.current : 0)

  function refusal(index: number, updateFlags: number): number {
    // Linux looks at BPF_F_LOCK after all else; no value here has a lock. Per-CPU arrays don't know the flag.
    const locked = !perCpu && (updateFlags & BPF_F_LOCK) !== 0
    if (updateFlags - (locked ? BPF_F_LOCK : 0) > BPF_EXIST) return EINVAL
    if (index >= maxEntries) return E2BIG
    if ((updateFlags & BPF_NOEXIST) !== 0) return EEXIST
    return locked ? EINVAL : 0
  }

  // Per-CPU copies lie far apart here, but user space sees them side by side: gathered in a block of their own.
  let gathered = 0
  function gather(index: number): number {
    if (gathered === 0)
      gathered = memory.alloc(userStride * copies, Access.none, 16, `copies of map '${name}'`)
    for (let cpu = 0; cpu < copies; cpu++) {
      const from = copyOf(cpu, index)
      memory.u8.copyWithin(gathered + cpu * userStride, from, from + userStride)
    }
    return gathered
  }

  const whole: Range = { address: base, size: plane }
  // Nothing is shown behind the last value.
  const shown: Range = { address: base, size: plane - stride + valueSize }
  return {
    attributes,
    bufferSize: perCpu ? userStride * copies : valueSize,
    lookup(bytes, at) {
      const index = indexOf(bytes, at)
      return index < maxEntries ? copyOf(own(), index) : 0
    },
    lookupAll(bytes, at) {
      const index = indexOf(bytes, at)
      if (index >= maxEntries) return 0
      return perCpu ? gather(index) : copyOf(0, index)
    },
    update(bytes, at, value, valueAt, updateFlags) {
      const index = indexOf(bytes, at)
      const error = refusal(index, updateFlags)
      if (error === 0) copy(memory, copyOf(own(), index), value, valueAt, valueSize)
      return error
    },
    updateAll(bytes, at, value, valueAt, updateFlags) {
      const index = indexOf(bytes, at)
      const error = refusal(index, updateFlags)
      if (error !== 0) return error
      for (let cpu = 0; cpu < copies; cpu++) {
        copy(memory, copyOf(cpu, index), value, valueAt + cpu * userStride, valueSize)
      }
      return 0
    },
    delete: () => EINVAL,
    layout: {
      kind: 'array',
      keySize: 4,
      base,
      stride,
      maxEntries,
      perCpuStride: perCpu ? plane : 0,
      valueSize,
      access: valueAccess(flags),
    },
    batches: { removable: false },
    nextKey(key, next) {
      const index = key === null ? NO_INDEX : u32(key, 0)
      if (index === maxEntries - 1) return ENOENT
      putU32(next, 0, index < maxEntries ? index + 1 : 0)
      return 0
    },
    forEach(visit) {
      if (keyScratch === 0) keyScratch = memory.alloc(4, Access.read, 8, `key of map '${name}'`)
      for (let index = 0; index < maxEntries; index++) {
        putU32(memory.u8, keyScratch, index)
        if (!visit(keyScratch, copyOf(own(), index))) return index + 1
      }
      return maxEntries
    },
    mapped: isMapped ? shown : undefined,
    direct: perCpu || maxEntries !== 1 ? undefined : whole,
    destroy() {
      memory.free(base)
      if (keyScratch !== 0) memory.free(keyScratch)
      if (gathered !== 0) memory.free(gathered)
    },
  }
}

const SMALL = 64

/** Copies a value into the kernel's memory, from there or from elsewhere. */
export function copy(memory: Memory, to: number, from: Uint8Array, at: number, size: number): void {
  const target = memory.u8
  if (from === target) target.copyWithin(to, at, at + size)
  // A view costs as much as copying that many bytes one by one.
  else if (size > SMALL) target.set(from.subarray(at, at + size), to)
  else for (let i = 0; i < size; i++) target[to + i] = from[at + i] ?? 0
}

/** A little-endian 32-bit number. The caller knows that the bytes are there. */
export function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)) >>>
    0
  )
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}
