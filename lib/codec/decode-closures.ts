/** Decoding without code generation: a function for each node of the layout, which calls those of its parts. */
import { loadWords, readBits32, readBits64, readBits64Number, readInt128 } from './bits.js'
import type { Read } from './closure-types.js'
import type { BitsLayout, IntLayout, Layout, StructLayout } from './layout.js'
import { copyBytes, readFloat32, readFloat64 } from './scalars.js'
import { INT64, UINT64 } from './scratch.js'
import { readString } from './strings.js'
import type { Int64Style } from './types.js'

export function buildReader(layout: Layout, style: Int64Style): Read {
  return new ReaderBuilder(style).build(layout)
}

/** Builds each struct once, however often it is used. */
export class ReaderBuilder {
  readonly #style: Int64Style
  readonly #structs = new Map<Layout, Read>()

  constructor(style: Int64Style) {
    this.#style = style
  }

  build(layout: Layout): Read {
    switch (layout.kind) {
      case 'int':
        return intReader(layout, this.#style)
      case 'bits':
        return bitsReader(layout, this.#style)
      case 'bool': {
        const { size } = layout
        return size === 1 ? (bytes, at) => bytes[at] !== 0 : (bytes, at) => anyByte(bytes, at, size)
      }
      case 'float':
        return layout.size === 4 ? readFloat32 : readFloat64
      case 'string': {
        const { size } = layout
        return (bytes, at) => readString(bytes, at, size)
      }
      case 'bytes': {
        const { size } = layout
        return (bytes, at) => copyBytes(bytes, at, size)
      }
      case 'array': {
        const { length } = layout
        const element = this.build(layout.element)
        const stride = layout.element.size
        return (bytes, at) => {
          const values: unknown[] = []
          for (let i = 0; i < length; i++) values.push(element(bytes, at + i * stride))
          return values
        }
      }
      case 'struct': {
        let read = this.#structs.get(layout)
        if (read === undefined) {
          read = this.#structReader(layout)
          this.#structs.set(layout, read)
        }
        return read
      }
    }
  }

  #structReader(layout: StructLayout): Read {
    const { fields } = layout
    const readers = fields.map((field) => this.build(field.layout))
    return (bytes, at) => {
      const value: Record<string, unknown> = {}
      for (let i = 0; i < fields.length; i++) {
        const field = fields[i]
        const read = readers[i]
        // Both arrays have `fields.length` elements.
        if (field === undefined || read === undefined) break
        const { name } = field
        const member = read(bytes, at + field.offset)
        if (name === '__proto__') defineMember(value, name, member)
        else value[name] = member
      }
      return value
    }
  }
}

/** An assignment to `__proto__` would set the prototype. */
function defineMember(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}

function intReader(layout: IntLayout, style: Int64Style): Read {
  const { size, signed } = layout
  switch (size) {
    case 1:
    case 2:
    case 4:
      return (bytes, at) => readBits32(bytes, at, 0, size * 8, signed)
    case 8:
      if (style === 'number') return (bytes, at) => readBits64Number(bytes, at, 0, 64, signed)
      return signed ? readInt64 : readUint64
    case 16:
      return (bytes, at) => readInt128(bytes, at, signed)
  }
}

function readInt64(bytes: Uint8Array, at: number): bigint | undefined {
  loadWords(bytes, at)
  return INT64[0]
}

function readUint64(bytes: Uint8Array, at: number): bigint | undefined {
  loadWords(bytes, at)
  return UINT64[0]
}

function bitsReader(layout: BitsLayout, style: Int64Style): Read {
  const { bits, shift, signed, bool } = layout
  if (bool) return (bytes, at) => anyBit(bytes, at, shift, bits)
  if (bits <= 32) return (bytes, at) => readBits32(bytes, at, shift, bits, signed)
  if (style === 'number') return (bytes, at) => readBits64Number(bytes, at, shift, bits, signed)
  return (bytes, at) => readBits64(bytes, at, shift, bits, signed)
}

/** Whether any bit of a bit-field is set. */
export function anyBit(bytes: Uint8Array, at: number, shift: number, bits: number): boolean {
  return bits <= 32
    ? readBits32(bytes, at, shift, bits, false) !== 0
    : readBits64Number(bytes, at, shift, bits, false) !== 0
}

/** Whether any of `size` bytes is set. */
export function anyByte(bytes: Uint8Array, at: number, size: number): boolean {
  for (let i = 0; i < size; i++) if (bytes[at + i] !== 0) return true
  return false
}
