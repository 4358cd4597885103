/** Writes BTF: for tests, for types that a program has no source for, and for what the fallback makes up. */
import type { BtfKind, BtfType, TypeId } from './types.js'

/** BTF_KIND_* numbers. */
export const BTF_KIND: Readonly<Record<BtfKind, number>> = {
  void: 0,
  int: 1,
  ptr: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  fwd: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  func: 12,
  func_proto: 13,
  var: 14,
  datasec: 15,
  float: 16,
  decl_tag: 17,
  type_tag: 18,
  enum64: 19,
}

const HEADER = 24
const encoder = new TextEncoder()

/**
 * Collects types and strings, then lays them out. It checks nothing: a type may refer to one that comes later (or
 * never, which is what a test of a validator wants). `parseBtf` of the result is the check.
 *
 * @example
 * const b = new BtfBuilder()
 * const u32 = b.int('u32', 4)
 * const event = b.struct('event', [['pid', u32, 0], ['uid', u32, 4]], 8)
 * const btf = parseBtf(b.finish())
 */
export class BtfBuilder {
  readonly #words: number[] = []
  readonly #strings: number[] = [0]
  readonly #offsets = new Map<string, number>([['', 0]])
  #next: TypeId = 1

  /** The id that the next added type will have. */
  get nextId(): TypeId {
    return this.#next
  }

  /** Adds a string, once. @returns its offset in the string section */
  string(text: string): number {
    const known = this.#offsets.get(text)
    if (known !== undefined) return known
    const offset = this.#strings.length
    for (const byte of encoder.encode(text)) this.#strings.push(byte)
    this.#strings.push(0)
    this.#offsets.set(text, offset)
    return offset
  }

  /** Adds a type. @returns its id; 0 for void, which needs no entry */
  add(type: BtfType): TypeId {
    if (type.kind === 'void') return 0
    this.#words.push(...this.#encode(type))
    return this.#next++
  }

  int(name: string, size: number, flags: { signed?: boolean; char?: boolean; bool?: boolean } = {}): TypeId {
    const { signed = false, char = false, bool = false } = flags
    return this.add({ kind: 'int', name, size, signed, char, bool, bitOffset: 0, bits: size * 8 })
  }

  ptr(type: TypeId): TypeId {
    return this.add({ kind: 'ptr', type })
  }

  array(type: TypeId, length: number, indexType: TypeId = type): TypeId {
    return this.add({ kind: 'array', type, indexType, length })
  }

  /** Members are name, type, and offset in bytes. */
  struct(name: string, members: readonly (readonly [string, TypeId, number])[], size: number): TypeId {
    return this.add({
      kind: 'struct',
      name,
      size,
      members: members.map(([member, type, offset]) => ({
        name: member,
        type,
        bitOffset: offset * 8,
        bitSize: 0,
      })),
    })
  }

  /** @returns the blob: what a `.BTF` section holds */
  finish(): Uint8Array {
    const typeBytes = this.#words.length * 4
    const bytes = new Uint8Array(HEADER + typeBytes + this.#strings.length)
    const view = new DataView(bytes.buffer)
    view.setUint16(0, 0xeb9f, true)
    view.setUint8(2, 1)
    const header = [HEADER, 0, typeBytes, typeBytes, this.#strings.length]
    header.forEach((value, index) => view.setUint32(4 + index * 4, value, true))
    this.#words.forEach((value, index) => view.setUint32(HEADER + index * 4, value >>> 0, true))
    bytes.set(this.#strings, HEADER + typeBytes)
    return bytes
  }

  /** The type's words: name, info, size or type, then what its kind adds. */
  #encode(type: Exclude<BtfType, { kind: 'void' }>): readonly number[] {
    const head = (name: string, sizeOrType: number, vlen = 0, flag = false): number[] => [
      this.string(name),
      ((flag ? 0x8000_0000 : 0) | (BTF_KIND[type.kind] << 24) | vlen) >>> 0,
      sizeOrType,
    ]
    switch (type.kind) {
      case 'int': {
        const encoding = (type.signed ? 1 : 0) | (type.char ? 2 : 0) | (type.bool ? 4 : 0)
        return [...head(type.name, type.size), (encoding << 24) | (type.bitOffset << 16) | type.bits]
      }
      case 'ptr':
      case 'volatile':
      case 'const':
      case 'restrict':
        return head('', type.type)
      case 'array':
        return [...head('', 0), type.type, type.indexType, type.length]
      case 'struct':
      case 'union': {
        const flag = type.members.some((member) => member.bitSize > 0)
        return [
          ...head(type.name, type.size, type.members.length, flag),
          ...type.members.flatMap((member) => [
            this.string(member.name),
            member.type,
            flag ? (member.bitSize << 24) | member.bitOffset : member.bitOffset,
          ]),
        ]
      }
      case 'enum':
        return [
          ...head(type.name, type.size, type.values.length, type.signed),
          ...type.values.flatMap(({ name, value }) => [
            this.string(name),
            Number(BigInt.asUintN(32, BigInt(value))),
          ]),
        ]
      case 'enum64':
        return [
          ...head(type.name, type.size, type.values.length, type.signed),
          ...type.values.flatMap(({ name, value }) => {
            const bits = BigInt.asUintN(64, BigInt(value))
            return [this.string(name), Number(bits & 0xffff_ffffn), Number(bits >> 32n)]
          }),
        ]
      case 'fwd':
        return head(type.name, 0, 0, type.union)
      case 'typedef':
      case 'type_tag':
        return head(type.name, type.type)
      case 'func':
        return head(type.name, type.type, type.linkage)
      case 'func_proto':
        return [
          ...head('', type.type, type.params.length),
          ...type.params.flatMap((param) => [this.string(param.name), param.type]),
        ]
      case 'var':
        return [...head(type.name, type.type), type.linkage]
      case 'datasec':
        return [
          ...head(type.name, type.size, type.variables.length),
          ...type.variables.flatMap((variable) => [variable.type, variable.offset, variable.size]),
        ]
      case 'float':
        return head(type.name, type.size)
      case 'decl_tag':
        return [...head(type.name, type.type), type.component]
      default:
        return type satisfies never
    }
  }
}
