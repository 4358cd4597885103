import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { BtfBuilder } from '../../lib/btf/builder.js'
import { essentialName } from '../../lib/fallback/loader/core/names.js'
import type { FallbackOptions } from '../../lib/fallback/index.js'
import type { FieldValues } from '../../lib/fallback/index.js'
import { openOn } from '../support/fallback.js'

const OUTER: FieldValues = {
  number: 0xfffffff0,
  inner: { small: 65535, list: [1, 2, 3, 4] },
  wide: (1n << 40n) + 5n,
  flag_a: 5,
  flag_b: 100,
  level: -3,
  extra: 1234n,
}

/** Runs `read_outer` on a simulated `struct outer`, and gives what it found. */
function read(options: FallbackOptions, outer: FieldValues = OUTER): readonly bigint[] {
  const { kernel, spec } = openOn('test/fallback_core', options)
  spec.programs['raw_exit']!.autoload = false // its task_struct isn't in every target
  using object = spec.load()
  using _link = object.program('read_outer').attach()
  const last = kernel.struct('outer', { number: 77 })
  const middle = kernel.struct('outer', { next: last })
  expect(kernel.fire('tp_btf/probe_outer', [{ ...outer, next: middle }])).toEqual([
    { program: 'read_outer', retval: 7 },
  ])
  return object.bss['found'] as readonly bigint[]
}

interface Layout {
  /** Leaves out what read_outer can't do without. */
  readonly without?: string
  readonly stageSecond?: number
  readonly withGone?: boolean
}

/** A target whose `struct outer` has other offsets, sizes and bit-fields than the program's. */
function otherBtf({ without = 'nothing', stageSecond = 50, withGone = false }: Layout = {}): Uint8Array {
  const b = new BtfBuilder()
  const u8 = b.int('unsigned char', 1)
  const u16 = b.int('unsigned short', 2)
  const u32 = b.int('unsigned int', 4)
  const u64 = b.int('unsigned long', 8)
  const s64 = b.int('long', 8, { signed: true })
  const list = b.array(u32, 8)
  const inner = b.struct(
    'inner',
    [
      ['pad', u64, 0],
      ['list', list, 8],
      ['small', u16, 40],
    ],
    48,
  )
  const anonymous = b.add({
    kind: 'struct',
    name: '',
    size: 24,
    members: [
      { name: 'number', type: u64, bitOffset: 0, bitSize: 0 },
      { name: 'wide', type: u64, bitOffset: 128, bitSize: 0 },
    ],
  })
  const outerId = b.nextId + 1
  const pointer = b.ptr(outerId)
  const member = (name: string, type: number, bitOffset: number, bitSize = 0) => ({
    name,
    type,
    bitOffset,
    bitSize,
  })
  b.add({
    kind: 'struct',
    name: 'outer',
    size: 128,
    members: [
      member('next', pointer, 0),
      member('', anonymous, 64),
      member('inner', inner, 256),
      member('flag_a', u8, 640, 3),
      member('flag_b', u64, 643, 12),
      member('level', s64, 655, 20),
      member('extra', u64, 704),
    ].filter(({ name }) => name !== without),
  })
  b.add({
    kind: 'enum',
    name: 'stage',
    size: 4,
    signed: false,
    values: [
      { name: 'STAGE_FIRST', value: 3 },
      { name: 'STAGE_SECOND', value: stageSecond },
    ],
  })
  if (withGone) b.struct('gone', [['x', u32, 0]], 4)
  return b.finish()
}

function failure(action: () => unknown): BpfError {
  try {
    action()
  } catch (error) {
    if (error instanceof BpfError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('CO-RE', () => {
  it("resolves against the object's own types by default", () => {
    expect(read({})).toEqual([
      0xfffffff0n,
      65535n,
      3n,
      (1n << 40n) + 5n,
      100n,
      BigInt.asUintN(64, -3n),
      77n,
      20n,
      1n,
      5n,
      99n,
      48n,
    ])
  })

  it('follows moved, resized and re-packed fields of another target', () => {
    expect(read({ btf: otherBtf() })).toEqual([
      0xfffffff0n,
      65535n,
      3n,
      (1n << 40n) + 5n,
      100n,
      BigInt.asUintN(64, -3n),
      77n,
      48n,
      0n,
      50n,
      1234n,
      128n,
    ])
  })

  it('tells whether types exist', () => {
    expect(read({ btf: otherBtf({ withGone: true }) })[8]).toBe(1n)
  })

  it('widens a load of an unsigned field that became wider', () => {
    expect(read({ btf: otherBtf() }, { ...OUTER, number: (1n << 33n) + 1n })[0]).toBe((1n << 33n) + 1n)
  })

  it('leaves guarded accesses to missing fields alone', () => {
    expect(read({ btf: otherBtf({ without: 'extra' }) })[10]).toBe(99n)
  })

  it('names program, line, field and remedy where an access has no target', () => {
    const { spec } = openOn('test/fallback_core', { btf: otherBtf({ without: 'inner' }) })
    const error = failure(() => spec.load())
    expect(error.code).toBe('RELOCATION_FAILED')
    expect(error.message).toMatch(
      /program 'read_outer', instruction \d+ \(.*inner\.small.*\).*struct outer\.inner\.small/,
    )
    expect(error.hint).toMatch(/bpf_core_field_exists/)
  })

  it('says so where the target has no such type', () => {
    const b = new BtfBuilder()
    b.int('unsigned int', 4)
    const { spec } = openOn('test/fallback_core', { btf: b.finish() })
    expect(failure(() => spec.load())).toMatchObject({
      code: 'RELOCATION_FAILED',
      hint: 'The target has no struct outer.',
    })
  })

  it('takes constants of the program into account when it looks for accesses without a target', () => {
    const load = (use: boolean): string => {
      const { spec } = openOn('test/fallback_core')
      spec.rodata['use_missing'] = use
      spec.programs['read_missing']!.autoload = true // it is in the object
      try {
        spec.load().close()
        return 'loaded'
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(load(false)).toBe('loaded')
    expect(load(true)).toBe('RELOCATION_FAILED')
  })

  it.each([
    ['task_struct', 'task_struct'],
    ['task_struct___old', 'task_struct'],
    ['a___b___c', 'a___b'],
    ['___x', '___x'],
    ['x___', 'x___'],
    ['a____b', 'a____b'],
  ])('takes %s for a flavour of %s', (name, essential) => {
    expect(essentialName(name)).toBe(essential)
  })

  it('refuses a target that is no BTF', () => {
    expect(failure(() => openOn('test/fallback_core', { btf: Uint8Array.of(1, 2, 3) })).code).toBe('BAD_BTF')
  })
})
