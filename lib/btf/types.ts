/**
 * BTF types as plain data: what a `.BTF` section says, one object a type, ids as in the section.
 *
 * Source: Documentation/bpf/btf.rst of the Linux kernel.
 */

/** Index into {@link Btf.types}. 0 is void. */
export type TypeId = number

export interface BtfMember {
  readonly name: string
  readonly type: TypeId
  /** Offset in the struct, in bits. */
  readonly bitOffset: number
  /** Bits of a bit-field; 0 for an ordinary member. */
  readonly bitSize: number
}
export interface BtfEnumValue {
  readonly name: string
  /** Signed or unsigned as the enum says; 64-bit enums have bigint values. */
  readonly value: number | bigint
}
export interface BtfParam {
  readonly name: string
  readonly type: TypeId
}
export interface BtfVarSecInfo {
  readonly type: TypeId
  readonly offset: number
  readonly size: number
}

interface Composite<K extends 'struct' | 'union'> {
  readonly kind: K
  readonly name: string
  readonly size: number
  readonly members: readonly BtfMember[]
}
interface Enumeration<K extends 'enum' | 'enum64'> {
  readonly kind: K
  readonly name: string
  readonly size: number
  readonly signed: boolean
  readonly values: readonly BtfEnumValue[]
}

export type BtfType =
  | { readonly kind: 'void' }
  | {
      readonly kind: 'int'
      readonly name: string
      readonly size: number
      readonly signed: boolean
      readonly char: boolean
      readonly bool: boolean
      readonly bitOffset: number
      readonly bits: number
    }
  | { readonly kind: 'ptr'; readonly type: TypeId }
  | { readonly kind: 'array'; readonly type: TypeId; readonly indexType: TypeId; readonly length: number }
  | Composite<'struct'>
  | Composite<'union'>
  | Enumeration<'enum'>
  | Enumeration<'enum64'>
  | { readonly kind: 'fwd'; readonly name: string; readonly union: boolean }
  | { readonly kind: 'typedef'; readonly name: string; readonly type: TypeId }
  | { readonly kind: 'volatile'; readonly type: TypeId }
  | { readonly kind: 'const'; readonly type: TypeId }
  | { readonly kind: 'restrict'; readonly type: TypeId }
  | { readonly kind: 'func'; readonly name: string; readonly type: TypeId; readonly linkage: number }
  | { readonly kind: 'func_proto'; readonly type: TypeId; readonly params: readonly BtfParam[] }
  | { readonly kind: 'var'; readonly name: string; readonly type: TypeId; readonly linkage: number }
  | {
      readonly kind: 'datasec'
      readonly name: string
      readonly size: number
      readonly variables: readonly BtfVarSecInfo[]
    }
  | { readonly kind: 'float'; readonly name: string; readonly size: number }
  | { readonly kind: 'decl_tag'; readonly name: string; readonly type: TypeId; readonly component: number }
  | { readonly kind: 'type_tag'; readonly name: string; readonly type: TypeId }

export type BtfKind = BtfType['kind']

/** One BTF blob, parsed and validated: every id and string offset in it is in range, no type contains itself. */
export interface Btf {
  readonly types: readonly BtfType[]
  /** The blob itself. */
  readonly bytes: Uint8Array
  /** The string at an offset of the string section (CO-RE relocations and line information point there). */
  string(offset: number): string
  /** Ids of the types with a name, in order of appearance; empty if there are none. */
  find(name: string): readonly TypeId[]
}
