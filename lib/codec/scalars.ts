/** JavaScript scalars → bytes, with every check. Generated code calls these, or falls back to them. */
import { writeBits, writeInt128, loadWords, storeWords } from './bits.js'
import { Fault, show } from './fault.js'
import type { BitsLayout, BytesLayout, FloatLayout, IntLayout } from './layout.js'
import { FLOAT32, FLOAT64, UINT64, WORDS } from './scratch.js'
import type { Int64Style } from './types.js'

/** 2^bits for the ranges of messages and checks. */
function power(bits: number): bigint {
  return 1n << BigInt(bits)
}

/**
 * A whole number that fits `bits`, in {@link WORDS}: sign-extended or zero-extended to 64 bits.
 *
 * @param bits  1…64
 * @param style whether numbers that aren't exact are taken
 */
export function integerToWords(
  value: unknown,
  bits: number,
  signed: boolean,
  typeName: string,
  style: Int64Style,
): void {
  if (typeof value === 'bigint') {
    const wrapped = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)
    if (wrapped !== value) throw rangeFault(value, bits, signed, typeName)
    UINT64[0] = BigInt.asUintN(64, value)
    return
  }
  if (typeof value !== 'number') throw new Fault(`expected an integer (${typeName}), got ${show(value)}`)
  if (!Number.isInteger(value)) throw new Fault(`${show(value)} is no integer (${typeName})`)
  const limit = 2 ** (signed ? bits - 1 : bits)
  if (value >= limit || value < (signed ? -limit : 0)) throw rangeFault(value, bits, signed, typeName)
  if (style === 'bigint' && !Number.isSafeInteger(value)) throw inexactFault(value, typeName)
  WORDS[0] = value
  WORDS[1] = Math.floor(value / 4294967296)
}

export function writeInteger(
  bytes: Uint8Array,
  at: number,
  value: unknown,
  layout: IntLayout,
  style: Int64Style,
): void {
  const { size, signed, typeName } = layout
  if (size === 16) return writeInt128(bytes, at, toInt128(value, signed, typeName))
  integerToWords(value, size * 8, signed, typeName, style)
  if (size === 8) return storeWords(bytes, at)
  const word = WORDS[0] ?? 0
  for (let i = 0; i < size; i++) bytes[at + i] = word >>> (8 * i)
}

function toInt128(value: unknown, signed: boolean, typeName: string): bigint {
  let integer: bigint
  if (typeof value === 'bigint') integer = value
  else if (typeof value !== 'number') throw new Fault(`expected an integer (${typeName}), got ${show(value)}`)
  else if (!Number.isInteger(value)) throw new Fault(`${show(value)} is no integer (${typeName})`)
  else if (!Number.isSafeInteger(value)) throw inexactFault(value, typeName)
  else integer = BigInt(value)
  const wrapped = signed ? BigInt.asIntN(128, integer) : BigInt.asUintN(128, integer)
  if (wrapped !== integer) throw rangeFault(value, 128, signed, typeName)
  return integer
}

export function writeBitField(
  bytes: Uint8Array,
  at: number,
  value: unknown,
  layout: BitsLayout,
  style: Int64Style,
): void {
  const { bits, shift, signed, bool, typeName } = layout
  if (bool) {
    WORDS[0] = toBool(value, typeName) ? 1 : 0
    WORDS[1] = 0
  } else {
    integerToWords(value, bits, signed, typeName, style)
  }
  writeBits(bytes, at, shift, bits, WORDS[0] ?? 0, WORDS[1] ?? 0)
}

export function toBool(value: unknown, typeName: string): boolean {
  if (value === true || value === 1) return true
  if (value === false || value === 0) return false
  throw new Fault(`expected true or false (${typeName}), got ${show(value)}`)
}

export function writeFloat(bytes: Uint8Array, at: number, value: unknown, layout: FloatLayout): void {
  const { size, typeName } = layout
  if (typeof value !== 'number') throw new Fault(`expected a number (${typeName}), got ${show(value)}`)
  if (size === 8) {
    FLOAT64[0] = value
    return storeWords(bytes, at)
  }
  FLOAT32[0] = value
  if (Number.isFinite(value) && !Number.isFinite(FLOAT32[0]))
    throw new Fault(`${show(value)} does not fit ${typeName}`)
  const word = WORDS[0] ?? 0
  for (let i = 0; i < 4; i++) bytes[at + i] = word >>> (8 * i)
}

export function readFloat32(bytes: Uint8Array, at: number): number {
  WORDS[0] =
    (bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)
  return FLOAT32[0] ?? 0
}

export function readFloat64(bytes: Uint8Array, at: number): number {
  loadWords(bytes, at)
  return FLOAT64[0] ?? 0
}

/** A copy, and a plain Uint8Array also of a Buffer (whose `slice` is a view). */
export function copyBytes(bytes: Uint8Array, at: number, size: number): Uint8Array {
  const copy = new Uint8Array(size)
  if (size > 32) copy.set(bytes.subarray(at, at + size))
  else for (let i = 0; i < size; i++) copy[i] = bytes[at + i] ?? 0
  return copy
}

/** Writes the value of a byte array: bytes, or an array of numbers. */
export function writeBytes(bytes: Uint8Array, at: number, value: unknown, layout: BytesLayout): void {
  const { size, typeName } = layout
  if (value instanceof Uint8Array) {
    if (value.length !== size) throw new Fault(`expected ${size} bytes (${typeName}), got ${value.length}`)
    bytes.set(value, at)
    return
  }
  if (!Array.isArray(value))
    throw new Fault(`expected a Uint8Array of ${size} (${typeName}), got ${show(value)}`)
  if (value.length !== size) throw new Fault(`expected ${size} bytes (${typeName}), got ${value.length}`)
  for (let i = 0; i < size; i++) {
    const element: unknown = value[i]
    if (typeof element !== 'number' || (element & 0xff) !== element) {
      throw new Fault(`expected bytes (${typeName}), but element ${i} is ${show(element)}`)
    }
    bytes[at + i] = element
  }
}

/** The quick way of a u64 or s64: false if `value` is something else, or doesn't fit, or may be inexact. */
export function tryWriteInt64(bytes: Uint8Array, at: number, value: unknown, signed: boolean): boolean {
  if (typeof value === 'bigint') {
    if ((signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)) !== value) return false
    UINT64[0] = signed ? BigInt.asUintN(64, value) : value
  } else if (typeof value === 'number' && Number.isSafeInteger(value) && (signed || value >= 0)) {
    WORDS[0] = value
    WORDS[1] = Math.floor(value / 4294967296)
  } else {
    return false
  }
  storeWords(bytes, at)
  return true
}

/** The same where rounded numbers are taken: `int64: 'number'`. */
export function tryWriteInt64Number(bytes: Uint8Array, at: number, value: unknown, signed: boolean): boolean {
  if (typeof value !== 'number') return tryWriteInt64(bytes, at, value, signed)
  const limit = signed ? 2 ** 63 : 2 ** 64
  if (!Number.isInteger(value) || value >= limit || value < (signed ? -limit : 0)) return false
  WORDS[0] = value
  WORDS[1] = Math.floor(value / 4294967296)
  storeWords(bytes, at)
  return true
}

function rangeFault(value: unknown, bits: number, signed: boolean, typeName: string): Fault {
  const low = signed ? -power(bits - 1) : 0n
  const high = power(signed ? bits - 1 : bits) - 1n
  return new Fault(`${show(value)} does not fit ${typeName} (${low}…${high})`)
}

function inexactFault(value: number, typeName: string): Fault {
  return new Fault(
    `${show(value)} is not exact as a number (${typeName})`,
    'Give a bigint: numbers are exact up to 2^53',
  )
}
