/**
 * Layout: where the values of a C type lie, as pure data without BTF.
 *
 * Made by `planLayout` in plan.ts; decoders, encoders and generators of TypeScript declarations read it.
 * All sizes and offsets are bytes unless a name says bits. Byte order is little-endian.
 */

export type Layout =
  IntLayout | BitsLayout | BoolLayout | FloatLayout | StringLayout | BytesLayout | ArrayLayout | StructLayout

/** An integer, an enum or a pointer. */
export interface IntLayout {
  readonly kind: 'int'
  readonly size: IntSize
  readonly signed: boolean
  /** `u32`, `enum verdict`, `pointer`. */
  readonly typeName: string
}

export type IntSize = 1 | 2 | 4 | 8 | 16

/** A bit-field, or an integer of fewer bits than its bytes have. */
export interface BitsLayout {
  readonly kind: 'bits'
  /** 1…64. Up to 32 decode to a number. */
  readonly bits: number
  /** 0…7: low bits of the first byte that belong to something else. */
  readonly shift: number
  /** Bytes touched: 1…9. */
  readonly size: number
  readonly signed: boolean
  readonly bool: boolean
  /** `u32:3`. */
  readonly typeName: string
}

export interface BoolLayout {
  readonly kind: 'bool'
  readonly size: IntSize
  readonly typeName: string
}

export interface FloatLayout {
  readonly kind: 'float'
  readonly size: 4 | 8
  readonly typeName: string
}

/** `char[N]`. */
export interface StringLayout {
  readonly kind: 'string'
  readonly size: number
  readonly typeName: string
}

/** `unsigned char[N]`, and scalars that JavaScript has no type for. */
export interface BytesLayout {
  readonly kind: 'bytes'
  readonly size: number
  readonly typeName: string
}

export interface ArrayLayout {
  readonly kind: 'array'
  readonly size: number
  readonly length: number
  readonly element: Layout
  readonly typeName: string
}

/** A struct, a union, or the variables of a data section. The same type is the same object throughout a layout. */
export interface StructLayout {
  readonly kind: 'struct'
  readonly size: number
  /** With the members of anonymous members, in order of declaration. */
  readonly fields: readonly Field[]
  /** Names of flexible array members. */
  readonly flexible: readonly string[]
  /** The tag alone: `event`; empty if it has none. */
  readonly name: string
  /** `struct event`, `union {…}`. */
  readonly typeName: string
}

export interface Field {
  readonly name: string
  readonly offset: number
  readonly layout: Layout
  /** Whether it shares bits with another field of the struct: it is a member of a union, anonymous or not. */
  readonly shared: boolean
}

/** Visits every struct layout at or below a layout, each once. */
export function eachStruct(layout: Layout, visit: (struct: StructLayout) => void): void {
  const seen = new Set<Layout>()
  const walk = (node: Layout): void => {
    if (node.kind === 'array') return walk(node.element)
    if (node.kind !== 'struct' || seen.has(node)) return
    seen.add(node)
    visit(node)
    for (const field of node.fields) walk(field.layout)
  }
  walk(layout)
}
