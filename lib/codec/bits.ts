/** Integers that aren't a plain load: bit-fields of up to 64 bits, and 128-bit integers. Little-endian. */
import { INT64, UINT64, WORDS } from './scratch.js'

/**
 * A bit-field of 1…32 bits.
 *
 * @param at    index of its first byte
 * @param shift 0…7: bits of that byte below it
 */
export function readBits32(
  bytes: Uint8Array,
  at: number,
  shift: number,
  bits: number,
  signed: boolean,
): number {
  const word = wordAt(bytes, at, shift, bits)
  return signed ? (word << (32 - bits)) >> (32 - bits) : (word << (32 - bits)) >>> (32 - bits)
}

/** A bit-field of 33…64 bits, as a bigint. */
export function readBits64(
  bytes: Uint8Array,
  at: number,
  shift: number,
  bits: number,
  signed: boolean,
): bigint {
  WORDS[0] = wordAt(bytes, at, shift, 32)
  WORDS[1] = readBits32(bytes, at + 4, shift, bits - 32, signed)
  return (signed ? INT64[0] : UINT64[0]) ?? 0n
}

/** A bit-field of 33…64 bits, as a number: the nearest double. */
export function readBits64Number(
  bytes: Uint8Array,
  at: number,
  shift: number,
  bits: number,
  signed: boolean,
): number {
  const low = wordAt(bytes, at, shift, 32) >>> 0
  return low + readBits32(bytes, at + 4, shift, bits - 32, signed) * 4294967296
}

/** 32 bits from a bit position, of which the low `bits` count: no byte behind those is read. */
function wordAt(bytes: Uint8Array, at: number, shift: number, bits: number): number {
  const last = at + ((shift + bits - 1) >> 3)
  let word = byte(bytes, at) >>> shift
  for (let i = at + 1, position = 8 - shift; i <= last; i++, position += 8) word |= byte(bytes, i) << position
  return word
}

/** Writes the low `bits` of two words, and leaves the bits around them alone. */
export function writeBits(
  bytes: Uint8Array,
  at: number,
  shift: number,
  bits: number,
  low: number,
  high: number,
): void {
  for (let done = 0; done < bits; at++) {
    const take = Math.min(8 - shift, bits - done)
    let chunk = done < 32 ? low >>> done : high >>> (done - 32)
    if (done < 32 && done + take > 32) chunk |= high << (32 - done)
    const mask = ((1 << take) - 1) << shift
    bytes[at] = (byte(bytes, at) & ~mask) | ((chunk << shift) & mask)
    done += take
    shift = 0
  }
}

/** A 128-bit integer. */
export function readInt128(bytes: Uint8Array, at: number, signed: boolean): bigint {
  loadWords(bytes, at)
  const low = UINT64[0] ?? 0n
  loadWords(bytes, at + 8)
  const high = (signed ? INT64[0] : UINT64[0]) ?? 0n
  return (high << 64n) | low
}

/** Writes a bigint modulo 2^128. */
export function writeInt128(bytes: Uint8Array, at: number, value: bigint): void {
  UINT64[0] = BigInt.asUintN(64, value)
  storeWords(bytes, at)
  UINT64[0] = BigInt.asUintN(64, value >> 64n)
  storeWords(bytes, at + 8)
}

/** Eight bytes into {@link WORDS}. */
export function loadWords(bytes: Uint8Array, at: number): void {
  WORDS[0] = wordAt(bytes, at, 0, 32)
  WORDS[1] = wordAt(bytes, at + 4, 0, 32)
}

/** {@link WORDS} into eight bytes. */
export function storeWords(bytes: Uint8Array, at: number): void {
  const low = WORDS[0] ?? 0
  const high = WORDS[1] ?? 0
  bytes[at] = low
  bytes[at + 1] = low >>> 8
  bytes[at + 2] = low >>> 16
  bytes[at + 3] = low >>> 24
  bytes[at + 4] = high
  bytes[at + 5] = high >>> 8
  bytes[at + 6] = high >>> 16
  bytes[at + 7] = high >>> 24
}

/** Callers have checked the bounds. */
function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}
