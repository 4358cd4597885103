import { describe, expect, test } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { parseObjectFile } from '../../lib/object-file/parse.js'
import type { MapDefinition, ObjectFile, ProgramDefinition } from '../../lib/object-file/types.js'
import { R_BPF, SHF, SHT, STB, STT } from '../../lib/elf/types.js'
import { ElfBuilder, instructions } from '../support/elf-builder.js'
import { sampleObject } from '../support/sample-object.js'

const EXIT = [0x95, 0, 0, 0] as const
const SECOND = [0, 0, 0, 0] as const

function map(object: ObjectFile, name: string): MapDefinition {
  const found = object.maps.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`no map ${name}`)
  return found
}

function program(object: ObjectFile, name: string): ProgramDefinition {
  const found = object.programs.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`no program ${name}`)
  return found
}

function refusal(image: Uint8Array): BpfError {
  try {
    parseObjectFile(image)
  } catch (error) {
    if (error instanceof BpfError) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('an object', () => {
  const object = parseObjectFile(sampleObject())

  test('has its licence, and no kernel version', () => {
    expect(object.license).toBe('GPL')
    expect(object.kernelVersion).toBe(0)
  })

  test('has maps in the order of libbpf: by offset, then global data, then kconfig', () => {
    expect(object.maps.map(({ name }) => name)).toEqual([
      'counts',
      'inner',
      'outer',
      '.rodata',
      '.bss',
      '.kconfig',
    ])
  })

  test('has maps defined by BTF', () => {
    const { type, keySize, valueSize, maxEntries } = map(object, 'counts')
    expect({ type, keySize, valueSize, maxEntries }).toEqual({
      type: 1,
      keySize: 4,
      valueSize: 16,
      maxEntries: 64,
    })
  })

  test('has maps of maps with an inner definition and initial values', () => {
    const outer = map(object, 'outer')
    expect(outer.valueSize).toBe(4)
    expect(outer.inner).toMatchObject({ name: 'outer.inner', type: 2, maxEntries: 1, keySize: 4 })
    expect(outer.slots).toEqual([{ index: 0, symbol: 'inner' }])
  })

  test('has global data with variables at the offsets of their symbols', () => {
    const rodata = map(object, '.rodata')
    expect(rodata).toMatchObject({ type: 2, keySize: 4, valueSize: 8, maxEntries: 1, flags: 0x480 })
    expect(rodata.data?.variables).toMatchObject([{ name: 'limit', offset: 0, size: 4 }])
    expect(map(object, '.bss').data?.initial).toEqual(new Uint8Array(8))
  })

  test('has externs', () => {
    expect(object.externs).toMatchObject([
      { name: 'bpf_do', kind: 'kfunc', weak: false },
      { name: 'CONFIG_HZ', kind: 'kconfig', weak: true },
    ])
    expect(map(object, '.kconfig').data?.variables).toMatchObject([{ name: 'CONFIG_HZ', offset: 0, size: 4 }])
  })

  test('resolves relocations of maps, data, functions and externs', () => {
    expect(program(object, 'first').code.relocations).toEqual([
      { offset: 0, target: { kind: 'map', map: 'counts' } },
      { offset: 16, target: { kind: 'data', map: '.rodata', offset: 0 } },
      { offset: 32, target: { kind: 'function', section: '.text', offset: 24 } },
      { offset: 40, target: { kind: 'extern', name: 'bpf_do' } },
      { offset: 48, target: { kind: 'extern', name: 'CONFIG_HZ' } },
    ])
  })

  test('resolves static functions through the section symbol and the immediate', () => {
    expect(program(object, 'second').code.relocations.map(({ target }) => target)).toEqual([
      { kind: 'function', section: '.text', offset: 24 },
      { kind: 'function', section: '.text', offset: 0 },
      { kind: 'function', section: '.text', offset: 0 },
    ])
  })

  test('resolves static data, and calls that the compiler has resolved itself', () => {
    expect(object.text?.relocations).toEqual([
      { offset: 0, target: { kind: 'data', map: '.bss', offset: 4 } },
      { offset: 24, target: { kind: 'function', section: '.text', offset: 0 } },
    ])
  })

  test('slices lines, functions and CO-RE relocations by program', () => {
    const { code } = program(object, 'second')
    expect(code.lines).toMatchObject([
      { offset: 0, line: 20, column: 5, text: 'int second(void)', file: '/src/sample.bpf.c' },
    ])
    expect(code.funcInfo).toMatchObject([{ offset: 0 }])
    expect(code.coreRelocations).toMatchObject([{ offset: 16, access: '0:1', kind: 0 }])
    expect(program(object, 'first').code.coreRelocations).toEqual([])
  })

  test('tells program types by section names', () => {
    expect(program(object, 'first')).toMatchObject({
      type: 26,
      expectedAttachType: 23,
      target: 'sched_process_exec',
      autoload: true,
    })
    expect(program(parseObjectFile(sampleObject({ section: '?xdp' })), 'first')).toMatchObject({
      section: 'xdp',
      type: 6,
      autoload: false,
    })
    expect(program(parseObjectFile(sampleObject({ section: 'what' })), 'first').type).toBeUndefined()
  })
})

describe('maps are refused', () => {
  test('without type information', () => {
    const error = refusal(sampleObject({ withoutBtf: true }))
    expect(error.code).toBe('NO_BTF')
    expect(error.message).toContain('-g')
  })

  test.each([
    { what: 'unknown fields', fields: [['type', 1], ['max_entires', 1]], message: /unknown field 'max_entires'.*'max_entries'/ }, // prettier-ignore
    { what: 'two sizes of one key', fields: [['type', 1], ['key_size', 8]], message: /key has 8 bytes by one field and 4/ }, // prettier-ignore
    { what: 'no type', fields: [['max_entries', 1]], message: /it has no type/ },
    {
      what: 'bad pinning',
      fields: [
        ['type', 1],
        ['pinning', 2],
      ],
      message: /bad pinning 2/,
    },
  ] as const)('with $what', ({ fields, message }) => {
    expect(refusal(sampleObject({ fields })).message).toMatch(message)
  })

  test('if they are static', () => {
    expect(refusal(sampleObject({ mapLinkage: 0 })).message).toMatch(/'counts' is static/)
  })

  test.each(['maps', 'maps/events'])('in the form of before libbpf 1.0: section %s', (name) => {
    const image = sampleObject({ extend: (elf) => elf.section({ name, data: new Uint8Array(20) }) })
    expect(refusal(image)).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('.maps') as string,
    })
  })
})

/** One program `entry` in SEC("xdp"), with whatever else `add` brings. */
function tiny(code: Uint8Array, add: (elf: ElfBuilder, programs: number) => void = () => {}): Uint8Array {
  const elf = new ElfBuilder()
  const programs = elf.code('xdp', code)
  elf.function('entry', programs, 0, code.length)
  add(elf, programs)
  return elf.finish()
}

describe('code', () => {
  test('without type information is a program all the same', () => {
    const object = parseObjectFile(tiny(instructions(EXIT)))
    expect(object.btf).toBeUndefined()
    expect(object.programs.map(({ name, type }) => ({ name, type }))).toEqual([{ name: 'entry', type: 6 }])
  })

  test('in .text is a program if it is all there is', () => {
    const elf = new ElfBuilder()
    elf.function('only', elf.code('.text', instructions(EXIT)), 0, 8)
    expect(parseObjectFile(elf.finish()).programs).toMatchObject([
      { name: 'only', section: '.text', type: undefined },
    ])
  })

  test.each([
    {
      what: 'a static function in a program section',
      image: tiny(instructions(EXIT, EXIT), (elf) => elf.function('helper', 1, 8, 8, STB.LOCAL)),
      message: /overlap|static/,
    },
    {
      what: 'half an LDDW at the end',
      image: tiny(instructions(EXIT, [0x18, 1, 0, 0])),
      message: /half an LDDW/,
    },
    {
      what: 'a call into nowhere',
      image: tiny(instructions([0x85, 0x10, 0, 5], EXIT)),
      message: /section 'xdp'/,
    },
    {
      what: 'an undefined function',
      image: tiny(instructions([0x85, 0x10, 0, -1], EXIT), (elf, programs) =>
        elf.relocate(programs, { offset: 0, symbol: elf.symbol({ name: 'gone' }), type: R_BPF.R_64_32 }),
      ),
      message: /'gone' is undefined/,
    },
    {
      what: 'a relocation of an instruction that takes none',
      image: tiny(instructions(EXIT), (elf, programs) => elf.relocate(programs, { offset: 0, symbol: 1 })),
      message: /neither a call nor an LDDW/,
    },
    {
      what: 'data in a section that is none',
      image: tiny(instructions([0x18, 1, 0, 0], SECOND, EXIT), (elf, programs) => {
        const section = elf.section({ name: 'mine', data: new Uint8Array(8) })
        const symbol = elf.symbol({ name: 'x', section, size: 4, type: STT.OBJECT })
        elf.relocate(programs, { offset: 0, symbol })
      }),
      message: /neither code, nor maps, nor global data/,
    },
    {
      what: 'data behind the end of its section',
      image: tiny(instructions([0x18, 1, 0, 8], SECOND, EXIT), (elf, programs) => {
        const section = elf.section({ name: '.bss', type: SHT.NOBITS, flags: SHF.ALLOC | SHF.WRITE, size: 8 })
        elf.relocate(programs, { offset: 0, symbol: elf.symbol({ name: 'x', section, type: STT.OBJECT }) })
      }),
      message: /offset 8 of '.bss', which has 8 bytes/,
    },
    {
      what: 'overlapping functions',
      image: tiny(instructions(EXIT, EXIT), (elf, programs) => elf.function('again', programs, 8, 8)),
      message: /overlap/,
    },
  ])('with $what is refused', ({ image, message }) => {
    expect(refusal(image).message).toMatch(message)
  })

  test('a version that is not 4 bytes is refused', () => {
    const image = tiny(instructions(EXIT), (elf) => elf.section({ name: 'version', data: new Uint8Array(3) }))
    expect(refusal(image).message).toContain("'version' has 3 bytes")
  })
})
