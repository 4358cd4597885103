/** BPF_MAP_TYPE_QUEUE and BPF_MAP_TYPE_STACK: kernel/bpf/queue_stack_maps.c. Values in a ring; no keys. */
import { BPF_UPDATE_FLAGS } from '../../linux/map-types.js'
import { E2BIG, EINVAL, ENOENT } from '../errors.js'
import { Access, type Memory } from '../memory.js'
import { copy } from './array.js'
import { roundUp8, type MapAttributes, type MapStorage } from './types.js'

export interface QueueTraits {
  /** Last in, first out: a stack. */
  readonly lifo: boolean
}

export function createQueue(memory: Memory, attributes: MapAttributes, { lifo }: QueueTraits): MapStorage {
  const { valueSize, maxEntries, name } = attributes
  const stride = roundUp8(valueSize)
  const base = memory.alloc(stride * maxEntries, Access.none, 16, `values of map '${name}'`)
  /** The oldest value, and how many there are. */
  let head = 0
  let count = 0

  const slot = (index: number): number => base + ((head + index) % maxEntries) * stride
  const next = (): number => (count === 0 ? 0 : slot(lifo ? count - 1 : 0))

  function push(value: Uint8Array, at: number, flags: number): number {
    if (flags !== BPF_UPDATE_FLAGS.BPF_ANY && flags !== BPF_UPDATE_FLAGS.BPF_EXIST) return EINVAL
    if (count === maxEntries) {
      if (flags !== BPF_UPDATE_FLAGS.BPF_EXIST) return E2BIG
      head = (head + 1) % maxEntries
      count--
    }
    copy(memory, slot(count), value, at, valueSize)
    count++
    return 0
  }

  function take(): number {
    const address = next()
    if (address === 0) return ENOENT
    if (!lifo) head = (head + 1) % maxEntries
    count--
    return address
  }

  return {
    attributes,
    bufferSize: valueSize,
    lookup: () => 0,
    lookupAll: next,
    update: () => EINVAL,
    updateAll: (_bytes, _at, value, valueAt, flags) => push(value, valueAt, flags),
    delete: () => EINVAL,
    nextKey: () => EINVAL,
    takeAll: take,
    sequence: { push, take, peek: () => next() || ENOENT },
    forEach: undefined,
    mapped: undefined,
    direct: undefined,
    destroy: () => memory.free(base),
  }
}
