/**
 * BPF_MAP_TYPE_LPM_TRIE: kernel/bpf/lpm_trie.c. A key is a length in bits (u32) and data, most significant bit first; a look-up finds the
 * longest prefix that the data starts with. Linux 4.11.
 *
 * No trie here: prefixes of one length are a table, and a look-up asks the tables from the longest on. IPv4 addresses are numbers there, longer data is text.
 */
import { BPF_MAP_FLAGS, BPF_UPDATE_FLAGS } from '../../linux/map-types.js'
import { EEXIST, EINVAL, ENOENT, ENOSPC } from '../errors.js'
import { Access, type Memory } from '../memory.js'
import { copy, u32 } from './array.js'
import type { MapAttributes, MapStorage } from './types.js'

/** A number of up to 32 bits, the first byte highest; longer data as characters. */
type Data = number | string

interface Prefix {
  readonly length: number
  /** Data with the bits behind the prefix cleared. */
  readonly data: Data
  /** Of the value. */
  readonly address: number
  /** The key as it was given. */
  readonly key: Uint8Array
}

const LENGTH_BYTES = 4

export function createLpmTrie(memory: Memory, attributes: MapAttributes): MapStorage {
  const { keySize, valueSize, maxEntries, flags, name } = attributes
  const dataSize = keySize - LENGTH_BYTES
  const access = (flags & BPF_MAP_FLAGS.BPF_F_RDONLY_PROG) === 0 ? Access.readWrite : Access.read
  /** By length, then by data. */
  const tables: (Map<Data, Prefix> | undefined)[] = Array.from({ length: 8 * dataSize + 1 })
  /** Lengths that have a table, the longest first. */
  let lengths: readonly number[] = []
  let count = 0
  /** In the kernel's order of walking; undefined: to be sorted again. */
  let order: readonly Prefix[] | undefined

  function dataOf(bytes: Uint8Array, at: number, length: number): Data {
    if (dataSize > 4) return textOf(bytes, at, length)
    let number = 0
    for (let i = 0; i < dataSize; i++) number |= (bytes[at + LENGTH_BYTES + i] ?? 0) << (24 - 8 * i)
    return cut(number, length)
  }

  function textOf(bytes: Uint8Array, at: number, length: number): string {
    let text = ''
    for (let i = 0; 8 * i < length; i++) {
      const bits = Math.min(8, length - 8 * i)
      text += String.fromCharCode((bytes[at + LENGTH_BYTES + i] ?? 0) & (0xff00 >> bits) & 0xff)
    }
    return text
  }

  function exact(bytes: Uint8Array, at: number): Prefix | undefined {
    const length = u32(bytes, at)
    return length > 8 * dataSize ? undefined : tables[length]?.get(dataOf(bytes, at, length))
  }

  function lookup(bytes: Uint8Array, at: number): number {
    const longest = u32(bytes, at)
    if (longest > 8 * dataSize) return 0
    const whole = dataSize > 4 ? undefined : Number(dataOf(bytes, at, 8 * dataSize))
    for (const length of lengths) {
      if (length > longest) continue
      const data = whole === undefined ? textOf(bytes, at, length) : cut(whole, length)
      const found = tables[length]?.get(data)
      if (found !== undefined) return found.address
    }
    return 0
  }

  function update(
    bytes: Uint8Array,
    at: number,
    value: Uint8Array,
    valueAt: number,
    updateFlags: number,
  ): number {
    const length = u32(bytes, at)
    if (updateFlags > BPF_UPDATE_FLAGS.BPF_EXIST || length > 8 * dataSize) return EINVAL
    const old = exact(bytes, at)
    if (old === undefined && updateFlags === BPF_UPDATE_FLAGS.BPF_EXIST) return ENOENT
    if (old !== undefined && updateFlags === BPF_UPDATE_FLAGS.BPF_NOEXIST) return EEXIST
    if (old !== undefined) {
      copy(memory, old.address, value, valueAt, valueSize)
      return 0
    }
    if (count >= maxEntries) return ENOSPC
    const fromMemory = value === memory.u8
    const key = bytes.slice(at, at + keySize)
    const data = dataOf(bytes, at, length)
    const address = memory.alloc(valueSize, access, 16, `value of map '${name}'`)
    // The memory may have grown: what came from it must be read from where it is now.
    copy(memory, address, fromMemory ? memory.u8 : value, valueAt, valueSize)
    const table = (tables[length] ??= new Map<Data, Prefix>())
    table.set(data, { length, data, address, key })
    if (table.size === 1) lengths = lengthsInUse()
    count++
    order = undefined
    return 0
  }

  function remove(bytes: Uint8Array, at: number): number {
    if (u32(bytes, at) > 8 * dataSize) return EINVAL
    const found = exact(bytes, at)
    if (found === undefined) return ENOENT
    const table = tables[found.length]
    table?.delete(found.data)
    if (table?.size === 0) lengths = lengthsInUse()
    memory.free(found.address)
    count--
    order = undefined
    return 0
  }

  function lengthsInUse(): readonly number[] {
    return tables
      .flatMap((table, length) => (table !== undefined && table.size > 0 ? [length] : []))
      .toReversed()
  }

  function inOrder(): readonly Prefix[] {
    return (order ??= tables.flatMap((table) => [...(table?.values() ?? [])]).toSorted(moreSpecificFirst))
  }

  return {
    attributes,
    bufferSize: valueSize,
    lookup,
    lookupAll: lookup,
    update,
    updateAll: update,
    delete: remove,
    nextKey(key, next) {
      const known = key === null ? undefined : exact(key, 0)
      const found = inOrder()[known === undefined ? 0 : inOrder().indexOf(known) + 1]
      if (found === undefined) return ENOENT
      next.set(found.key)
      return 0
    },
    batches: { removable: true },
    forEach: undefined,
    mapped: undefined,
    direct: undefined,
    destroy() {
      for (const { address } of inOrder()) memory.free(address)
      tables.length = 0
      lengths = []
    },
  }
}

/** Clears the bits behind the prefix. */
function cut(number: number, length: number): number {
  return length === 0 ? 0 : number & (-1 << (32 - length))
}

/** A prefix comes behind all that it is a prefix of; others in the order of their bits. */
function moreSpecificFirst(a: Prefix, b: Prefix): number {
  const common = Math.min(a.length, b.length)
  for (let i = 0; 8 * i < common; i++) {
    const bits = Math.min(8, common - 8 * i)
    const mask = (0xff00 >> bits) & 0xff
    const difference = ((a.key[LENGTH_BYTES + i] ?? 0) & mask) - ((b.key[LENGTH_BYTES + i] ?? 0) & mask)
    if (difference !== 0) return difference
  }
  return b.length - a.length
}
