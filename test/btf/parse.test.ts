import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { BtfBuilder } from '../../lib/btf/builder.js'
import { parseBtf } from '../../lib/btf/parse.js'
import { findMember, findType, resolveType, sizeOf } from '../../lib/btf/query.js'
import type { BtfType } from '../../lib/btf/types.js'
import { MAX_BTF_DEPTH } from '../../lib/btf/validate.js'
import { BpfError } from '../../lib/errors.js'

/** One type of each kind, each valid in the company of the others. */
const EVERY_KIND: readonly BtfType[] = [
  { kind: 'int', name: 'int', size: 4, signed: true, char: false, bool: false, bitOffset: 0, bits: 32 },
  { kind: 'ptr', type: 1 },
  { kind: 'array', type: 1, indexType: 1, length: 7 },
  { kind: 'struct', name: 's', size: 8, members: [{ name: 'a', type: 1, bitOffset: 3, bitSize: 5 }] },
  { kind: 'union', name: 'u', size: 28, members: [{ name: 'x', type: 3, bitOffset: 0, bitSize: 0 }, { name: '', type: 4, bitOffset: 0, bitSize: 0 }] }, // prettier-ignore
  { kind: 'enum', name: 'e', size: 4, signed: true, values: [{ name: 'MINUS', value: -1 }] },
  { kind: 'fwd', name: 'later', union: true },
  { kind: 'typedef', name: 't', type: 10 },
  { kind: 'volatile', type: 1 },
  { kind: 'const', type: 9 },
  { kind: 'restrict', type: 2 },
  { kind: 'func', name: 'f', type: 13, linkage: 1 },
  { kind: 'func_proto', type: 1, params: [{ name: 'p', type: 2 }, { name: '', type: 0 }] }, // prettier-ignore
  { kind: 'var', name: 'v', type: 5, linkage: 0 },
  { kind: 'datasec', name: '.data', size: 28, variables: [{ type: 14, offset: 0, size: 28 }] },
  { kind: 'float', name: 'double', size: 8 },
  { kind: 'decl_tag', name: 'tag', type: 4, component: 0 },
  { kind: 'type_tag', name: 'user', type: 1 },
  {
    kind: 'enum64',
    name: 'big',
    size: 8,
    signed: false,
    values: [{ name: 'MAX', value: 0xffff_ffff_ffff_ffffn }],
  },
]

function blob(...types: readonly BtfType[]): Uint8Array {
  const builder = new BtfBuilder()
  for (const type of types) builder.add(type)
  return builder.finish()
}

function refusal(bytes: Uint8Array): BpfError {
  try {
    parseBtf(bytes)
  } catch (error) {
    if (error instanceof BpfError) return error
    throw error
  }
  throw new Error('it was accepted')
}

const INT = EVERY_KIND[0] as BtfType

test('every kind survives being written and read', () => {
  expect(parseBtf(blob(...EVERY_KIND)).types).toEqual([{ kind: 'void' }, ...EVERY_KIND])
})

test('types are found by name, in order', () => {
  const btf = parseBtf(blob(INT, { kind: 'struct', name: 'int', size: 0, members: [] }))
  expect(btf.find('int')).toEqual([1, 2])
  expect(btf.find('')).toEqual([])
  expect(btf.find('constructor')).toEqual([])
  expect(findType(btf, 'int', 'struct')?.id).toBe(2)
})

test('names that are not ASCII are read', () => {
  const btf = parseBtf(
    blob({ kind: 'fwd', name: 'Größe', union: false }, { kind: 'fwd', name: 'after', union: false }),
  )
  expect(btf.types.slice(1)).toMatchObject([{ name: 'Größe' }, { name: 'after' }])
})

/** Gives the second type, which comes behind an integer, a name. */
function named(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer).setUint32(24 + 16, 0x4000_0000, true)
  return bytes
}

describe('a blob is refused', () => {
  const withHeader = (offset: number, value: number): Uint8Array => {
    const bytes = blob(INT)
    new DataView(bytes.buffer).setUint32(offset, value, true)
    return bytes
  }
  test.each([
    { what: 'empty', bytes: new Uint8Array(0), message: /too short/ },
    { what: 'big-endian', bytes: withHeader(0, 0x01_9feb), message: /big-endian/ },
    { what: 'of another version', bytes: withHeader(0, 0x02_eb9f), message: /version 2/ },
    { what: 'with types behind its end', bytes: withHeader(12, 0xffff_fff0), message: /outside of the blob/ },
    { what: 'with strings over types', bytes: withHeader(16, 0), message: /overlaps/ },
    { what: 'with an odd header', bytes: withHeader(4, 26), message: /bad header size/ },
    { what: 'with a name where none belongs', bytes: named(blob(INT, { kind: 'ptr', type: 1 })), message: /type 2 has a name/ }, // prettier-ignore
    { what: 'with a type cut off', bytes: withHeader(12, 13), message: /cut off/ },
  ])('that is $what', ({ bytes, message }) => {
    const error = refusal(bytes)
    expect(error.code).toBe('BAD_BTF')
    expect(error.message).toMatch(message)
  })
})

describe('types are refused', () => {
  const composite = (
    members: readonly [type: number, bitOffset: number, bitSize?: number][],
    size: number,
  ): BtfType => ({
    kind: 'struct',
    name: 's',
    size,
    members: members.map(([type, bitOffset, bitSize = 0]) => ({ name: 'm', type, bitOffset, bitSize })),
  })
  test.each<{ what: string; types: readonly BtfType[]; message: RegExp }>([
    { what: 'that refer out of range', types: [{ kind: 'ptr', type: 9 }], message: /type 9, out of range/ },
    {
      what: 'that contain themselves',
      types: [composite([[1, 0]], 8)],
      message: /contains or refers to itself/,
    },
    {
      what: 'that contain each other',
      types: [composite([[2, 0]], 8), composite([[1, 0]], 8)],
      message: /itself/,
    },
    { what: 'in a circle of typedefs', types: [{ kind: 'typedef', name: 'a', type: 2 }, { kind: 'const', type: 1 }], message: /itself/ }, // prettier-ignore
    {
      what: 'in a circle of pointers',
      types: [
        { kind: 'ptr', type: 2 },
        { kind: 'ptr', type: 1 },
      ],
      message: /itself/,
    },
    {
      what: 'with members behind their end',
      types: [INT, composite([[1, 8]], 4)],
      message: /ends behind its 4 bytes/,
    },
    { what: 'with members of no size', types: [composite([[2, 0]], 8), { kind: 'fwd', name: 'f', union: false }], message: /has no size/ }, // prettier-ignore
    { what: 'with bit-fields that are too wide', types: [INT, composite([[1, 0, 33]], 8)], message: /wider than its type/ }, // prettier-ignore
    { what: 'that are arrays of more than 4 GB', types: [INT, { kind: 'array', type: 1, indexType: 1, length: 0x4000_0000 }], message: /too large/ }, // prettier-ignore
    { what: 'that are arrays of nothing', types: [INT, { kind: 'array', type: 0, indexType: 1, length: 1 }], message: /element is type 0, a void/ }, // prettier-ignore
    { what: 'that are functions of no prototype', types: [INT, { kind: 'func', name: 'f', type: 1, linkage: 0 }], message: /prototype is type 1, a int/ }, // prettier-ignore
    { what: 'that tag a member that is not there', types: [composite([], 0), { kind: 'decl_tag', name: 't', type: 1, component: 0 }], message: /tags part 0/ }, // prettier-ignore
    { what: 'of odd sizes', types: [{ kind: 'float', name: 'f', size: 3 }], message: /size of 3/ },
  ])('$what', ({ types, message }) => {
    expect(refusal(blob(...types)).message).toMatch(message)
  })

  test('that nest too deeply, and those that nest by the thousand do not overflow the stack', () => {
    const chain = (length: number): readonly BtfType[] => [
      INT,
      ...Array.from({ length }, (_, i): BtfType => ({ kind: 'const', type: i + 1 })),
    ]
    expect(parseBtf(blob(...chain(MAX_BTF_DEPTH - 1))).types).toHaveLength(MAX_BTF_DEPTH + 1)
    expect(refusal(blob(...chain(MAX_BTF_DEPTH))).message).toMatch(/nests deeper/)
    expect(refusal(blob(...chain(50_000))).message).toMatch(/nests deeper/)
    expect(refusal(blob(...chain(50_000).toReversed().map((type, i): BtfType => (type.kind === 'const' ? { kind: 'const', type: i + 2 } : type)))).message).toMatch(/nests deeper/) // prettier-ignore
  })

  test('whose members multiply', () => {
    const doubling = Array.from({ length: 40 }, (_, i): BtfType => {
      const member = { name: '', type: i + 1, bitOffset: 0, bitSize: 0 }
      return { kind: 'union', name: '', size: 4, members: [member, member] }
    })
    expect(refusal(blob(INT, ...doubling)).message).toMatch(/too many members/)
  })
})

test('a type may point to itself through a struct', () => {
  const btf = parseBtf(blob({ kind: 'struct', name: 'list', size: 8, members: [{ name: 'next', type: 2, bitOffset: 0, bitSize: 0 }] }, { kind: 'ptr', type: 1 })) // prettier-ignore
  expect(sizeOf(btf, 1)).toBe(8)
})

const VMLINUX = '/sys/kernel/btf/vmlinux'

test.skipIf(!existsSync(VMLINUX))('the types of the running kernel are read', () => {
  const btf = parseBtf(new Uint8Array(readFileSync(VMLINUX)))
  expect(btf.types.length).toBeGreaterThan(10_000)
  const task = findType(btf, 'task_struct', 'struct')
  const comm = task && findMember(btf, task.type, 'comm')
  expect(comm && resolveType(btf, comm.type)).toMatchObject({ kind: 'array', length: 16 })
  expect(findType(btf, 'bpf_map_type', 'enum')?.type.values).toContainEqual({
    name: 'BPF_MAP_TYPE_RINGBUF',
    value: 27,
  })
})
