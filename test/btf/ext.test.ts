import { describe, expect, test } from 'vitest'
import { BtfBuilder } from '../../lib/btf/builder.js'
import { CORE_RELOCATION_KINDS, parseBtfExt } from '../../lib/btf/ext.js'
import { parseBtf } from '../../lib/btf/parse.js'

const builder = new BtfBuilder()
const int = builder.int('int', 4)
const proto = builder.add({ kind: 'func_proto', type: int, params: [] })
const func = builder.add({ kind: 'func', name: 'f', type: proto, linkage: 1 })
const [xdp, access, badAccess] = [builder.string('xdp'), builder.string('0:3'), builder.string('0:x')]
const btf = parseBtf(builder.finish())

/** Words of the three parts: functions, lines, CO-RE relocations. */
function ext(functions: readonly number[], lines: readonly number[], core: readonly number[]): Uint8Array {
  const [a, b, c] = [functions.length * 4, lines.length * 4, core.length * 4]
  const words = [0x1_eb9f, 32, 0, a, a, b, a + b, c, ...functions, ...lines, ...core]
  return new Uint8Array(Uint32Array.from(words).buffer)
}

test('functions, lines and CO-RE relocations are read by section, in order of instructions', () => {
  const parsed = parseBtfExt(
    ext([8, xdp, 1, 0, func], [16, xdp, 2, 16, xdp, access, (7 << 10) | 5, 0, xdp, access, 6 << 10], [16, xdp, 1, 8, int, access, 9]), // prettier-ignore
    btf,
  )
  expect(parsed.functions.get('xdp')).toEqual([{ offset: 0, type: func }])
  expect(parsed.coreRelocations.get('xdp')).toEqual([
    { offset: 8, type: int, access: '0:3', kind: CORE_RELOCATION_KINDS.TYPE_SIZE },
  ])
})

test('records larger than this reader knows are read, and lines are sorted', () => {
  const parsed = parseBtfExt(
    ext([], [20, xdp, 2, 8, xdp, access, (7 << 10) | 5, 99, 0, xdp, access, 6 << 10, 99], []),
    btf,
  )
  expect(parsed.lines.get('xdp')).toEqual([
    { offset: 0, file: 'xdp', text: '0:3', line: 6, column: 0 },
    { offset: 8, file: 'xdp', text: '0:3', line: 7, column: 5 },
  ])
})

describe('it is refused', () => {
  test.each([
    {
      what: 'with a function that is none',
      bytes: ext([8, xdp, 1, 0, int], [], []),
      message: /which is no function/,
    },
    {
      what: 'with a type out of range',
      bytes: ext([], [], [16, xdp, 1, 0, 99, access, 0]),
      message: /type 99/,
    },
    {
      what: 'with an unknown kind',
      bytes: ext([], [], [16, xdp, 1, 0, int, access, 13]),
      message: /kind.*13/,
    },
    { what: 'with bad accessors', bytes: ext([], [], [16, xdp, 1, 0, int, badAccess, 0]), message: /'0:x'/ },
    { what: 'with an offset within an instruction', bytes: ext([8, xdp, 1, 4, func], [], []), message: /into an instruction/ }, // prettier-ignore
    { what: 'with small records', bytes: ext([4, xdp, 1, 0], [], []), message: /bad records of 4 bytes/ },
    { what: 'with too many records', bytes: ext([8, xdp, 0xffff_ffff, 0, func], [], []), message: /cut off/ },
    {
      what: 'with a string out of range',
      bytes: ext([8, 0xffff, 1, 0, func], [], []),
      message: /string offset 65535/,
    },
    {
      what: 'cut off',
      bytes: ext([8, xdp, 1, 0, func], [], []).subarray(0, 40),
      message: /outside of the section/,
    },
  ])('$what', ({ bytes, message }) => {
    expect(() => parseBtfExt(bytes, btf)).toThrow(message)
  })
})
