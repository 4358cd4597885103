/** Writers of one key or value at a fixed place. */

/** @returns false, with nothing written, for what isn't such a number */
export type TryWrite = (value: unknown) => boolean

/** By size, and by sign. Each sees one kind of array only: see entry-readers.ts. */
const UNSIGNED: Readonly<Record<number, (bytes: Uint8Array) => TryWrite>> = {
  1: (bytes) => (value) => {
    if (typeof value !== 'number' || (value & 0xff) !== value) return false
    bytes[0] = value
    return true
  },
  2(bytes) {
    const number = new Uint16Array(bytes.buffer, bytes.byteOffset, 1)
    return (value) => {
      if (typeof value !== 'number' || (value & 0xffff) !== value) return false
      number[0] = value
      return true
    }
  },
  4(bytes) {
    const number = new Uint32Array(bytes.buffer, bytes.byteOffset, 1)
    return (value) => {
      if (typeof value !== 'number' || value >>> 0 !== value) return false
      number[0] = value
      return true
    }
  },
  8(bytes) {
    const number = new BigUint64Array(bytes.buffer, bytes.byteOffset, 1)
    return (value) => {
      if (typeof value !== 'bigint' || BigInt.asUintN(64, value) !== value) return false
      number[0] = value
      return true
    }
  },
}
const SIGNED: typeof UNSIGNED = {
  1(bytes) {
    const number = new Int8Array(bytes.buffer, bytes.byteOffset, 1)
    return (value) => {
      if (typeof value !== 'number' || (value << 24) >> 24 !== value) return false
      number[0] = value
      return true
    }
  },
  2(bytes) {
    const number = new Int16Array(bytes.buffer, bytes.byteOffset, 1)
    return (value) => {
      if (typeof value !== 'number' || (value << 16) >> 16 !== value) return false
      number[0] = value
      return true
    }
  },
  4(bytes) {
    const number = new Int32Array(bytes.buffer, bytes.byteOffset, 1)
    return (value) => {
      if (typeof value !== 'number' || (value | 0) !== value) return false
      number[0] = value
      return true
    }
  },
  8(bytes) {
    const number = new BigInt64Array(bytes.buffer, bytes.byteOffset, 1)
    return (value) => {
      if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) return false
      number[0] = value
      return true
    }
  },
}

/**
 * A writer of plain integers by a typed array; the kernel's byte order is the machine's.
 *
 * @returns undefined where there is no such array: an odd size, or memory that isn't aligned for it
 */
export function integerWriter(bytes: Uint8Array, size: number, signed: boolean): TryWrite | undefined {
  if (bytes.length !== size || bytes.byteOffset % size !== 0) return undefined
  return (signed ? SIGNED : UNSIGNED)[size]?.(bytes)
}
