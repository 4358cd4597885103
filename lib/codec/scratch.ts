/**
 * Eight bytes through which numbers change their shape: two words in, a bigint or a double out, and back.
 *
 * With it, decoding needs neither a DataView nor aligned typed arrays over the caller's bytes: nothing is made or
 * cached for a buffer, none is kept alive, any alignment will do. It is also the fastest way that was measured
 * (bench/micro/codec.ts).
 */
const memory = new ArrayBuffer(8)

/** The low word first. Assignment takes any number modulo 2^32. */
export const WORDS: Uint32Array = new Uint32Array(memory)
export const UINT64: BigUint64Array = new BigUint64Array(memory)
export const INT64: BigInt64Array = new BigInt64Array(memory)
export const FLOAT32: Float32Array = new Float32Array(memory)
export const FLOAT64: Float64Array = new Float64Array(memory)

/** Whether this machine stores the low word first, as {@link WORDS} assumes. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
