/**
 * What XDP programs send packets through: devices (kernel/bpf/devmap.c, Linux 4.14), CPUs (cpumap.c, 4.15) and AF_XDP sockets (net/xdp/xskmap.c, 4.18).
 * Nothing travels here: the maps tell bpf_redirect_map() whether there is a target.
 */
import { BPF_MAP_FLAGS, BPF_MAP_TYPE, BPF_UPDATE_FLAGS } from '../../linux/map-types.js'
import { E2BIG, EBADF, EEXIST, EINVAL, ENODEV, EOPNOTSUPP, EOVERFLOW } from '../errors.js'
import type { Memory } from '../memory.js'
import { createArray, u32 } from './array.js'
import { createHash } from './hash.js'
import type { CpuState, MapAttributes, MapStorage } from './types.js'

const { BPF_NOEXIST, BPF_EXIST } = BPF_UPDATE_FLAGS
/** Flags of bpf_redirect_map() besides the verdict for a missing target. */
const BPF_F_BROADCAST = 8
const BPF_F_EXCLUDE_INGRESS = 16
/** Longest queue of a CPU, in packets. */
const MOST_QUEUED = 16384

/** @returns 1: it may be put in; 0: it is empty, and what is there goes; or a negative errno */
type Judge = (key: number, target: number, program: number) => number

/** BPF_MAP_TYPE_DEVMAP, by index, and BPF_MAP_TYPE_DEVMAP_HASH. @param interfaces indices of the network interfaces that there are */
export function createDeviceMap(
  memory: Memory,
  cpus: CpuState,
  attributes: MapAttributes,
  interfaces: ReadonlySet<number>,
): MapStorage {
  // What programs find, they may only read.
  const readOnly = { ...attributes, flags: attributes.flags | BPF_MAP_FLAGS.BPF_F_RDONLY_PROG }
  const judge: Judge = (_key, target, program) => {
    if (target === 0) return program > 0 ? EINVAL : 0
    // A program is given by its descriptor, and there are none here.
    return interfaces.has(target) && program <= 0 ? 1 : EINVAL
  }
  const flags = BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS
  if (attributes.type === BPF_MAP_TYPE.DEVMAP) return targetsInSlots(memory, cpus, readOnly, flags, judge)
  const hash = createHash(memory, cpus, readOnly, { perCpu: false, lru: false })
  return withTargets(hash, flags, {
    bufferSize: attributes.valueSize,
    lookup: (bytes, at) => hash.lookup(bytes, at),
    updateAll(bytes, at, value, valueAt, updateFlags) {
      if (updateFlags > BPF_EXIST || u32(value, valueAt) === 0) return EINVAL
      const isThere = hash.lookup(bytes, at) !== 0
      if (isThere && (updateFlags & BPF_NOEXIST) !== 0) return EEXIST
      const verdict = judge(0, u32(value, valueAt), programIn(attributes, value, valueAt))
      return verdict === 1 ? hash.updateAll(bytes, at, value, valueAt, 0) : verdict
    },
    delete: (bytes, at) => hash.delete(bytes, at),
  })
}

/** BPF_MAP_TYPE_CPUMAP: by CPU, how many packets its queue takes. */
export function createCpuMap(memory: Memory, cpus: CpuState, attributes: MapAttributes): MapStorage {
  return targetsInSlots(memory, cpus, attributes, 0, (key, queued, program) => {
    if (queued > MOST_QUEUED) return EOVERFLOW
    if (key >= cpus.possible) return ENODEV
    if (queued === 0) return 0
    return program > 0 ? EINVAL : 1
  })
}

/** BPF_MAP_TYPE_XSKMAP: sockets are put in by their descriptors, of which there are none here; so it stays empty. */
export function createSocketMap(memory: Memory, cpus: CpuState, attributes: MapAttributes): MapStorage {
  const slots = targetsInSlots(memory, cpus, attributes, 0, () => EBADF)
  return { ...slots, lookupAll: () => EOPNOTSUPP }
}

/** A target in each slot, or none: the first 32 bits of its value are 0 then. */
function targetsInSlots(
  memory: Memory,
  cpus: CpuState,
  attributes: MapAttributes,
  flags: number,
  judge: Judge,
): MapStorage {
  const { maxEntries, valueSize } = attributes
  const slots = createArray(memory, cpus, attributes, { perCpu: false })
  const nothing = new Uint8Array(valueSize)
  return withTargets(slots, flags, {
    bufferSize: valueSize,
    lookup(bytes, at) {
      const address = slots.lookup(bytes, at)
      return address === 0 || memory.i32[address >> 2] === 0 ? 0 : address
    },
    updateAll(bytes, at, value, valueAt, updateFlags) {
      const key = u32(bytes, at)
      if (updateFlags > BPF_EXIST) return EINVAL
      if (key >= maxEntries) return E2BIG
      if (updateFlags === BPF_NOEXIST) return EEXIST
      const verdict = judge(key, u32(value, valueAt), programIn(attributes, value, valueAt))
      if (verdict < 0) return verdict
      return verdict === 1
        ? slots.updateAll(bytes, at, value, valueAt, 0)
        : slots.updateAll(bytes, at, nothing, 0, 0)
    },
    delete: (bytes, at) => (u32(bytes, at) < maxEntries ? slots.updateAll(bytes, at, nothing, 0, 0) : EINVAL),
  })
}

/** What differs between maps of targets. */
type Targets = Pick<MapStorage, 'bufferSize' | 'lookup' | 'updateAll' | 'delete'>

/** @param values where the targets lie, and by which keys */
function withTargets(values: MapStorage, flags: number, targets: Targets): MapStorage {
  const key = new Uint8Array(4)
  return {
    ...targets,
    attributes: values.attributes,
    lookupAll: (bytes, at) => targets.lookup(bytes, at),
    // Programs look up, and no more.
    update: () => EINVAL,
    nextKey: (from, next) => values.nextKey(from, next),
    forEach: undefined,
    mapped: undefined,
    direct: undefined,
    redirect: {
      flags,
      hasTarget(index, given) {
        for (let i = 0; i < 4; i++) key[i] = index >>> (8 * i)
        return (given & BPF_F_BROADCAST & flags) !== 0 || targets.lookup(key, 0) !== 0
      },
    },
    destroy: () => values.destroy(),
  }
}

/** Descriptor of the program in a value; 0: it has none. */
function programIn({ valueSize }: MapAttributes, value: Uint8Array, at: number): number {
  return valueSize > 4 ? u32(value, at + 4) | 0 : 0
}
