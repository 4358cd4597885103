import { describe, expect, test } from 'vitest'
import { createCodec, type CodecOptions } from '../../lib/codec/index.js'
import type { TypeId } from '../../lib/btf/types.js'
import { BtfLiteral } from '../support/btf-literal.js'

const configBtf = new BtfLiteral()
const u8 = configBtf.typedef('u8', configBtf.int('unsigned char', 1))
const limit = configBtf.struct('limit', 8, [
  { name: 'min', type: u8 },
  { name: 'max', type: configBtf.int('int', 4, true), bitOffset: 32 },
])
const config = configBtf.struct('config', 64, [
  { name: 'limits', type: configBtf.array(limit, 4) },
  { name: 'message', type: configBtf.array(configBtf.char(), 8), bitOffset: 256 },
  { name: 'start', type: configBtf.typedef('u64', configBtf.int('unsigned long long', 8)), bitOffset: 320 },
  { name: 'on', type: configBtf.typedef('bool', configBtf.bool()), bitOffset: 384 },
  { name: 'ratio', type: configBtf.float('float', 4), bitOffset: 416 },
  { name: 'mac', type: configBtf.array(u8, 6), bitOffset: 448 },
  {
    name: 'wide',
    type: configBtf.typedef('u32', configBtf.int('unsigned int', 4)),
    bitOffset: 496,
    bitSize: 12,
  },
  { name: 'tail', type: configBtf.array(configBtf.char(), 0), bitOffset: 512 },
])

describe.each(['generated', 'closures'] as const)('%s code encodes', (code) => {
  /** Into bytes that weren't zero, so that what isn't written shows. */
  const encode = (btf: BtfLiteral, type: TypeId, value: unknown, options: CodecOptions = {}): number[] => {
    const codec = createCodec(btf, type, { ...options, code })
    const bytes = new Uint8Array(codec.size + 4).fill(0xee)
    codec.encode(value, bytes, 2)
    expect([...bytes.subarray(0, 2), ...bytes.subarray(-2)]).toEqual([0xee, 0xee, 0xee, 0xee])
    return [...bytes.subarray(2, -2)]
  }

  test.each([
    [1, false, 255, [255]],
    [1, true, -1, [255]],
    [2, true, -2, [254, 255]],
    [4, false, 4294967295, [255, 255, 255, 255]],
    [4, true, -2147483648, [0, 0, 0, 128]],
    [4, false, 5n, [5, 0, 0, 0]],
    [4, false, -0, [0, 0, 0, 0]],
    [8, false, 18446744073709551615n, [255, 255, 255, 255, 255, 255, 255, 255]],
    [8, false, 4294967297, [1, 0, 0, 0, 1, 0, 0, 0]],
    [8, true, -2, [254, 255, 255, 255, 255, 255, 255, 255]],
    [8, true, -(2n ** 63n), [0, 0, 0, 0, 0, 0, 0, 128]],
    [8, true, -4294967297, [255, 255, 255, 255, 254, 255, 255, 255]],
    [16, false, 2n ** 64n + 3n, [3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]],
    [16, true, -1, Array.from({ length: 16 }, () => 255)],
    [4, false, new Uint8Array([4, 3, 2, 1]), [4, 3, 2, 1]],
  ])('an integer of %i bytes, signed %s, %s', (size, signed, value, expected) => {
    const btf = new BtfLiteral()
    expect(encode(btf, btf.int('x', size, signed), value)).toEqual(expected)
  })

  test('rounded 64-bit numbers only where numbers were asked for', () => {
    const btf = new BtfLiteral()
    const u64 = btf.int('u64', 8)
    expect(encode(btf, u64, 2 ** 60, { int64: 'number' })).toEqual([0, 0, 0, 0, 0, 0, 0, 16])
    expect(() => encode(btf, u64, 2 ** 60)).toThrow(/is not exact as a number \(u64\)\. Give a bigint/)
    expect(() => encode(btf, u64, 2 ** 64, { int64: 'number' })).toThrow(/does not fit u64/)
  })

  test('members that are given, and zeros for those that are not', () => {
    expect(encode(configBtf, limit, { max: -1 })).toEqual([0, 0, 0, 0, 255, 255, 255, 255])
    expect(encode(configBtf, limit, { min: 1, max: undefined })).toEqual([1, 0, 0, 0, 0, 0, 0, 0])
    expect(encode(configBtf, limit, {})).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
    expect(encode(configBtf, limit, new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]))).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8,
    ])
  })

  test('an object with a prototype, or without one', () => {
    class Limit {
      min = 3
      get max(): number {
        return 4
      }
    }
    expect(encode(configBtf, limit, new Limit())).toEqual([3, 0, 0, 0, 4, 0, 0, 0])
    const bare: object = Object.assign(Object.create(null) as object, { min: 3 })
    expect(encode(configBtf, limit, bare)).toEqual([3, 0, 0, 0, 0, 0, 0, 0])
  })

  test('strings with a NUL behind them where there is room', () => {
    const btf = new BtfLiteral()
    const type = btf.array(btf.char(), 4)
    expect(encode(btf, type, 'ab')).toEqual([97, 98, 0, 0])
    expect(encode(btf, type, 'abcd')).toEqual([97, 98, 99, 100])
    expect(encode(btf, type, 'ää')).toEqual([0xc3, 0xa4, 0xc3, 0xa4])
    expect(encode(btf, type, new Uint8Array([1, 0, 2, 0]))).toEqual([1, 0, 2, 0])
  })

  test('typed arrays for arrays, and numbers for byte arrays', () => {
    const btf = new BtfLiteral()
    expect(encode(btf, btf.array(btf.int('u16', 2), 2), new Uint32Array([1, 2]))).toEqual([1, 0, 2, 0])
    expect(encode(btf, btf.array(btf.int('u8', 1), 2), [1, 255])).toEqual([1, 255])
  })

  test('bit-fields without touching their neighbours', () => {
    const btf = new BtfLiteral()
    const type = btf.struct('s', 8, [
      { name: 'a', type: btf.int('u32', 4), bitSize: 3 },
      { name: 'b', type: btf.int('s32', 4, true), bitOffset: 3, bitSize: 7 },
      { name: 'c', type: btf.bool(), bitOffset: 10, bitSize: 1 },
      { name: 'd', type: btf.int('u64', 8), bitOffset: 11, bitSize: 50 },
    ])
    const value = { a: 5, b: -3, c: true, d: 0x2_0000_0000_0001n }
    // From bit 0: 101, 1111101, 1, then d.
    expect(encode(btf, type, value)).toEqual([0xed, 0x0f, 0, 0, 0, 0, 0, 0x10])
    expect(encode(btf, type, { ...value, b: 0 })).toEqual([0x05, 0x0c, 0, 0, 0, 0, 0, 0x10])
  })

  describe('unions', () => {
    const btf = new BtfLiteral()
    const ip4 = btf.int('u32', 4)
    const members = [
      { name: 'name', type: btf.array(btf.char(), 8) },
      { name: 'ip4', type: ip4 },
      { name: 'ip6', type: btf.array(btf.int('unsigned char', 1), 8) },
    ]
    const named = btf.union('address', 8, members)
    const type = btf.struct('peer', 24, [
      { name: 'family', type: ip4 },
      { name: '', type: btf.union('', 8, members), bitOffset: 64 },
      { name: 'other', type: named, bitOffset: 128 },
    ])

    test('by one member', () => {
      expect(encode(btf, named, { ip4: 1 })).toEqual([1, 0, 0, 0, 0, 0, 0, 0])
      expect(encode(btf, type, { name: 'ab' }).slice(8, 16)).toEqual([97, 98, 0, 0, 0, 0, 0, 0])
    })

    test('by members that agree, as a decoded value has them', () => {
      const codec = createCodec(btf, type, { code })
      const bytes = Uint8Array.from({ length: 24 }, (_, i) => (i < 4 || i > 7 ? i * 37 + 128 : 0))
      const copy = new Uint8Array(24)
      codec.encode(codec.decode(bytes), copy)
      expect(copy).toEqual(bytes)
    })

    test('but not by members that contradict each other', () => {
      expect(() => encode(btf, type, { other: { ip4: 1, name: 'b' } })).toThrow(
        'peer.other: members ip4, name share memory, and what is given for them contradicts each other. Give one of them',
      )
      expect(() => encode(btf, type, { ip4: 1, ip6: new Uint8Array(8) })).toThrow(
        /^peer: members ip4, ip6 share/,
      )
      expect(encode(btf, named, { ip4: 1, ip6: undefined })).toEqual([1, 0, 0, 0, 0, 0, 0, 0])
    })
  })

  test.each([
    [{ limits: [{}, {}, {}, { min: 300 }] }, 'config.limits[3].min: 300 does not fit u8 (0…255)'],
    [{ limits: [{}, {}, {}, { min: -1n }] }, 'config.limits[3].min: -1 does not fit u8 (0…255)'],
    [
      { limits: [{ max: 2 ** 31 }, {}, {}, {}] },
      'config.limits[0].max: 2147483648 does not fit int (-2147483648…2147483647)',
    ],
    [{ limits: [{}, {}] }, 'config.limits: expected 4 elements (struct limit[4]), got 2'],
    [{ limits: {} }, 'config.limits: expected an array of 4 (struct limit[4]), got an object'],
    [{ limits: [1, {}, {}, {}] }, 'config.limits[0]: expected an object (struct limit), got 1'],
    [
      { limits: [undefined, {}, {}, {}] },
      'config.limits[0]: expected an object (struct limit), got undefined',
    ],
    [{ limits: new Uint8Array(3) }, 'config.limits: expected 32 bytes (struct limit[4]), got 3'],
    [
      { message: 'far too long' },
      'config.message: "far too long" does not fit char[8]: 12 characters do not fit 8 bytes',
    ],
    [
      { message: 'äöüäö' },
      'config.message: "äöüäö" does not fit char[8]: 10 bytes of UTF-8 do not fit 8 bytes',
    ],
    [
      { message: 'a\0b' },
      'config.message: "a\\u0000b" does not fit char[8]: a NUL would end the C string early',
    ],
    [{ message: '\ud800' }, 'config.message: "\\ud800" does not fit char[8]: a lone surrogate has no UTF-8'],
    [{ message: 1 }, 'config.message: expected a string (char[8]), got 1'],
    [{ start: -1n }, 'config.start: -1 does not fit u64 (0…18446744073709551615)'],
    [{ start: 2n ** 64n }, 'config.start: 18446744073709551616 does not fit u64 (0…18446744073709551615)'],
    [{ start: 2n ** 400n }, 'config.start: a bigint of more than 256 bits does not fit u64 (0…'],
    [{ start: 1.5 }, 'config.start: 1.5 is no integer (u64)'],
    [{ start: Number.NaN }, 'config.start: NaN is no integer (u64)'],
    [{ start: '5' }, 'config.start: expected an integer (u64), got "5"'],
    [{ start: null }, 'config.start: expected an integer (u64), got null'],
    [{ on: 2 }, 'config.on: expected true or false (bool), got 2'],
    [{ on: 'yes' }, 'config.on: expected true or false (bool), got "yes"'],
    [{ ratio: 1e300 }, 'config.ratio: 1e+300 does not fit float'],
    [{ ratio: 1n }, 'config.ratio: expected a number (float), got 1'],
    [{ mac: [1, 2, 3, 4, 5, 256] }, 'config.mac: expected bytes (u8[6]), but element 5 is 256'],
    [{ mac: 'abcdef' }, 'config.mac: expected a Uint8Array of 6 (u8[6]), got "abcdef"'],
    [{ wide: 4096 }, 'config.wide: 4096 does not fit u32:12 (0…4095)'],
    [{ mesage: 'x' }, "config: struct config has no member 'mesage'. Did you mean 'message'?"],
    [{ start: 1, nope: undefined }, "config: struct config has no member 'nope'"],
    [{ tail: 'x' }, "config: member 'tail' is a flexible array: it lies behind the 64 bytes of the value"],
    [new Map([['start', 1n]]), 'config: expected an object with members (struct config), got Map'],
    [[], 'config: expected an object (struct config), got an array of 0'],
    [undefined, 'config: expected an object (struct config), got undefined'],
    [() => 1, 'config: expected an object (struct config), got a function'],
  ])('no wrong value, and says where it is wrong (%#)', (value, message) => {
    let thrown: unknown
    try {
      encode(configBtf, config, value)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ name: 'BpfError', code: 'BAD_VALUE' })
    // Hints may follow.
    expect((thrown as Error).message.slice(0, message.length)).toBe(message)
  })

  test('scalars at the top with a path that says so', () => {
    const btf = new BtfLiteral()
    const u16 = btf.int('u16', 2)
    expect(() => encode(btf, u16, 70000)).toThrow('value: 70000 does not fit u16 (0…65535)')
    expect(() => encode(btf, btf.array(u16, 2), [1, -1])).toThrow('value[1]: -1 does not fit u16 (0…65535)')
  })

  test('an error of a getter as it is', () => {
    const value = {
      get min(): number {
        throw new RangeError('mine')
      },
    }
    expect(() => encode(configBtf, limit, value)).toThrow(RangeError)
  })
})
