import { describe, expect, test, vi } from 'vitest'
import { createCodec, eachStruct, LAYOUT_LIMITS, planLayout } from '../../lib/codec/index.js'
import type { TypeId } from '../../lib/btf/types.js'
import { BtfLiteral } from '../support/btf-literal.js'
import { code } from '../support/errors.js'

test('a codec knows its size and its type', () => {
  const btf = new BtfLiteral()
  const type = btf.typedef('event_t', btf.struct('event', 12, []))
  expect(createCodec(btf, type)).toMatchObject({ size: 12, typeName: 'event_t' })
})

test('a codec that is asked for again is the same, unless the options differ', () => {
  const btf = new BtfLiteral()
  const type = btf.int('u64', 8)
  expect(createCodec(btf, type)).toBe(createCodec(btf, type, {}))
  expect(createCodec(btf, type)).not.toBe(createCodec(btf, type, { int64: 'number' }))
})

describe('malformed types are refused', () => {
  const u32 = (btf: BtfLiteral): TypeId => btf.int('u32', 4)
  test.each<[string, (btf: BtfLiteral) => TypeId]>([
    ['an id out of range', () => 99],
    ['void', () => 0],
    ['a forward declaration', (btf) => btf.add({ kind: 'fwd', name: 'f', union: false })],
    ['a function', (btf) => btf.add({ kind: 'func_proto', type: 0, params: [] })],
    ['an integer of 3 bytes', (btf) => btf.int('u24', 3)],
    ['an enum of 5 bytes', (btf) => btf.enum('e', 5)],
    ['a member behind the end', (btf) => btf.struct('s', 4, [{ name: 'a', type: u32(btf), bitOffset: 8 }])],
    [
      'a bit-field behind the end',
      (btf) => btf.struct('s', 1, [{ name: 'a', type: u32(btf), bitOffset: 4, bitSize: 5 }]),
    ],
    [
      'a bit-field wider than its type',
      (btf) => btf.struct('s', 8, [{ name: 'a', type: u32(btf), bitSize: 33 }]),
    ],
    [
      'a bit-field of a pointer',
      (btf) => btf.struct('s', 8, [{ name: 'a', type: btf.pointer(0), bitSize: 3 }]),
    ],
    ['a member inside a byte', (btf) => btf.struct('s', 8, [{ name: 'a', type: u32(btf), bitOffset: 3 }])],
    [
      'two members of one name',
      (btf) =>
        btf.struct('s', 8, [
          { name: 'a', type: u32(btf) },
          { name: 'a', type: u32(btf), bitOffset: 32 },
        ]),
    ],
  ])('%s', (_, make) => {
    const btf = new BtfLiteral()
    const type = make(btf)
    expect(code(() => createCodec(btf, type))).toBe('BAD_BTF')
  })
})

describe('what a hostile object says costs neither time nor memory', () => {
  test('arrays of more elements than memory has room for', () => {
    const btf = new BtfLiteral()
    const empty = btf.struct('empty', 0, [])
    expect(code(() => createCodec(btf, btf.array(empty, 0xffffffff)))).toBe('UNSUPPORTED')
    expect(code(() => createCodec(btf, btf.array(btf.int('u16', 2), 0xffffffff)))).toBe('UNSUPPORTED')
    expect(code(() => createCodec(btf, btf.array(btf.char(), 0xffffffff)))).toBe('UNSUPPORTED')
    let nested = btf.int('u16', 2)
    for (let i = 0; i < 40; i++) nested = btf.array(nested, 0xffff)
    expect(code(() => createCodec(btf, nested))).toBe('UNSUPPORTED')
  })

  test('types inside each other without end', () => {
    const btf = new BtfLiteral()
    let type = btf.int('u8', 1)
    for (let i = 0; i < 100; i++) type = btf.struct(`s${i}`, 1, [{ name: 'a', type }])
    expect(code(() => createCodec(btf, type))).toBe('UNSUPPORTED')
    let anonymous = btf.int('u8', 1)
    for (let i = 0; i < 100; i++)
      anonymous = btf.struct('', 1, [{ name: i === 0 ? 'a' : '', type: anonymous }])
    expect(code(() => createCodec(btf, anonymous))).toBe('UNSUPPORTED')
  })

  test('unions that double what they decode to at every level', () => {
    const btf = new BtfLiteral()
    const twice = (anonymous: boolean): TypeId => {
      let type = btf.int('u8', 1)
      for (let i = 0; i < 40; i++) {
        const name = anonymous && i > 0 ? '' : 'm'
        type = btf.union(`u${i}`, 1, [
          { name: name && `${name}1`, type },
          { name: name && `${name}2`, type },
        ])
      }
      return type
    }
    expect(code(() => createCodec(btf, twice(false)))).toBe('UNSUPPORTED')
    expect(['UNSUPPORTED', 'BAD_BTF']).toContain(code(() => createCodec(btf, twice(true))))
  })

  test('anonymous structs without members that are used twice at every level', () => {
    const btf = new BtfLiteral()
    let type = btf.struct('', 0, [])
    for (let i = 0; i < 40; i++) {
      type = btf.struct('', 0, [
        { name: '', type },
        { name: '', type },
      ])
    }
    expect(code(() => createCodec(btf, type))).toBe('UNSUPPORTED')
  })

  test('long arrays of structs become loops', () => {
    const btf = new BtfLiteral()
    const point = btf.struct('point', 4, [{ name: 'x', type: btf.int('u32', 4) }])
    const codec = createCodec(btf, btf.array(btf.array(point, 100), 100), { code: 'generated' })
    const value = codec.decode(new Uint8Array(codec.size)) as readonly (readonly unknown[])[]
    expect(value.length).toBe(100)
    expect(value[99]?.[99]).toEqual({ x: 0 })
  })

  test('structs of very many members are decoded by closures, unless generated code is insisted on', () => {
    const btf = new BtfLiteral()
    const u8 = btf.int('u8', 1)
    const members = Array.from({ length: 5000 }, (_, i) => ({ name: `m${i}`, type: u8, bitOffset: i * 8 }))
    const type = btf.struct('wide', 5000, members)
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i)
    expect(createCodec(btf, type).decode(bytes)).toHaveProperty('m4999', 4999 & 255)
    expect(code(() => createCodec(btf, type, { code: 'generated' }))).toBe('UNSUPPORTED')
  })

  test('structs of more members than is sane', () => {
    const btf = new BtfLiteral()
    const u8 = btf.int('u8', 1)
    const count = LAYOUT_LIMITS.fields + 1
    const members = Array.from({ length: count }, (_, i) => ({ name: `m${i}`, type: u8, bitOffset: i * 8 }))
    expect(code(() => createCodec(btf, btf.struct('wide', count, members)))).toBe('UNSUPPORTED')
  })
})

test('a layout says which members share memory', () => {
  const btf = new BtfLiteral()
  const u32 = btf.int('u32', 4)
  const pair = btf.struct('', 8, [
    { name: 'low', type: u32 },
    { name: 'high', type: u32, bitOffset: 32 },
  ])
  const type = btf.struct('s', 12, [
    { name: 'alone', type: u32 },
    {
      name: '',
      type: btf.union('', 8, [
        { name: '', type: pair },
        { name: 'first', type: u32 },
      ]),
      bitOffset: 32,
    },
  ])
  const shared: string[] = []
  eachStruct(planLayout(btf, type), (struct) => {
    shared.push(...struct.fields.filter((field) => field.shared).map((field) => field.name))
  })
  expect(shared).toEqual(['low', 'first'])
})

describe('where code generation is disallowed', () => {
  test('closures decode and encode, and generated code is refused', async () => {
    vi.stubGlobal('Function', () => {
      throw new EvalError('Code generation from strings disallowed for this context')
    })
    vi.resetModules()
    try {
      const fresh = await import('../../lib/codec/index.js')
      const btf = new BtfLiteral()
      const type = btf.struct('s', 4, [{ name: 'x', type: btf.int('u32', 4) }])
      const codec = fresh.createCodec(btf, type)
      expect(codec.decode(new Uint8Array([1, 0, 0, 0]))).toEqual({ x: 1 })
      const bytes = new Uint8Array(4)
      codec.encode({ x: 2 }, bytes)
      expect([...bytes]).toEqual([2, 0, 0, 0])
      expect(() => fresh.createCodec(btf, type, { code: 'generated' })).toThrow(/UNSUPPORTED.*generated/)
    } finally {
      vi.unstubAllGlobals()
      vi.resetModules()
    }
  })
})
