/** Keys or values that lie side by side, read by number. */

/** What stands at place `i`. */
export type ReadAt<T> = (i: number) => T

type MakeReader = (bytes: Uint8Array, count: number) => ReadAt<number | bigint>

/**
 * By size, and by sign. Each has a function of its own, which sees one kind of array only: a shared one reads the slow way from the moment
 * when it has seen two.
 */
const UNSIGNED: Readonly<Record<number, MakeReader>> = {
  1: (bytes) => (i) => bytes[i] ?? outside(i),
  2(bytes, count) {
    const numbers = new Uint16Array(bytes.buffer, bytes.byteOffset, count)
    return (i) => numbers[i] ?? outside(i)
  },
  4(bytes, count) {
    const numbers = new Uint32Array(bytes.buffer, bytes.byteOffset, count)
    return (i) => numbers[i] ?? outside(i)
  },
  8(bytes, count) {
    const numbers = new BigUint64Array(bytes.buffer, bytes.byteOffset, count)
    return (i) => numbers[i] ?? outside(i)
  },
}
const SIGNED: Readonly<Record<number, MakeReader>> = {
  1(bytes, count) {
    const numbers = new Int8Array(bytes.buffer, bytes.byteOffset, count)
    return (i) => numbers[i] ?? outside(i)
  },
  2(bytes, count) {
    const numbers = new Int16Array(bytes.buffer, bytes.byteOffset, count)
    return (i) => numbers[i] ?? outside(i)
  },
  4(bytes, count) {
    const numbers = new Int32Array(bytes.buffer, bytes.byteOffset, count)
    return (i) => numbers[i] ?? outside(i)
  },
  8(bytes, count) {
    const numbers = new BigInt64Array(bytes.buffer, bytes.byteOffset, count)
    return (i) => numbers[i] ?? outside(i)
  },
}

/**
 * A reader of plain integers by a typed array, which takes half the time of decoding; the kernel's byte order is the machine's.
 *
 * @returns undefined where there is no such array: an odd size, or memory that isn't aligned for it
 */
export function integerReader(
  bytes: Uint8Array,
  size: number,
  signed: boolean,
): ReadAt<number | bigint> | undefined {
  if (bytes.byteOffset % size !== 0) return undefined
  return (signed ? SIGNED : UNSIGNED)[size]?.(bytes, Math.floor(bytes.length / size))
}

function outside(i: number): never {
  throw new RangeError(`there is no entry ${i}`)
}
