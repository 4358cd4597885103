/** From the bytes of a record to what listeners get. */
import { createCodec, type Codec, type CodecOptions } from './codec/index.js'
import { findType } from './btf/query.js'
import { BpfError } from './errors.js'
import { notFound } from './named.js'
import type { ObjectFile } from './object-file/types.js'

/**
 * Decodes the record of `length` bytes at `bytes[offset]`. The bytes are used again: copy what is to be kept. A record for which it
 * returns undefined is passed over.
 */
export type RecordDecoder<T> = (bytes: Uint8Array, offset: number, length: number) => T

export interface DecoderOptions<T> {
  /** Struct in the object's BTF that every record is: `'event'`. Without it (or `decode`) events are `Uint8Array` copies. */
  readonly type?: string
  /** Decodes records by hand, for instance where several structs share a ring. */
  readonly decode?: RecordDecoder<T>
  /** How `type` gives 64-bit integers: `bigint` (default), or `number`, faster and exact up to 2^53. */
  readonly int64?: CodecOptions['int64']
}

/**
 * @param subject for messages: `ring buffer 'events'`
 * @throws BpfError `NO_BTF`, or `NOT_FOUND` for a type that the object doesn't have
 */
export function decoderFor<T>(
  subject: string,
  file: ObjectFile,
  { type: name, decode, int64 }: DecoderOptions<T>,
): RecordDecoder<T> {
  if (decode !== undefined && typeof decode !== 'function') {
    throw new BpfError('BAD_VALUE', `${subject}: option decode must be a function, not ${typeof decode}`)
  }
  if (name !== undefined && typeof name !== 'string') {
    throw new BpfError(
      'BAD_VALUE',
      `${subject}: option type must be the name of a struct, not ${typeof name}`,
    )
  }
  if (int64 !== undefined && int64 !== 'bigint' && int64 !== 'number') {
    throw new BpfError(
      'BAD_VALUE',
      `${subject}: option int64 must be 'bigint' or 'number', not '${String(int64)}'`,
    )
  }
  if (decode !== undefined) return decode
  if (name === undefined) return (bytes, offset, length) => bytes.slice(offset, offset + length) as T
  const codec = recordCodec(subject, file, name, int64 === undefined ? {} : { int64 })
  return (bytes, offset, length) => {
    if (length < codec.size) {
      throw new BpfError(
        'BAD_VALUE',
        `${subject}: a record of ${length} bytes is no ${codec.typeName} (${codec.size} bytes)`,
      )
    }
    return codec.decode(bytes, offset) as T
  }
}

/**
 * The codec of a struct, union or typedef of the object.
 *
 * @throws BpfError `NO_BTF`, or `NOT_FOUND`
 */
export function recordCodec(
  subject: string,
  file: ObjectFile,
  name: string,
  options: CodecOptions = {},
): Codec {
  const { btf } = file
  if (btf === undefined) {
    throw new BpfError('NO_BTF', `${subject}: the object has no type information for '${name}'`, {
      hint: 'Compile the object with clang -g, or go without a type: `decode`, or bytes',
    })
  }
  const found =
    findType(btf, name, 'struct') ?? findType(btf, name, 'union') ?? findType(btf, name, 'typedef')
  if (found === undefined) {
    const names = btf.types.flatMap((type) =>
      type.kind === 'struct' || type.kind === 'union' ? type.name || [] : [],
    )
    throw notFound('type', name, `the object of ${subject}`, names)
  }
  return createCodec(btf, found.id, options)
}
