/** What a codec is: the public shapes of this folder. */

/**
 * What JavaScript sees of a C value, and what it may give for one.
 *
 * | C | decoded | also accepted by `encode` |
 * |---|---|---|
 * | integer, enum, bit-field of at most 32 bits | number | bigint |
 * | integer, enum, bit-field of 33…64 bits; pointer | bigint (number with `int64: 'number'`) | number |
 * | `__int128` | bigint | number |
 * | `bool`, a bit-field of it | boolean | 0, 1 |
 * | `float`, `double` | number | |
 * | `char[N]` | string: UTF-8 up to the first NUL, at most N bytes | |
 * | `unsigned char[N]` (`u8[N]`) | Uint8Array, a copy | array of N numbers |
 * | other arrays | Array | typed array with as many elements |
 * | struct | object with every member in order of declaration; anonymous members are flattened into it | members left out are zero |
 * | union | object with every member | any members that agree with each other |
 * | float of another size | Uint8Array | |
 *
 * A flexible array member (`T x[0]`, `T x[]`) is no part of the value. Wherever a C value is expected, a Uint8Array of
 * exactly its size is taken as its bytes (bit-fields excepted).
 */
export type Value =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value | undefined }

/** How integers of more than 32 bits appear: exact, or as fast numbers that are exact up to 2^53. */
export type Int64Style = 'bigint' | 'number'

export interface CodecOptions {
  /**
   * How 64-bit integers and pointers appear. `'number'` decodes faster; values beyond 2^53 are rounded to the nearest
   * double, and `encode` then takes such rounded numbers too. `__int128` is a bigint in either case. Default `'bigint'`.
   */
  readonly int64?: Int64Style
  /**
   * `'generated'`: JavaScript made for the type, which needs code generation to be allowed. `'closures'`: slower, runs
   * under `--disallow-code-generation-from-strings` and a strict content security policy. `'auto'`: the former where
   * it is allowed and the type is of a reasonable size. All give the same results. Default `'auto'`.
   */
  readonly code?: 'auto' | 'generated' | 'closures'
}

/** Decodes and encodes values of one C type, in the layout that the compiler of the BPF object gave it. */
export interface Codec {
  /** Bytes of a value. */
  readonly size: number
  /** C-like, for messages: `struct event`, `char[16]`. */
  readonly typeName: string
  /**
   * The value at `offset` of `bytes`; nothing in it refers to `bytes` afterwards.
   *
   * @param offset in bytes, of any alignment; 0 if left out
   * @throws BpfError `BAD_VALUE` if `bytes` doesn't hold `size` bytes from there
   */
  decode(this: void, bytes: Uint8Array, offset?: number): unknown
  /**
   * Writes exactly `size` bytes at `offset` of `bytes`: padding and members that are left out or undefined become zero.
   *
   * `value` must not be a view of the bytes that are written, unless it is all of them.
   *
   * @param value see {@link Value}
   * @throws BpfError `BAD_VALUE`, with the path of what is wrong: `config.limits[3].min: 300 does not fit u8 (0…255)`.
   * The `size` bytes at `offset` are then unspecified, and others are never touched: encode into a scratch buffer where
   * the old bytes matter.
   */
  encode(this: void, value: unknown, bytes: Uint8Array, offset?: number): void
}
