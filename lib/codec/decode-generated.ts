/**
 * Decoders as JavaScript made for the type: a struct is one object literal, so all values of a type have the same
 * hidden class, and every offset is a constant.
 *
 * ```js
 * return function decode(bytes, at) {
 *   return {"pid": (bytes[at] | bytes[at + 1] << 8 | …) >>> 0, "comm": readString(bytes, at + 4, 16)}
 * }
 * ```
 */
import { readBits32, readBits64, readBits64Number, readInt128 } from './bits.js'
import type { Read } from './closure-types.js'
import { anyBit, anyByte } from './decode-closures.js'
import { byteAt, compile, indexAt, quote } from './generate.js'
import type { ArrayLayout, BitsLayout, IntLayout, Layout, StructLayout } from './layout.js'
import { copyBytes, readFloat32, readFloat64 } from './scalars.js'
import { INT64, UINT64, WORDS } from './scratch.js'
import { readString } from './strings.js'
import type { Int64Style } from './types.js'

const ENVIRONMENT = {
  WORDS,
  UINT64,
  INT64,
  anyBit,
  anyByte,
  copyBytes,
  readBits32,
  readBits64,
  readBits64Number,
  readFloat32,
  readFloat64,
  readInt128,
  readString,
}
const NAMES = Object.keys(ENVIRONMENT).join(', ')

/** Arrays of scalars up to this length are spelled out, others are loops. */
const UNROLLED_LENGTH = 8

/** The source of a decoder, for those who want to see it. */
export function decoderSource(layout: Layout, style: Int64Style): string {
  return new DecoderSource(style).source(layout)
}

/** Needs `mayGenerateCode()`. */
export function generateReader(layout: Layout, style: Int64Style): Read {
  return compile(NAMES, decoderSource(layout, style), ENVIRONMENT) as Read
}

class DecoderSource {
  readonly #style: Int64Style
  readonly #functions: string[] = []
  readonly #structs = new Map<Layout, string>()

  constructor(style: Int64Style) {
    this.#style = style
  }

  source(layout: Layout): string {
    const result = layout.kind === 'struct' ? this.#struct(layout) : undefined
    if (result !== undefined) return `${this.#functions.join('\n')}\nreturn ${result}`
    const body = this.#expression(layout, 0)
    return `${this.#functions.join('\n')}\nreturn (bytes, at) => ${body}`
  }

  /** An expression over `bytes` and `at` for what lies `offset` bytes behind `at`. */
  #expression(layout: Layout, offset: number): string {
    const at = indexAt(offset)
    switch (layout.kind) {
      case 'int':
        return this.#int(layout, offset)
      case 'bits':
        return this.#bits(layout, offset)
      case 'bool':
        return layout.size === 1 ? `${byteAt(offset)} !== 0` : `anyByte(bytes, ${at}, ${layout.size})`
      case 'float':
        return `readFloat${layout.size * 8}(bytes, ${at})`
      case 'string':
        return `readString(bytes, ${at}, ${layout.size})`
      case 'bytes':
        return `copyBytes(bytes, ${at}, ${layout.size})`
      case 'array':
        return this.#array(layout, offset)
      case 'struct':
        return `${this.#struct(layout)}(bytes, ${at})`
    }
  }

  #int(layout: IntLayout, offset: number): string {
    const { size, signed } = layout
    switch (size) {
      case 1:
        return signed ? `${byteAt(offset)} << 24 >> 24` : byteAt(offset)
      case 2: {
        const word = `${byteAt(offset)} | ${byteAt(offset + 1)} << 8`
        return signed ? `(${word}) << 16 >> 16` : word
      }
      case 4:
        return signed ? word32(offset) : `(${word32(offset)}) >>> 0`
      case 8: {
        const low = word32(offset)
        const high = word32(offset + 4)
        if (this.#style === 'number') {
          return `((${low}) >>> 0) + (${signed ? high : `(${high}) >>> 0`}) * 4294967296`
        }
        return `(WORDS[0] = ${low}, WORDS[1] = ${high}, ${signed ? 'INT64' : 'UINT64'}[0])`
      }
      case 16:
        return `readInt128(bytes, ${indexAt(offset)}, ${signed})`
    }
  }

  #bits(layout: BitsLayout, offset: number): string {
    const { bits, shift, size, signed, bool } = layout
    const place = `bytes, ${indexAt(offset)}, ${shift}, ${bits}`
    if (bits > 32) {
      if (bool) return `anyBit(${place})`
      return `${this.#style === 'number' ? 'readBits64Number' : 'readBits64'}(${place}, ${signed})`
    }
    if (size > 4) return bool ? `anyBit(${place})` : `readBits32(${place}, ${signed})`
    const parts = Array.from({ length: size }, (_, i) => `${byteAt(offset + i)} << ${8 * i}`)
    const shifted = `(${parts.join(' | ')}) << ${32 - shift - bits}`
    const value = `${shifted} ${signed ? '>>' : '>>>'} ${32 - bits}`
    return bool ? `(${value}) !== 0` : value
  }

  #array(layout: ArrayLayout, offset: number): string {
    const { element, length } = layout
    const scalar = element.kind !== 'array' && element.kind !== 'struct'
    if (scalar && length <= UNROLLED_LENGTH) {
      const values = Array.from({ length }, (_, i) => this.#expression(element, offset + i * element.size))
      return `[${values.join(', ')}]`
    }
    const body = this.#expression(element, 0)
    const name = this.#define(`(bytes, at) {
  const values = new Array(${length})
  for (let i = 0; i < ${length}; i++, at += ${element.size}) values[i] = ${body}
  return values
}`)
    return `${name}(bytes, ${indexAt(offset)})`
  }

  #struct(layout: StructLayout): string {
    let name = this.#structs.get(layout)
    if (name === undefined) {
      const members = layout.fields.map(
        (field) => `${memberKey(field.name)}: ${this.#expression(field.layout, field.offset)}`,
      )
      name = this.#define(`(bytes, at) {\n  return {\n    ${members.join(',\n    ')}\n  }\n}`)
      this.#structs.set(layout, name)
    }
    return name
  }

  #define(source: string): string {
    const name = `decode${this.#functions.length}`
    this.#functions.push(`function ${name}${source}`)
    return name
  }
}

/** As a plain key of a literal, `__proto__` would set the prototype. */
function memberKey(name: string): string {
  return name === '__proto__' ? `[${quote(name)}]` : quote(name)
}

function word32(offset: number): string {
  return `${byteAt(offset)} | ${byteAt(offset + 1)} << 8 | ${byteAt(offset + 2)} << 16 | ${byteAt(offset + 3)} << 24`
}
