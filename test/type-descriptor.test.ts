import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { typeName } from '../lib/btf/query.js'
import { createCodec } from '../lib/codec/index.js'
import { parseObjectFile } from '../lib/object-file/parse.js'
import { describeTypes, type TypeDescriptor } from '../lib/type-descriptor.js'
import { code } from './support/errors.js'

const file = parseObjectFile(
  new Uint8Array(readFileSync(new URL('../bpf/test/contract.bpf.o', import.meta.url))),
)

function roundTrip(
  descriptor: TypeDescriptor,
  value: unknown,
): { readonly size: number; readonly value: unknown } {
  const { btf, types } = describeTypes([descriptor], file.btf)
  const codec = createCodec(btf, types[0]?.id ?? -1)
  const bytes = new Uint8Array(codec.size)
  codec.encode(value, bytes)
  return { size: codec.size, value: codec.decode(bytes) }
}

describe('a type descriptor', () => {
  it.each<[TypeDescriptor, unknown, number]>([
    ['u8', 255, 1],
    ['s16', -2, 2],
    ['u32', 2 ** 32 - 1, 4],
    ['s64', -(2n ** 63n), 8],
    ['bool', true, 1],
    ['char[5]', 'abcd', 5],
    ['u8[3]', Uint8Array.of(1, 2, 3), 3],
    ['u16[2][2]', [[1, 2], [3, 4]], 8], // prettier-ignore
    ['struct pair', { left: -1, right: 5n, label: 'x' }, 24],
    ['struct pair[2]', [{ left: 1, right: 2n, label: '' }, { left: 3, right: 4n, label: 'y' }], 48], // prettier-ignore
    [{ a: 'u8', b: 'u64', c: 'u16' }, { a: 1, b: 2n, c: 3 }, 24],
    [{ a: { b: 'u16', c: 'u8' }, d: 'u8' }, { a: { b: 1, c: 2 }, d: 3 }, 6],
    [{ prefixlen: 'u32', data: 'u8[4]' }, { prefixlen: 8, data: new Uint8Array(4) }, 8],
  ])('%j is laid out as in C', (descriptor, value, size) => {
    expect(roundTrip(descriptor, value)).toEqual({ size, value })
  })

  it.each<[unknown, string]>([
    ['u33', 'NOT_FOUND'],
    ['struct nobody', 'NOT_FOUND'],
    ['toString', 'NOT_FOUND'],
    ['', 'NOT_FOUND'],
    [7, 'BAD_VALUE'],
    [null, 'BAD_VALUE'],
    ['u64[999999999]', 'BAD_VALUE'],
  ])('%j is none', (descriptor, expected) => {
    expect(code(() => describeTypes([descriptor as TypeDescriptor], file.btf))).toBe(expected)
  })

  it('that names nothing known wants a file', () => {
    expect(() => describeTypes(['struct flow'], undefined)).toThrow(/no type 'struct flow'.*file/)
    expect(() => describeTypes(['u23'], undefined)).toThrow(/Did you mean/)
  })

  it('takes over only what a type refers to', () => {
    const { btf, types } = describeTypes(['struct pair'], file.btf)
    expect(btf.types.length).toBeLessThan(15)
    expect(typeName(btf, types[0]?.id ?? 0)).toBe('struct pair')
    expect(btf.types.some((type) => type.kind === 'datasec' || type.kind === 'func')).toBe(false)
  })
})
