/** BTF written down as types, for tests of what consumes it: ids are handed out as types are added. */
import type { Btf, BtfMember, BtfType, TypeId } from '../../lib/btf/types.js'

/** `bitOffset` and `bitSize` are 0 if left out. */
export interface LiteralMember {
  readonly name: string
  readonly type: TypeId
  readonly bitOffset?: number
  readonly bitSize?: number
}

export class BtfLiteral implements Btf {
  readonly types: BtfType[] = [{ kind: 'void' }]
  readonly bytes = new Uint8Array()

  string(): string {
    return ''
  }

  find(name: string): readonly TypeId[] {
    return this.types.flatMap((type, id) => ('name' in type && type.name === name ? [id] : []))
  }

  add(type: BtfType): TypeId {
    return this.types.push(type) - 1
  }

  int(name: string, size: number, signed = false): TypeId {
    return this.add({
      kind: 'int',
      name,
      size,
      signed,
      char: false,
      bool: false,
      bitOffset: 0,
      bits: size * 8,
    })
  }

  bool(size = 1): TypeId {
    return this.add({
      kind: 'int',
      name: '_Bool',
      size,
      signed: false,
      char: false,
      bool: true,
      bitOffset: 0,
      bits: 8,
    })
  }

  /** As clang writes it. */
  char(): TypeId {
    return this.int('char', 1, true)
  }

  float(name: string, size: number): TypeId {
    return this.add({ kind: 'float', name, size })
  }

  typedef(name: string, type: TypeId): TypeId {
    return this.add({ kind: 'typedef', name, type })
  }

  qualified(kind: 'const' | 'volatile' | 'restrict', type: TypeId): TypeId {
    return this.add({ kind, type })
  }

  pointer(type: TypeId): TypeId {
    return this.add({ kind: 'ptr', type })
  }

  array(type: TypeId, length: number): TypeId {
    return this.add({ kind: 'array', type, indexType: 0, length })
  }

  enum(name: string, size: number, signed = false): TypeId {
    return this.add({ kind: 'enum', name, size, signed, values: [{ name: 'ZERO', value: 0 }] })
  }

  enum64(name: string, signed = false): TypeId {
    return this.add({ kind: 'enum64', name, size: 8, signed, values: [{ name: 'ZERO', value: 0n }] })
  }

  struct(name: string, size: number, members: readonly LiteralMember[]): TypeId {
    return this.add({ kind: 'struct', name, size, members: this.#members(members) })
  }

  union(name: string, size: number, members: readonly LiteralMember[]): TypeId {
    return this.add({ kind: 'union', name, size, members: this.#members(members) })
  }

  #members(members: readonly LiteralMember[]): BtfMember[] {
    return members.map(({ name, type, bitOffset = 0, bitSize = 0 }) => ({ name, type, bitOffset, bitSize }))
  }
}
