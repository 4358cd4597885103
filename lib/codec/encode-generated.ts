/**
 * Encoders as JavaScript made for the type. They take the usual form of every value and answer false to all others —
 * bytes, a bigint for a u32, several members of a union, whatever is wrong — which the caller then gives to the closures.
 *
 * ```js
 * function encode0(bytes, at, value) {
 *   if (!isPlain(value)) return false
 *   let given = 0, x
 *   x = value["pid"]
 *   if (x !== undefined) {
 *     given++
 *     if (typeof x !== 'number' || (x >>> 0) !== x) return false
 *     bytes[at] = x, bytes[at + 1] = x >>> 8 …
 *   }
 *   for (const name in value) given--
 *   return given === 0
 * }
 * ```
 */
import { storeWords, writeBits } from './bits.js'
import { byteAt, compile, indexAt, quote } from './generate.js'
import type { ArrayLayout, BitsLayout, Field, IntLayout, Layout, StructLayout } from './layout.js'
import { tryWriteInt64, tryWriteInt64Number } from './scalars.js'
import { writeAscii } from './strings.js'
import { FLOAT32, FLOAT64, WORDS } from './scratch.js'
import type { Int64Style } from './types.js'

/** Encodes the usual form of a value into bytes that are zero; false, with anything written, if it has another. */
export type TryWrite = (bytes: Uint8Array, at: number, value: unknown) => boolean

const ENVIRONMENT = {
  isPlain,
  tryWriteBytes,
  tryWriteFloat,
  tryWriteInt64,
  tryWriteInt64Number,
  writeAscii,
  writeBits,
}
const NAMES = Object.keys(ENVIRONMENT).join(', ')

/** The source of an encoder, for those who want to see it. */
export function encoderSource(layout: Layout, style: Int64Style): string {
  return new EncoderSource(style).source(layout)
}

/** Needs `mayGenerateCode()`. */
export function generateWriter(layout: Layout, style: Int64Style): TryWrite {
  return compile(NAMES, encoderSource(layout, style), ENVIRONMENT) as TryWrite
}

class EncoderSource {
  readonly #style: Int64Style
  readonly #functions: string[] = []
  readonly #structs = new Map<Layout, string>()

  constructor(style: Int64Style) {
    this.#style = style
  }

  source(layout: Layout): string {
    const body = this.#statements(layout, 0)
    return `${this.#functions.join('\n')}\nreturn (bytes, at, x) => {\n${body}\nreturn true\n}`
  }

  /** Statements that write `x` as what lies `offset` bytes behind `at`, or return false. */
  #statements(layout: Layout, offset: number): string {
    const at = indexAt(offset)
    switch (layout.kind) {
      case 'int':
        return intStatements(layout, offset, this.#style)
      case 'bits':
        return bitsStatements(layout, offset)
      case 'bool':
        return `if (x === true) ${byteAt(offset)} = 1; else if (x !== false) return false`
      case 'float':
        return `if (!tryWriteFloat(bytes, ${at}, x, ${layout.size})) return false`
      case 'string':
        return `if (typeof x !== 'string' || !writeAscii(bytes, ${at}, ${layout.size}, x)) return false`
      case 'bytes':
        return `if (!tryWriteBytes(bytes, ${at}, x, ${layout.size})) return false`
      case 'array':
        return `if (!${this.#array(layout)}(bytes, ${at}, x)) return false`
      case 'struct':
        return `if (!${this.#struct(layout)}(bytes, ${at}, x)) return false`
    }
  }

  #array(layout: ArrayLayout): string {
    const { element, length } = layout
    return this.#define(`(bytes, at, value) {
  if (!Array.isArray(value) || value.length !== ${length}) return false
  for (let i = 0; i < ${length}; i++, at += ${element.size}) {
    const x = value[i]
    ${this.#statements(element, 0)}
  }
  return true
}`)
  }

  #struct(layout: StructLayout): string {
    let name = this.#structs.get(layout)
    if (name === undefined) {
      const shares = layout.fields.some((field) => field.shared)
      name = this.#define(`(bytes, at, value) {
  if (!isPlain(value)) return false
  let given = 0, shared = 0, x
  ${layout.fields.map((field) => this.#field(field)).join('\n  ')}
  ${shares ? 'if (shared > 1) return false' : ''}
  if (given === 0) return false
  for (const name in value) given--
  return given === 0
}`)
      this.#structs.set(layout, name)
    }
    return name
  }

  #field(field: Field): string {
    const name = quote(field.name)
    // `value.toString` of an object that has none of its own is no member.
    const inherited = field.name in Object.prototype
    const get = inherited ? `Object.hasOwn(value, ${name}) ? value[${name}] : undefined` : `value[${name}]`
    return `x = ${get}
  if (x !== undefined) {
    given++${field.shared ? '; shared++' : ''}
    ${this.#statements(field.layout, field.offset)}
  }`
  }

  #define(source: string): string {
    const name = `encode${this.#functions.length}`
    this.#functions.push(`function ${name}${source}`)
    return name
  }
}

function intStatements(layout: IntLayout, offset: number, style: Int64Style): string {
  const { size, signed } = layout
  if (size === 16) return 'return false'
  const tryWrite = style === 'number' ? 'tryWriteInt64Number' : 'tryWriteInt64'
  if (size === 8) return `if (!${tryWrite}(bytes, ${indexAt(offset)}, x, ${signed})) return false`
  const spare = 32 - size * 8
  const wrapped = signed ? `x << ${spare} >> ${spare}` : `x << ${spare} >>> ${spare}`
  const stores = Array.from({ length: size }, (_, i) => `${byteAt(offset + i)} = x >> ${8 * i}`)
  return `if (typeof x !== 'number' || (${wrapped}) !== x) return false\n    ${stores.join('; ')}`
}

function bitsStatements(layout: BitsLayout, offset: number): string {
  const { bits, shift, size, signed, bool } = layout
  if (bool) {
    const byte = `${byteAt(offset)} |= ${1 << shift}`
    return `if (x === true) ${byte}; else if (x !== false) return false`
  }
  if (bits > 32) return 'return false'
  const spare = 32 - bits
  const check = `if (typeof x !== 'number' || (x << ${spare} ${signed ? '>>' : '>>>'} ${spare}) !== x) return false`
  if (size > 1) return `${check}\n    writeBits(bytes, ${indexAt(offset)}, ${shift}, ${bits}, x, 0)`
  return `${check}\n    ${byteAt(offset)} |= (x & ${2 ** bits - 1}) << ${shift}`
}

/** Whether it can be a struct's value in its usual form. */
function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)
}

function tryWriteBytes(bytes: Uint8Array, at: number, value: unknown, size: number): boolean {
  if (!(value instanceof Uint8Array) || value.length !== size) return false
  if (size > 32) bytes.set(value, at)
  else for (let i = 0; i < size; i++) bytes[at + i] = value[i] ?? 0
  return true
}

function tryWriteFloat(bytes: Uint8Array, at: number, value: unknown, size: number): boolean {
  if (typeof value !== 'number') return false
  if (size === 8) {
    FLOAT64[0] = value
    storeWords(bytes, at)
    return true
  }
  FLOAT32[0] = value
  if (!Number.isFinite(FLOAT32[0])) return false
  const word = WORDS[0] ?? 0
  for (let i = 0; i < 4; i++) bytes[at + i] = word >>> (8 * i)
  return true
}
