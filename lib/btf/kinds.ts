/**
 * The kinds of BTF types, one row each: how long a type of that kind is, and how it is read. What one type alone can
 * tell is checked here; what takes the other types, in validate.ts.
 *
 * Source: Documentation/bpf/btf.rst of the Linux kernel, kinds as of 6.18.
 */
import { BpfError } from '../errors.js'
import type { BtfStrings } from './strings.js'
import type { BtfEnumValue, BtfKind, BtfMember, BtfType } from './types.js'

/** The flag bit of the info word: bit-fields in structs, signedness of enums, `union` of forward declarations. */
export const KIND_FLAG = 0x8000_0000

const HEADER = 12
const MAX_VLEN = 0xffff

/** What a row needs to read a type. */
export interface TypeReader {
  readonly view: DataView
  readonly strings: BtfStrings
  /** Of the type that is being read, for messages. */
  id: number
}

export interface KindReader {
  readonly name: BtfKind
  /** Bytes behind the common header that every type of the kind has. */
  readonly fixedSize: number
  /** Bytes of one member, value, parameter … */
  readonly partSize: number
  readonly maxVlen: number
  /** Whether the kind gives the flag bit a meaning. */
  readonly flag: boolean
  /** @param at of the type's header in `view`; the type is known to lie in the section */
  read(reader: TypeReader, at: number, vlen: number, flag: boolean): BtfType
}

const INT_SIGNED = 1
const INT_CHAR = 2
const INT_BOOL = 4

const LINKAGES = 2

function fail(reader: TypeReader, message: string): BpfError {
  return new BpfError('BAD_BTF', `BTF: type ${reader.id} ${message}`)
}

function nameAt(reader: TypeReader, at: number): string {
  return reader.strings.at(reader.view.getUint32(at, true))
}

/** For kinds that have no name: Linux insists that there is none. */
function nameless(reader: TypeReader, at: number): void {
  if (reader.view.getUint32(at, true) !== 0) throw fail(reader, 'has a name, though its kind has none')
}

/** The size-or-type word. */
function word(reader: TypeReader, at: number): number {
  return reader.view.getUint32(at + 8, true)
}

function sizeOneOf(reader: TypeReader, at: number, sizes: readonly number[]): number {
  const size = word(reader, at)
  if (!sizes.includes(size)) throw fail(reader, `has a size of ${size}; its kind allows ${sizes.join(', ')}`)
  return size
}

function linkage(reader: TypeReader, value: number): number {
  if (value > LINKAGES) throw fail(reader, `has an unknown linkage: ${value}`)
  return value
}

function readInt(reader: TypeReader, at: number): BtfType {
  const size = sizeOneOf(reader, at, [1, 2, 4, 8, 16])
  const data = reader.view.getUint32(at + HEADER, true)
  const encoding = (data >>> 24) & 0xf
  const bitOffset = (data >>> 16) & 0xff
  const bits = data & 0xff
  if (encoding > 7 || data >>> 28 !== 0)
    throw fail(reader, `is an integer of unknown encoding ${data >>> 24}`)
  if (bits === 0 || bitOffset + bits > size * 8) {
    throw fail(reader, `is an integer of ${bits} bits at bit ${bitOffset}, but has ${size} bytes`)
  }
  return {
    kind: 'int',
    name: nameAt(reader, at),
    size,
    signed: (encoding & INT_SIGNED) !== 0,
    char: (encoding & INT_CHAR) !== 0,
    bool: (encoding & INT_BOOL) !== 0,
    bitOffset,
    bits,
  }
}

function readComposite(kind: 'struct' | 'union'): KindReader {
  return {
    name: kind,
    fixedSize: 0,
    partSize: 12,
    maxVlen: MAX_VLEN,
    flag: true,
    read(reader, at, vlen, flag) {
      const { view } = reader
      const size = word(reader, at)
      const members: BtfMember[] = []
      for (let i = 0, part = at + HEADER; i < vlen; i++, part += 12) {
        const offset = view.getUint32(part + 8, true)
        const bitOffset = flag ? offset & 0xff_ffff : offset
        const bitSize = flag ? offset >>> 24 : 0
        if (bitOffset + bitSize > size * 8) {
          throw fail(reader, `(${kind}): member ${i} starts or ends behind the ${size} bytes of it`)
        }
        if (kind === 'union' && bitOffset !== 0)
          throw fail(reader, `(union): member ${i} does not start at 0`)
        members.push({ name: nameAt(reader, part), type: view.getUint32(part + 4, true), bitOffset, bitSize })
      }
      return { kind, name: nameAt(reader, at), size, members }
    },
  }
}

function readEnum(reader: TypeReader, at: number, vlen: number, flag: boolean): BtfType {
  const { view } = reader
  const values: BtfEnumValue[] = []
  for (let i = 0, part = at + HEADER; i < vlen; i++, part += 8) {
    values.push({
      name: nameAt(reader, part),
      value: flag ? view.getInt32(part + 4, true) : view.getUint32(part + 4, true),
    })
  }
  return {
    kind: 'enum',
    name: nameAt(reader, at),
    size: sizeOneOf(reader, at, [1, 2, 4, 8]),
    signed: flag,
    values,
  }
}

function readEnum64(reader: TypeReader, at: number, vlen: number, flag: boolean): BtfType {
  const { view } = reader
  const values: BtfEnumValue[] = []
  for (let i = 0, part = at + HEADER; i < vlen; i++, part += 12) {
    const high = view.getUint32(part + 8, true)
    const value = (BigInt(high) << 32n) | BigInt(view.getUint32(part + 4, true))
    values.push({ name: nameAt(reader, part), value: flag ? BigInt.asIntN(64, value) : value })
  }
  return {
    kind: 'enum64',
    name: nameAt(reader, at),
    size: sizeOneOf(reader, at, [1, 2, 4, 8]),
    signed: flag,
    values,
  }
}

function readFuncProto(reader: TypeReader, at: number, vlen: number): BtfType {
  nameless(reader, at)
  const params = Array.from({ length: vlen }, (_, i) => ({
    name: nameAt(reader, at + HEADER + i * 8),
    type: reader.view.getUint32(at + HEADER + i * 8 + 4, true),
  }))
  return { kind: 'func_proto', type: word(reader, at), params }
}

function readDatasec(reader: TypeReader, at: number, vlen: number): BtfType {
  const { view } = reader
  const size = word(reader, at)
  const name = nameAt(reader, at)
  if (name === '') throw fail(reader, '(datasec) has no name')
  const variables = Array.from({ length: vlen }, (_, i) => {
    const part = at + HEADER + i * 12
    const variable = {
      type: view.getUint32(part, true),
      offset: view.getUint32(part + 4, true),
      size: view.getUint32(part + 8, true),
    }
    // Compilers leave the size 0 for the linker to fill in; offsets are not final then either.
    if (size !== 0 && variable.offset + variable.size > size) {
      throw fail(reader, `(datasec '${name}'): variable ${i} lies outside of it`)
    }
    return variable
  })
  return { kind: 'datasec', name, size, variables }
}

/** A kind without parts whose word is another type. */
function reference(name: 'ptr' | 'volatile' | 'const' | 'restrict'): KindReader {
  return {
    name,
    fixedSize: 0,
    partSize: 0,
    maxVlen: 0,
    flag: false,
    read(reader, at) {
      nameless(reader, at)
      return { kind: name, type: word(reader, at) }
    },
  }
}

function simple(
  name: BtfKind,
  read: KindReader['read'],
  shape: Partial<Pick<KindReader, 'fixedSize' | 'partSize' | 'maxVlen' | 'flag'>> = {},
): KindReader {
  return { name, fixedSize: 0, partSize: 0, maxVlen: 0, flag: false, ...shape, read }
}

const named = (reader: TypeReader, at: number): string => {
  const name = nameAt(reader, at)
  if (name === '') throw fail(reader, 'has no name, though its kind needs one')
  return name
}

/** By BTF_KIND_*; 0 is void, which no blob spells out. */
export const KINDS: readonly (KindReader | undefined)[] = [
  undefined,
  simple('int', readInt, { fixedSize: 4 }),
  reference('ptr'),
  simple(
    'array',
    (reader, at) => {
      nameless(reader, at)
      const { view } = reader
      return {
        kind: 'array',
        type: view.getUint32(at + HEADER, true),
        indexType: view.getUint32(at + HEADER + 4, true),
        length: view.getUint32(at + HEADER + 8, true),
      }
    },
    { fixedSize: 12 },
  ),
  readComposite('struct'),
  readComposite('union'),
  simple('enum', readEnum, { partSize: 8, maxVlen: MAX_VLEN, flag: true }),
  simple('fwd', (reader, at, _, flag) => ({ kind: 'fwd', name: named(reader, at), union: flag }), {
    flag: true,
  }),
  simple('typedef', (reader, at) => ({ kind: 'typedef', name: named(reader, at), type: word(reader, at) })),
  reference('volatile'),
  reference('const'),
  reference('restrict'),
  // The vlen field of a function is its linkage.
  simple(
    'func',
    (reader, at, vlen) => ({
      kind: 'func',
      name: named(reader, at),
      type: word(reader, at),
      linkage: linkage(reader, vlen),
    }),
    { maxVlen: MAX_VLEN },
  ),
  simple('func_proto', readFuncProto, { partSize: 8, maxVlen: MAX_VLEN }),
  simple(
    'var',
    (reader, at) => ({
      kind: 'var',
      name: named(reader, at),
      type: word(reader, at),
      linkage: linkage(reader, reader.view.getUint32(at + HEADER, true)),
    }),
    { fixedSize: 4 },
  ),
  simple('datasec', readDatasec, { partSize: 12, maxVlen: MAX_VLEN }),
  simple('float', (reader, at) => ({
    kind: 'float',
    name: nameAt(reader, at),
    size: sizeOneOf(reader, at, [2, 4, 8, 12, 16]),
  })),
  // Since Linux 6.14 the flag tells an attribute from a tag.
  simple(
    'decl_tag',
    (reader, at) => ({
      kind: 'decl_tag',
      name: named(reader, at),
      type: word(reader, at),
      component: reader.view.getInt32(at + HEADER, true),
    }),
    { fixedSize: 4, flag: true },
  ),
  simple(
    'type_tag',
    (reader, at) => ({ kind: 'type_tag', name: named(reader, at), type: word(reader, at) }),
    {
      flag: true,
    },
  ),
  simple('enum64', readEnum64, { partSize: 12, maxVlen: MAX_VLEN, flag: true }),
]
