/** Puts a codec together: layout, the kind of code, bounds checks, errors; and remembers it. */
import { typeName } from '../btf/query.js'
import type { Btf, TypeId } from '../btf/types.js'
import { unsupported } from '../errors.js'
import type { Read, Write } from './closure-types.js'
import { buildReader } from './decode-closures.js'
import { generateReader } from './decode-generated.js'
import { buildWriter } from './encode-closures.js'
import { generateWriter, type TryWrite } from './encode-generated.js'
import { boundsError, Fault, faultToError } from './fault.js'
import { mayGenerateCode, worthGenerating } from './generate.js'
import type { Layout } from './layout.js'
import { planLayout } from './plan.js'
import { LITTLE_ENDIAN } from './scratch.js'
import type { Codec, CodecOptions, Int64Style } from './types.js'

const codecs = new WeakMap<Btf, Map<string, Codec>>()

/**
 * The codec of a BTF type. Asked again with the same arguments, it is the same object.
 *
 * Code is made at the first `decode` and the first `encode`.
 *
 * @throws BpfError `BAD_BTF` if the type has no values (a function, a forward declaration) or is malformed;
 * `UNSUPPORTED` if it exceeds LAYOUT_LIMITS, or if `code: 'generated'` is asked for where it can't be had
 */
export function createCodec(btf: Btf, type: TypeId, options: CodecOptions = {}): Codec {
  const { int64 = 'bigint', code = 'auto' } = options
  let known = codecs.get(btf)
  if (known === undefined) codecs.set(btf, (known = new Map()))
  const key = `${type} ${int64} ${code}`
  let codec = known.get(key)
  if (codec === undefined) {
    const layout = planLayout(btf, type)
    codec = codecOfLayout(layout, typeName(btf, type), int64, usesGeneratedCode(layout, code))
    known.set(key, codec)
  }
  return codec
}

function usesGeneratedCode(layout: Layout, code: CodecOptions['code']): boolean {
  if (code === 'closures') return false
  const allowed = mayGenerateCode()
  const worth = worthGenerating(layout)
  if (code === 'auto') return allowed && worth
  if (!allowed) {
    throw unsupported(
      "codec option code: 'generated'",
      "Code generation from strings is disallowed here: use 'auto'",
    )
  }
  if (!worth)
    throw unsupported(`generated code for ${layout.typeName}`, "It has too many members: use 'auto'")
  return true
}

function codecOfLayout(layout: Layout, typeName: string, int64: Int64Style, generated: boolean): Codec {
  if (!LITTLE_ENDIAN) throw unsupported('decoding on a big-endian machine')
  const { size } = layout
  // An integer's writers write all of its bytes; anything else may have padding, or members that are left out.
  const hasGaps = layout.kind !== 'int'
  // What a path starts with: `config.limits[3]`.
  const root = layout.kind === 'struct' && layout.name !== '' ? layout.name : 'value'
  let read: Read | undefined
  let write: Write | undefined
  let tryWrite: TryWrite | undefined
  const slow: Write = (bytes, at, value) => (write ??= buildWriter(layout, int64))(bytes, at, value)

  return {
    size,
    typeName,
    decode(bytes, offset = 0) {
      if (!fits(bytes, offset, size)) throw boundsError('decode', typeName, size, bytes, offset)
      read ??= generated ? generateReader(layout, int64) : buildReader(layout, int64)
      return read(bytes, offset)
    },
    encode(value, bytes, offset = 0) {
      if (!fits(bytes, offset, size)) throw boundsError('encode', typeName, size, bytes, offset)
      if (!(value instanceof Uint8Array)) {
        if (hasGaps) bytes.fill(0, offset, offset + size)
        if (generated) {
          tryWrite ??= generateWriter(layout, int64)
          if (tryWrite(bytes, offset, value)) return
          if (hasGaps) bytes.fill(0, offset, offset + size)
        }
      }
      try {
        slow(bytes, offset, value)
      } catch (error) {
        throw error instanceof Fault ? faultToError(error, root) : error
      }
    },
  }
}

/** Also false for what is no Uint8Array, and for offsets that are no whole number. */
function fits(bytes: Uint8Array, offset: number, size: number): boolean {
  return (
    bytes instanceof Uint8Array && Number.isInteger(offset) && offset >= 0 && offset + size <= bytes.length
  )
}
