/**
 * Values in memory that a BPF program reads and writes at the same time: global variables.
 *
 * An aligned scalar of 2, 4 or 8 bytes is loaded and stored as one access, so that neither side ever sees half of one value and half of
 * another. Larger values are encoded aside and then copied: what is refused changes nothing, but a program may see a copy
 * in progress.
 */
import type { Codec } from './codec/index.js'

/** Where a scalar is on its way. */
const scratch = new Uint8Array(8)
const scratch16 = new Uint16Array(scratch.buffer)
const scratch32 = new Uint32Array(scratch.buffer)
const scratch64 = new BigUint64Array(scratch.buffer)

/** Views of the buffer that was used last: a kernel's memory is one buffer, or changes seldom. */
let buffer: ArrayBufferLike | undefined
let words16: Uint16Array = new Uint16Array(0)
let words32: Uint32Array = new Uint32Array(0)
let words64: BigUint64Array = new BigUint64Array(0)

function lookAt(other: ArrayBufferLike): void {
  if (other === buffer) return
  words16 = new Uint16Array(other, 0, other.byteLength >> 1)
  words32 = new Uint32Array(other, 0, other.byteLength >> 2)
  words64 = new BigUint64Array(other, 0, other.byteLength >> 3)
  buffer = other
}

function isWord(bytes: Uint8Array, at: number, size: number): boolean {
  return (size === 2 || size === 4 || size === 8) && at % size === 0 && at + size <= bytes.buffer.byteLength
}

export function readWhole(codec: Codec, bytes: Uint8Array, offset: number): unknown {
  const { size } = codec
  const at = bytes.byteOffset + offset
  if (!isWord(bytes, at, size)) return codec.decode(bytes, offset)
  lookAt(bytes.buffer)
  if (size === 8) scratch64[0] = Atomics.load(words64, at >> 3)
  else if (size === 4) scratch32[0] = Atomics.load(words32, at >> 2)
  else scratch16[0] = Atomics.load(words16, at >> 1)
  return codec.decode(scratch)
}

/** @throws BpfError `BAD_VALUE`; the memory is as it was then */
export function writeWhole(codec: Codec, value: unknown, bytes: Uint8Array, offset: number): void {
  const { size } = codec
  const at = bytes.byteOffset + offset
  if (!isWord(bytes, at, size)) {
    const whole = new Uint8Array(size)
    codec.encode(value, whole)
    bytes.set(whole, offset)
    return
  }
  codec.encode(value, scratch)
  lookAt(bytes.buffer)
  // The scratch holds one word of each size.
  if (size === 8) Atomics.store(words64, at >> 3, scratch64[0] ?? 0n)
  else if (size === 4) Atomics.store(words32, at >> 2, scratch32[0] ?? 0)
  else Atomics.store(words16, at >> 1, scratch16[0] ?? 0)
}
