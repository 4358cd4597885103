/**
 * Members that share memory: those of unions. One alone is simply written. Several are taken if they agree, so that a
 * decoded value, which has them all, can be encoded again; a contradiction is an error and never decided by order.
 */
import type { Read, Write } from './closure-types.js'
import { Fault, memberSegment, passOn } from './fault.js'
import type { Field, Layout } from './layout.js'
import type { Int64Style } from './types.js'

export interface OverlappingField {
  readonly field: Field
  /** What the caller gave for it; not undefined. */
  readonly value: unknown
  readonly read: Read
  readonly write: Write
}

/** Writes the given members of a struct that share memory. Throws {@link Fault}. */
export function writeOverlapping(
  bytes: Uint8Array,
  at: number,
  given: readonly OverlappingField[],
  style: Int64Style,
): void {
  // Those that carry all of their bits come first: what a string says about bytes is checked, not written over them.
  const ordered = [
    ...given.filter(({ field }) => isExact(field.layout, style)),
    ...given.filter(({ field }) => !isExact(field.layout, style)),
  ]
  for (const [index, { field, value, read, write }] of ordered.entries()) {
    if (index > 0 && sameValue(read(bytes, at + field.offset), value)) continue
    try {
      write(bytes, at + field.offset, value)
    } catch (error) {
      passOn(error, memberSegment(field.name))
    }
  }
  if (given.length > 1) checkAgreement(bytes, at, ordered)
}

/** Each member must now decode to what it decodes to when it is written alone. */
function checkAgreement(bytes: Uint8Array, at: number, given: readonly OverlappingField[]): void {
  for (const { field, value, read, write } of given) {
    const now = read(bytes, at + field.offset)
    if (sameValue(now, value)) continue
    const alone = new Uint8Array(field.layout.size)
    try {
      write(alone, 0, value)
    } catch (error) {
      passOn(error, memberSegment(field.name))
    }
    if (sameValue(now, read(alone, 0))) continue
    const names = given.map((other) => other.field.name)
    const listed = `${names.slice(0, 4).join(', ')}${names.length > 4 ? ' …' : ''}`
    throw new Fault(
      `members ${listed} share memory, and what is given for them contradicts each other`,
      'Give one of them, and leave out the others or set them to undefined',
    )
  }
}

/** Whether every pattern of bits survives decoding and encoding. */
function isExact(layout: Layout, style: Int64Style): boolean {
  switch (layout.kind) {
    case 'int':
      return layout.size !== 8 || style === 'bigint'
    case 'bits':
      return layout.bool ? layout.bits === 1 : layout.bits <= 53 || style === 'bigint'
    case 'bytes':
      return true
    case 'bool':
    case 'float':
    case 'string':
      return false
    case 'array':
      return isExact(layout.element, style)
    case 'struct':
      return layout.fields.every((field) => isExact(field.layout, style))
  }
}

/** Equality of decoded values. */
function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Uint8Array) {
    return b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i])
  }
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((value, i) => sameValue(value, b[i]))
  }
  if (Array.isArray(b)) return false
  const names = Object.keys(a)
  if (Object.keys(b).length !== names.length) return false
  const left = a as Readonly<Record<string, unknown>>
  const right = b as Readonly<Record<string, unknown>>
  return names.every((name) => Object.hasOwn(right, name) && sameValue(left[name], right[name]))
}
