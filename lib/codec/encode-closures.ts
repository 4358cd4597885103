/**
 * Encoding without code generation. It knows every form of a value that is accepted, and what is wrong with others:
 * generated encoders take the usual forms only and hand everything else to these.
 *
 * The target is zero when a value is written; a writer writes the bits that its value carries, and no padding.
 */
import { didYouMean } from '../nearest.js'
import type { Write } from './closure-types.js'
import { anyByte, ReaderBuilder } from './decode-closures.js'
import { Fault, memberSegment, passOn, show } from './fault.js'
import type { ArrayLayout, BitsLayout, BoolLayout, Layout, StringLayout, StructLayout } from './layout.js'
import { toBool, writeBitField, writeBytes, writeFloat, writeInteger } from './scalars.js'
import { writeString } from './strings.js'
import type { Int64Style } from './types.js'
import { writeOverlapping, type OverlappingField } from './overlap.js'

type NotBits = Exclude<Layout, BitsLayout>

export function buildWriter(layout: Layout, style: Int64Style): Write {
  return new WriterBuilder(style).build(layout)
}

class WriterBuilder {
  readonly #style: Int64Style
  readonly #readers: ReaderBuilder
  readonly #structs = new Map<Layout, Write>()

  constructor(style: Int64Style) {
    this.#style = style
    this.#readers = new ReaderBuilder(style)
  }

  build(layout: Layout): Write {
    const style = this.#style
    if (layout.kind === 'bits') return (bytes, at, value) => writeBitField(bytes, at, value, layout, style)
    const { size, typeName } = layout
    const write = this.#plain(layout)
    return (bytes, at, value) => {
      if (!(value instanceof Uint8Array)) return write(bytes, at, value)
      if (value.length !== size) throw new Fault(`expected ${size} bytes (${typeName}), got ${value.length}`)
      bytes.set(value, at)
    }
  }

  /** What isn't given as bytes. */
  #plain(layout: NotBits): Write {
    const style = this.#style
    switch (layout.kind) {
      case 'int':
        return (bytes, at, value) => writeInteger(bytes, at, value, layout, style)
      case 'bool':
        return (bytes, at, value) => writeBool(bytes, at, value, layout)
      case 'float':
        return (bytes, at, value) => writeFloat(bytes, at, value, layout)
      case 'string':
        return (bytes, at, value) => writeText(bytes, at, value, layout)
      case 'bytes':
        return (bytes, at, value) => writeBytes(bytes, at, value, layout)
      case 'array':
        return arrayWriter(layout, this.build(layout.element))
      case 'struct': {
        let write = this.#structs.get(layout)
        if (write === undefined) {
          write = this.#structWriter(layout)
          this.#structs.set(layout, write)
        }
        return write
      }
    }
  }

  #structWriter(layout: StructLayout): Write {
    const fields = layout.fields.map((field) => ({
      ...field,
      write: this.build(field.layout),
      read: this.#readers.build(field.layout),
      get: getter(field.name),
    }))
    const names = new Set(fields.map((field) => field.name))
    return (bytes, at, value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
        throw new Fault(`expected an object (${layout.typeName}), got ${show(value)}`)
      }
      checkMembers(value, names, layout)
      const overlapping: OverlappingField[] = []
      for (const field of fields) {
        const member = field.get(value)
        if (member === undefined) continue
        if (field.shared) {
          overlapping.push({ field, value: member, read: field.read, write: field.write })
          continue
        }
        try {
          field.write(bytes, at + field.offset, member)
        } catch (error) {
          passOn(error, memberSegment(field.name))
        }
      }
      if (overlapping.length > 0) writeOverlapping(bytes, at, overlapping, this.#style)
    }
  }
}

/** Reads a member; `value.toString` of an object that has none of its own is no member. */
function getter(name: string): (value: object) => unknown {
  if (!(name in Object.prototype)) return (value) => (value as Readonly<Record<string, unknown>>)[name]
  return (value) =>
    Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}

function checkMembers(value: object, names: ReadonlySet<string>, layout: StructLayout): void {
  const given = Object.keys(value)
  for (const name of given) {
    if (names.has(name)) continue
    if (layout.flexible.includes(name)) {
      throw new Fault(
        `member '${name}' is a flexible array: it lies behind the ${layout.size} bytes of the value`,
      )
    }
    throw new Fault(`${layout.typeName} has no member '${name}'`, didYouMean(name, names))
  }
  if (given.length > 0 || names.size === 0) return
  // Nothing given is a value of zeros, but a Map or a Date in its place is a mistake.
  const tag = Object.prototype.toString.call(value)
  if (tag !== '[object Object]') {
    throw new Fault(`expected an object with members (${layout.typeName}), got ${tag.slice(8, -1)}`)
  }
}

function arrayWriter(layout: ArrayLayout, element: Write): Write {
  const { length, typeName } = layout
  const stride = layout.element.size
  return (bytes, at, value) => {
    if (!isArrayLike(value))
      throw new Fault(`expected an array of ${length} (${typeName}), got ${show(value)}`)
    if (value.length !== length) {
      throw new Fault(`expected ${length} elements (${typeName}), got ${value.length}`)
    }
    for (let i = 0; i < length; i++) {
      try {
        element(bytes, at + i * stride, value[i])
      } catch (error) {
        passOn(error, `[${i}]`)
      }
    }
  }
}

/** Arrays and typed arrays. */
function isArrayLike(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))
}

function writeBool(bytes: Uint8Array, at: number, value: unknown, layout: BoolLayout): void {
  const { size, typeName } = layout
  const wanted = toBool(value, typeName)
  // In a union, another member may have written a byte that means true but isn't 1: it is to stay.
  if (anyByte(bytes, at, size) === wanted) return
  bytes.fill(0, at, at + size)
  if (wanted) bytes[at] = 1
}

function writeText(bytes: Uint8Array, at: number, value: unknown, layout: StringLayout): void {
  const { size, typeName } = layout
  if (typeof value !== 'string') throw new Fault(`expected a string (${typeName}), got ${show(value)}`)
  const problem = writeString(bytes, at, size, value)
  if (problem !== undefined) throw new Fault(`${show(value)} does not fit ${typeName}: ${problem}`)
}
