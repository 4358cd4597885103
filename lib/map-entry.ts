/** One key and one value on their way into the kernel: what stands for a descriptor becomes one, and plain integers take a short cut. */
import { descriptorOf } from './descriptor-of.js'
import { integerWriter } from './entry-writers.js'
import { mapTypeDefaults } from './linux/map-types.js'
import type { MapInfo } from './kernel.js'
import type { MapCodec } from './map-codec.js'
import { Program } from './program.js'

/** Writes one thing to its place. @throws BpfError `BAD_VALUE` for what doesn't fit */
export type Put = (value: unknown) => void

/** Whether entries of this type of map are, or hold, file descriptors. */
export function takesDescriptors(type: number): boolean {
  const { descriptors, needsTypes } = mapTypeDefaults(type)
  return descriptors === true || needsTypes === true
}

/** @param bytes a key's */
export function keyWriter<K, V>(info: MapInfo, codec: MapCodec<K, V>, bytes: Uint8Array): Put {
  if (takesDescriptors(info.type)) return (key) => codec.encodeKey(descriptorOf(key), bytes)
  const integer = codec.keyInteger
  const tryWrite = integer && integerWriter(bytes, integer.size, integer.signed)
  if (tryWrite === undefined) return (key) => codec.encodeKey(key, bytes)
  return (key) => {
    if (!tryWrite(key)) codec.encodeKey(key, bytes)
  }
}

/** @param bytes a value's: of a per-CPU map, all CPUs' */
export function valueWriter<K, V>(info: MapInfo, codec: MapCodec<K, V>, bytes: Uint8Array): Put {
  if (takesDescriptors(info.type)) return (value) => codec.encodeValue(descriptorOf(value), bytes)
  if (mapTypeDefaults(info.type).holdsPrograms === true) {
    return (value) => codec.encodeValue(withDescriptors(value), bytes)
  }
  const integer = codec.integer
  const tryWrite = integer && integerWriter(bytes, integer.size, integer.signed)
  if (tryWrite === undefined) return (value) => codec.encodeValue(value, bytes)
  return (value) => {
    if (!tryWrite(value)) codec.encodeValue(value, bytes)
  }
}

/** A struct with file descriptors in place of programs. */
function withDescriptors(value: unknown): unknown {
  if (value instanceof Program) return value.fd
  if (Array.isArray(value)) return value.map(withDescriptors)
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withDescriptors(member)]))
}
