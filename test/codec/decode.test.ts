import { describe, expect, test } from 'vitest'
import { createCodec, type CodecOptions } from '../../lib/codec/index.js'
import type { TypeId } from '../../lib/btf/types.js'
import { BtfLiteral } from '../support/btf-literal.js'

const utf8 = new TextEncoder()

/** Bytes from hex (spaces ignored). */
function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll(' ', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

describe.each(['generated', 'closures'] as const)('%s code decodes', (code) => {
  const decode = (btf: BtfLiteral, type: TypeId, bytes: Uint8Array, options: CodecOptions = {}): unknown =>
    createCodec(btf, type, { ...options, code }).decode(bytes)

  test.each([
    [1, false, 'ff', 255],
    [1, true, 'ff', -1],
    [1, true, '80', -128],
    [2, false, 'fe ff', 65534],
    [2, true, 'fe ff', -2],
    [4, false, 'fe ff ff ff', 4294967294],
    [4, true, 'fe ff ff ff', -2],
    [4, true, '78 56 34 12', 0x12345678],
    [8, false, 'ff ff ff ff ff ff ff ff', 18446744073709551615n],
    [8, true, 'fe ff ff ff ff ff ff ff', -2n],
    [8, false, '08 07 06 05 04 03 02 01', 0x0102030405060708n],
    [16, false, 'ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff', 2n ** 128n - 1n],
    [16, true, 'fe ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff', -2n],
    [16, true, '00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80', -(2n ** 127n)],
  ])('an integer of %i bytes, signed %s, %s', (size, signed, text, expected) => {
    const btf = new BtfLiteral()
    expect(decode(btf, btf.int('x', size, signed), hex(text))).toBe(expected)
  })

  test('64-bit integers and pointers as numbers where that is asked for', () => {
    const btf = new BtfLiteral()
    const u64 = btf.int('u64', 8)
    const s64 = btf.int('s64', 8, true)
    const numbers = { int64: 'number' } as const
    expect(decode(btf, u64, hex('ff ff ff ff ff ff 1f 00'), numbers)).toBe(2 ** 53 - 1)
    expect(decode(btf, s64, hex('fe ff ff ff ff ff ff ff'), numbers)).toBe(-2)
    expect(decode(btf, btf.pointer(0), hex('00 00 00 00 01 00 00 00'), numbers)).toBe(2 ** 32)
    expect(decode(btf, u64, hex('ff ff ff ff ff ff ff ff'), numbers)).toBe(2 ** 64)
  })

  test('pointers, enums, floats and bools', () => {
    const btf = new BtfLiteral()
    expect(decode(btf, btf.pointer(0), hex('00 00 00 00 00 00 ff ff'))).toBe(0xffff_0000_0000_0000n)
    expect(decode(btf, btf.enum('e', 4), hex('ff ff ff ff'))).toBe(0xffffffff)
    expect(decode(btf, btf.enum('e', 4, true), hex('ff ff ff ff'))).toBe(-1)
    expect(decode(btf, btf.enum('e', 1, true), hex('ff'))).toBe(-1)
    expect(decode(btf, btf.enum64('e'), hex('ff ff ff ff ff ff ff ff'))).toBe(2n ** 64n - 1n)
    expect(decode(btf, btf.enum64('e', true), hex('ff ff ff ff ff ff ff ff'))).toBe(-1n)
    expect(decode(btf, btf.float('float', 4), hex('00 00 c0 3f'))).toBe(1.5)
    expect(decode(btf, btf.float('double', 8), hex('00 00 00 00 00 00 f8 bf'))).toBe(-1.5)
    expect(decode(btf, btf.bool(), hex('01'))).toBe(true)
    expect(decode(btf, btf.bool(), hex('00'))).toBe(false)
    expect(decode(btf, btf.bool(4), hex('00 00 01 00'))).toBe(true)
  })

  test('a float without a counterpart in JavaScript as bytes', () => {
    const btf = new BtfLiteral()
    const sevens = new Uint8Array(16).fill(7)
    expect(decode(btf, btf.float('long double', 16), sevens)).toEqual(sevens)
  })

  test('char arrays up to the first NUL, or whole', () => {
    const btf = new BtfLiteral()
    const comm = btf.array(btf.char(), 16)
    const bytes = (text: string): Uint8Array => {
      const all = new Uint8Array(16)
      all.set(utf8.encode(text))
      return all
    }
    // Twice: the second comes from the cache.
    for (let round = 0; round < 2; round++) {
      for (const text of [
        '',
        'a',
        'cat',
        'bash',
        'systemd',
        'kworker/0:1',
        '0123456789abcdef',
        'größe',
        '日本',
      ]) {
        expect(decode(btf, comm, bytes(text))).toBe(text)
      }
      expect(decode(btf, comm, bytes('\ufeffmark'))).toBe('\ufeffmark')
      expect(decode(btf, comm, bytes('bash\0junk'))).toBe('bash')
      expect(decode(btf, comm, bytes('\0junk'))).toBe('')
      expect(decode(btf, comm, hex('61 ff 62 00 00 00 00 00 00 00 00 00 00 00 00 00'))).toBe('a\ufffdb')
    }
  })

  test.each([1, 2, 3, 5, 7, 8, 31, 32, 33, 36, 64, 65, 100, 256])(
    'strings of every length in char[%i]',
    (size) => {
      const btf = new BtfLiteral()
      const type = btf.array(btf.char(), size)
      for (let length = 0; length <= size; length++) {
        const text = 'The quick brown fox jumps over the lazy dog. '.repeat(6).slice(0, length)
        // What lies behind the NUL must not matter.
        const bytes = new Uint8Array(size).fill(0x78)
        bytes.set(utf8.encode(text))
        if (length < size) bytes[length] = 0
        expect(decode(btf, type, bytes)).toBe(text)
        expect(decode(btf, type, bytes)).toBe(text)
      }
    },
  )

  test('many different strings, more than are remembered', () => {
    const btf = new BtfLiteral()
    const codec = createCodec(btf, btf.array(btf.char(), 16), { code })
    for (let i = 0; i < 20_000; i++) {
      const bytes = new Uint8Array(16)
      bytes.set(utf8.encode(`task-${i * 7919}`))
      expect(codec.decode(bytes)).toBe(`task-${i * 7919}`)
    }
  })

  test('unsigned char arrays as a copy of the bytes, also from a Buffer', () => {
    const btf = new BtfLiteral()
    const type = btf.array(btf.typedef('u8', btf.int('unsigned char', 1)), 4)
    const bytes = Buffer.from([1, 2, 3, 4])
    const value = decode(btf, type, bytes)
    bytes[0] = 9
    expect(value).toStrictEqual(new Uint8Array([1, 2, 3, 4]))
  })

  test('signed char arrays as numbers', () => {
    const btf = new BtfLiteral()
    expect(decode(btf, btf.array(btf.int('signed char', 1, true), 3), hex('01 ff 80'))).toEqual([1, -1, -128])
  })

  test('arrays in arrays, and an array of strings, through qualifiers', () => {
    const btf = new BtfLiteral()
    const u16 = btf.qualified('const', btf.typedef('u16', btf.int('unsigned short', 2)))
    expect(decode(btf, btf.array(btf.array(u16, 3), 2), hex('0100 0200 0300 0400 0500 0600'))).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
    const words = btf.array(btf.array(btf.qualified('const', btf.char()), 4), 2)
    expect(decode(btf, words, utf8.encode('one\0four'))).toEqual(['one', 'four'])
  })

  test('a struct as an object with its members in order, at any offset of the bytes', () => {
    const btf = new BtfLiteral()
    const u32 = btf.int('unsigned int', 4)
    const point = btf.struct('point', 8, [
      { name: 'x', type: btf.int('int', 4, true) },
      { name: 'y', type: u32, bitOffset: 32 },
    ])
    const type = btf.struct('event', 24, [
      { name: 'id', type: btf.int('u64', 8) },
      { name: 'points', type: btf.array(point, 1), bitOffset: 64 },
      { name: 'kind', type: btf.int('u8', 1), bitOffset: 128 },
      { name: 'last', type: btf.typedef('alias', u32), bitOffset: 160 },
    ])
    const bytes = hex('ee ee ee 0100000000000000 ffffffff 02000000 07 eeeeee 09000000')
    const value = createCodec(btf, type, { code }).decode(bytes, 3)
    expect(value).toStrictEqual({ id: 1n, points: [{ x: -1, y: 2 }], kind: 7, last: 9 })
    expect(Object.keys(value as object)).toEqual(['id', 'points', 'kind', 'last'])
  })

  test('bit-fields: signed, unsigned, bool, across bytes and words', () => {
    const btf = new BtfLiteral()
    const u32 = btf.int('u32', 4)
    const u64 = btf.int('u64', 8)
    const type = btf.struct('flags', 16, [
      { name: 'a', type: u32, bitOffset: 0, bitSize: 3 },
      { name: 'b', type: btf.int('s32', 4, true), bitOffset: 3, bitSize: 6 },
      { name: 'c', type: btf.bool(), bitOffset: 9, bitSize: 1 },
      { name: 'd', type: u64, bitOffset: 10, bitSize: 32 },
      { name: 'e', type: btf.int('s64', 8, true), bitOffset: 42, bitSize: 40 },
      { name: 'f', type: u64, bitOffset: 82, bitSize: 46 },
    ])
    const d = 0x89abcdefn
    const e = -123456789012n
    const f = 0x2abcdef01234n
    const low = 5n | (BigInt.asUintN(6, -17n) << 3n) | (1n << 9n)
    const all = low | (d << 10n) | (BigInt.asUintN(40, e) << 42n) | (f << 82n)
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => Number((all >> BigInt(8 * i)) & 0xffn))
    const small = { a: 5, b: -17, c: true, d: Number(d) }
    expect(decode(btf, type, bytes)).toStrictEqual({ ...small, e, f })
    const numbers = decode(btf, type, bytes, { int64: 'number' })
    expect(numbers).toStrictEqual({ ...small, e: Number(e), f: Number(f) })
  })

  test('a bool bit-field by its own bit alone', () => {
    const btf = new BtfLiteral()
    const type = btf.struct('s', 1, [{ name: 'on', type: btf.bool(), bitOffset: 3, bitSize: 1 }])
    expect(decode(btf, type, hex('f7'))).toEqual({ on: false })
    expect(decode(btf, type, hex('08'))).toEqual({ on: true })
  })

  test('bit-fields of 64 bits that start inside a byte', () => {
    const btf = new BtfLiteral()
    const type = btf.struct('s', 9, [{ name: 'x', type: btf.int('u64', 8), bitOffset: 5, bitSize: 64 }])
    expect(decode(btf, type, hex('20 00 00 00 00 00 00 00 10'))).toEqual({ x: 0x8000000000000001n })
  })

  test('bit-fields as int types of their own (before Linux 4.20)', () => {
    const btf = new BtfLiteral()
    const flags = { signed: false, char: false, bool: false }
    const bits = btf.add({ kind: 'int', name: 'unsigned int', size: 4, ...flags, bitOffset: 3, bits: 7 })
    const type = btf.struct('s', 4, [{ name: 'x', type: bits, bitOffset: 8 }])
    expect(decode(btf, type, hex('00 f8 03 00'))).toEqual({ x: 127 })
  })

  test('the members of anonymous structs and unions as members of the parent', () => {
    const btf = new BtfLiteral()
    const u32 = btf.int('u32', 4)
    const pair = btf.struct('', 8, [
      { name: 'low', type: u32 },
      { name: 'high', type: u32, bitOffset: 32 },
    ])
    const either = btf.union('', 8, [
      { name: '', type: pair },
      { name: 'bytes', type: btf.array(btf.int('unsigned char', 1), 8) },
    ])
    const type = btf.struct('address', 12, [
      { name: 'family', type: u32 },
      { name: '', type: either, bitOffset: 32 },
    ])
    expect(decode(btf, type, hex('0a000000 01000000 02000000'))).toStrictEqual({
      family: 10,
      low: 1,
      high: 2,
      bytes: new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0]),
    })
  })

  test('a named union as an object with every member', () => {
    const btf = new BtfLiteral()
    const type = btf.union('u', 4, [
      { name: 'word', type: btf.int('u32', 4) },
      { name: 'half', type: btf.int('s16', 2, true) },
    ])
    expect(decode(btf, type, hex('ffff0100'))).toStrictEqual({ word: 0x1ffff, half: -1 })
  })

  test('nothing of a flexible array member', () => {
    const btf = new BtfLiteral()
    const type = btf.struct('s', 4, [
      { name: 'length', type: btf.int('u32', 4) },
      { name: 'data', type: btf.array(btf.char(), 0), bitOffset: 32 },
    ])
    expect(createCodec(btf, type, { code }).size).toBe(4)
    expect(decode(btf, type, hex('02000000'))).toStrictEqual({ length: 2 })
  })

  test('a data section as the object of its variables', () => {
    const btf = new BtfLiteral()
    const limit = btf.add({ kind: 'var', name: 'limit', type: btf.int('u32', 4), linkage: 1 })
    const variables = [{ type: limit, offset: 4, size: 4 }]
    const section = btf.add({ kind: 'datasec', name: '.data', size: 8, variables })
    expect(decode(btf, section, hex('00000000 05000000'))).toStrictEqual({ limit: 5 })
    expect(decode(btf, limit, hex('05000000'))).toBe(5)
  })

  const hostileNames = ['"]; throw 1; ["', "\\', `${x}`", '\u2028', 'a b', 'at', 'bytes', '\ud800']
  test.each(['__proto__', 'constructor', 'toString', ...hostileNames])(
    'a member named %j as a member',
    (name) => {
      const btf = new BtfLiteral()
      const codec = createCodec(btf, btf.struct('s', 4, [{ name, type: btf.int('u32', 4) }]), { code })
      const value = codec.decode(hex('07000000')) as object
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
      expect(Object.entries(value)).toEqual([[name, 7]])
      const bytes = new Uint8Array(4)
      codec.encode(value, bytes)
      expect(bytes).toEqual(hex('07000000'))
      codec.encode({}, bytes)
      expect(bytes).toEqual(hex('00000000'))
    },
  )

  test('bytes of shared memory and of a Buffer', () => {
    const btf = new BtfLiteral()
    const type = btf.struct('s', 12, [
      { name: 'x', type: btf.int('u32', 4) },
      { name: 'name', type: btf.array(btf.char(), 8), bitOffset: 32 },
    ])
    const source = hex('01000000 c3a4 000000000000')
    const shared = new Uint8Array(new SharedArrayBuffer(12))
    shared.set(source)
    for (const bytes of [shared, Buffer.from(source)]) {
      expect(decode(btf, type, bytes)).toEqual({ x: 1, name: 'ä' })
    }
  })

  test.each([
    [new Uint8Array(3), 0, 'decode u32: 4 bytes needed at offset 0, 3 are there'],
    [new Uint8Array(8), 5, 'decode u32: 4 bytes needed at offset 5, 3 are there'],
    [new Uint8Array(8), -1, 'decode u32: the offset must be a whole number of bytes, got -1'],
    [new Uint8Array(8), 0.5, 'decode u32: the offset must be a whole number of bytes, got 0.5'],
    [new Uint8Array(8), Number.NaN, 'decode u32: the offset must be a whole number of bytes, got NaN'],
    ['four' as unknown as Uint8Array, 0, 'decode u32: expected a Uint8Array, got "four"'],
    [
      new Uint16Array(8) as unknown as Uint8Array,
      0,
      'decode u32: expected a Uint8Array, got a typed array of 16 bytes',
    ],
  ])('nothing that lies outside the bytes (%#)', (bytes, offset, message) => {
    const btf = new BtfLiteral()
    const codec = createCodec(btf, btf.int('u32', 4), { code })
    expect(() => codec.decode(bytes, offset)).toThrow(expect.objectContaining({ code: 'BAD_VALUE', message }))
    expect(() => codec.encode(1, bytes, offset)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }))
  })
})
