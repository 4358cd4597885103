/** Random C types for property tests, as descriptions that fast-check can shrink, and their BTF. */
import * as fc from 'fast-check'
import type { TypeId } from '../../lib/btf/types.js'
import { BtfLiteral } from './btf-literal.js'

export type RandomType =
  | { readonly kind: 'int' | 'enum'; readonly size: 1 | 2 | 4 | 8 | 16; readonly signed: boolean }
  | { readonly kind: 'float'; readonly size: 4 | 8 }
  | { readonly kind: 'bool' | 'pointer' }
  | { readonly kind: 'char' | 'bytes'; readonly length: number }
  | { readonly kind: 'array'; readonly length: number; readonly element: RandomType }
  | { readonly kind: 'struct' | 'union'; readonly members: readonly RandomMember[]; readonly packed: boolean }

export interface RandomMember {
  readonly type: RandomType
  /** Only has an effect on structs and unions. */
  readonly anonymous: boolean
  /** 0, or the bits of a bit-field: has an effect on integers, enums and bools. */
  readonly bits: number
}

export const randomType: fc.Arbitrary<RandomType> = fc.letrec<{ type: RandomType; member: RandomMember }>(
  (tie) => ({
    type: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.record({
        kind: fc.constant('int' as const),
        size: fc.constantFrom(1, 2, 4, 8, 16),
        signed: fc.boolean(),
      }),
      fc.record({
        kind: fc.constant('enum' as const),
        size: fc.constantFrom(1, 2, 4, 8),
        signed: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('float' as const), size: fc.constantFrom(4, 8) }),
      fc.record({ kind: fc.constantFrom('bool' as const, 'pointer' as const) }),
      fc.record({
        kind: fc.constantFrom('char' as const, 'bytes' as const),
        length: fc.integer({ min: 1, max: 40 }),
      }),
      fc.record({
        kind: fc.constant('array' as const),
        length: fc.integer({ min: 1, max: 12 }),
        element: tie('type'),
      }),
      fc.record({
        kind: fc.constantFrom('struct' as const, 'struct' as const, 'union' as const),
        members: fc.array(tie('member'), { minLength: 1, maxLength: 6 }),
        packed: fc.boolean(),
      }),
    ),
    member: fc.record({
      type: tie('type'),
      anonymous: fc.boolean(),
      bits: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 64 })),
    }),
  }),
).type

interface Placed {
  readonly id: TypeId
  readonly size: number
  readonly align: number
}

/** The BTF of a type: members are placed as a C compiler would, in order and aligned unless packed. */
export function materialize(type: RandomType): { readonly btf: BtfLiteral; readonly id: TypeId } {
  const btf = new BtfLiteral()
  let names = 0
  const place = (type: RandomType): Placed => {
    switch (type.kind) {
      case 'int':
        return {
          id: btf.int(`int${type.size * 8}`, type.size, type.signed),
          size: type.size,
          align: type.size,
        }
      case 'enum':
        return { id: btf.enum('choice', type.size, type.signed), size: type.size, align: type.size }
      case 'float':
        return { id: btf.float('real', type.size), size: type.size, align: type.size }
      case 'bool':
        return { id: btf.bool(), size: 1, align: 1 }
      case 'pointer':
        return { id: btf.pointer(0), size: 8, align: 8 }
      case 'char':
        return { id: btf.array(btf.char(), type.length), size: type.length, align: 1 }
      case 'bytes':
        return { id: btf.array(btf.int('unsigned char', 1), type.length), size: type.length, align: 1 }
      case 'array': {
        const element = place(type.element)
        return { ...element, id: btf.array(element.id, type.length), size: element.size * type.length }
      }
      case 'struct':
      case 'union':
        return placeMembers(type)
    }
  }
  const placeMembers = (type: Extract<RandomType, { kind: 'struct' | 'union' }>): Placed => {
    let end = 0
    let align = 1
    const members = type.members.map((member) => {
      const placed = place(member.type)
      const bits = bitsOf(member, placed.size)
      const alignment = type.packed ? 1 : placed.align
      let start = type.kind === 'union' ? 0 : end
      if (bits === 0) start = Math.ceil(start / (8 * alignment)) * 8 * alignment
      align = Math.max(align, bits === 0 ? alignment : 1)
      end = Math.max(end, start + (bits || placed.size * 8))
      const composite = member.type.kind === 'struct' || member.type.kind === 'union'
      const name = composite && member.anonymous ? '' : names++ === 3 ? '__proto__' : `m${names}`
      return { name, type: placed.id, bitOffset: start, bitSize: bits }
    })
    const size = Math.ceil(end / (8 * align)) * align
    return { id: btf[type.kind]('s', size, members), size, align }
  }
  return { btf, id: place(type).id }
}

function bitsOf(member: RandomMember, size: number): number {
  const { kind } = member.type
  if (kind === 'bool') return Math.min(member.bits, 1)
  return kind === 'int' || kind === 'enum' ? Math.min(member.bits, size * 8) : 0
}
