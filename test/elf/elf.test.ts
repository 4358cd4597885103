import { describe, expect, test } from 'vitest'
import { parseElf } from '../../lib/elf/elf.js'
import { R_BPF, SHF, SHT, STB, STT } from '../../lib/elf/types.js'
import { BpfError } from '../../lib/errors.js'
import { ElfBuilder, instructions } from '../support/elf-builder.js'
import { sampleObject } from '../support/sample-object.js'

const EXIT = [0x95, 0, 0, 0] as const

/** Section 1 is code, 2 data; symbol 1 is a function of it; the tables are 3 (.symtab), 4 (.strtab), 5 (.relxdp). */
function object(): Uint8Array {
  const elf = new ElfBuilder()
  const code = elf.code('xdp', instructions(EXIT, EXIT))
  elf.section({ name: '.data', flags: SHF.ALLOC | SHF.WRITE, data: Uint8Array.of(1, 2, 3, 4) })
  const symbol = elf.function('entry', code, 0, 16)
  elf.relocate(code, { offset: 8, symbol, type: R_BPF.R_64_32 })
  return elf.finish()
}

/** The object with some bytes changed. */
function changed(change: (view: DataView, tableOffset: number, bytes: Uint8Array) => void): Uint8Array {
  const bytes = object()
  const view = new DataView(bytes.buffer)
  change(view, view.getUint32(40, true), bytes)
  return bytes
}

/** Sets a field of a section header: offset within the header, value. */
function header(section: number, field: number, value: number): Uint8Array {
  return changed((view, table) => view.setUint32(table + section * 64 + field, value, true))
}

/** Sets a field of a symbol. */
function symbol(field: number, value: number): Uint8Array {
  return changed((view, table) =>
    view.setUint32(view.getUint32(table + 3 * 64 + 24, true) + 24 + field, value, true),
  )
}

function refusal(bytes: Uint8Array): BpfError {
  try {
    parseElf(bytes)
  } catch (error) {
    if (error instanceof BpfError) return error
    throw error
  }
  throw new Error('it was accepted')
}

test('sections, symbols and relocations are read', () => {
  const { sections, symbols } = parseElf(object())
  expect(sections.map(({ name }) => name)).toEqual(['', 'xdp', '.data', '.symtab', '.strtab', '.relxdp'])
  expect(sections[2]?.data).toEqual(Uint8Array.of(1, 2, 3, 4))
  expect(symbols[1]).toMatchObject({
    name: 'entry',
    section: 1,
    size: 16,
    type: STT.FUNC,
    binding: STB.GLOBAL,
  })
  expect(sections[1]?.relocations).toMatchObject([
    { offset: 8, type: R_BPF.R_64_32, symbol: { name: 'entry' } },
  ])
})

test('a file within a larger buffer is read', () => {
  const bytes = object()
  const larger = new Uint8Array(bytes.length + 24)
  larger.set(bytes, 16)
  expect(parseElf(larger.subarray(16, 16 + bytes.length)).sections).toHaveLength(6)
})

describe('a file is refused, with what it is,', () => {
  test.each([
    { what: 'if it is empty', bytes: new Uint8Array(0), message: /file is empty/ },
    {
      what: 'if it is text',
      bytes: new TextEncoder().encode('int main(void) {}'),
      message: /not an ELF file/,
    },
    { what: 'if it is bitcode', bytes: Uint8Array.of(0x42, 0x43, 0xc0, 0xde), message: /LLVM bitcode/ },
    { what: 'if it is too short', bytes: object().subarray(0, 40), message: /too short/ },
    { what: 'if it is 32-bit', bytes: changed((view) => view.setUint8(4, 1)), message: /32-bit/ },
    {
      what: 'if it is big-endian',
      bytes: changed((view) => view.setUint8(5, 2)),
      message: /big-endian.*bpfel/,
    },
    { what: 'if it is for x86-64', bytes: changed((view) => view.setUint16(18, 62, true)), message: /x86-64, not for BPF/ }, // prettier-ignore
    {
      what: 'if it is an executable',
      bytes: changed((view) => view.setUint16(16, 2, true)),
      message: /an executable/,
    },
    { what: 'if it is cut off', bytes: object().subarray(0, -8), message: /section table.*truncated/ },
    {
      what: 'if it has too many sections',
      bytes: changed((view) => view.setUint16(60, 0, true)),
      message: /65,279/,
    },
    { what: 'if its names are elsewhere', bytes: changed((view) => view.setUint16(62, 9, true)), message: /name table: 9 of 6/ }, // prettier-ignore
  ])('$what', ({ bytes, message }) => {
    const error = refusal(bytes)
    expect(error.code).toBe('BAD_OBJECT')
    expect(error.message).toMatch(message)
  })
})

describe('a section is refused', () => {
  test.each([
    { what: 'outside of the file', bytes: header(2, 32, 0x7fff_ffff), message: /lies outside of the file/ },
    { what: 'at an absurd offset', bytes: header(2, 28, 0xffff_ffff), message: /lies outside of the file/ },
    { what: 'over another one', bytes: header(2, 24, 64), message: /overlaps/ },
    { what: 'with a name outside of the table', bytes: header(1, 0, 0xffff), message: /name of section 1/ },
    { what: 'with an alignment of 3', bytes: header(2, 48, 3), message: /bad alignment: 3/ },
    { what: 'that is compressed', bytes: header(2, 8, SHF.COMPRESSED), message: /compressed/ },
    { what: 'that links to nowhere', bytes: header(2, 40, 77), message: /links to section 77/ },
    {
      what: 'of code that ends within an instruction',
      bytes: header(1, 32, 12),
      message: /ends within an instruction/,
    },
    { what: 'of symbols with odd entries', bytes: header(3, 56, 16), message: /bad entry size: 16/ },
    { what: 'of relocations with addends', bytes: header(5, 4, SHT.RELA), message: /RELA/ },
    { what: 'of relocations of nothing', bytes: header(5, 44, 99), message: /relocates section 99/ },
    { what: 'of extended indexes', bytes: header(2, 4, SHT.SYMTAB_SHNDX), message: /too many sections/ },
    { what: 'of strings without an end', bytes: changed((view, table, bytes) => { bytes[view.getUint32(table + 4 * 64 + 24, true) + view.getUint32(table + 4 * 64 + 32, true) - 1] = 65 }), message: /does not end with NUL/ }, // prettier-ignore
    { what: 'of 4 GB of zeros', bytes: changed((view, table) => { view.setUint32(table + 2 * 64 + 4, SHT.NOBITS, true); view.setUint32(table + 2 * 64 + 36, 1, true) }), message: /\.bss sections/ }, // prettier-ignore
  ])('$what', ({ bytes, message }) => {
    expect(refusal(bytes).message).toMatch(message)
  })
})

describe('a symbol is refused', () => {
  test.each([
    { what: 'with a name outside of the table', bytes: symbol(0, 0xffff), message: /name of symbol 1/ },
    { what: 'behind the end of its section', bytes: symbol(8, 8), message: /outside of its section 'xdp'/ },
    { what: 'that is a function within an instruction', bytes: changed((view, table) => { const at = view.getUint32(table + 3 * 64 + 24, true) + 24; view.setUint32(at + 8, 4, true); view.setUint32(at + 16, 8, true) }), message: /starts within an instruction/ }, // prettier-ignore
    { what: 'that is a function of odd size', bytes: symbol(16, 9), message: /bad size for a function/ },
    { what: 'that is a function in data', bytes: changed((view, table) => { const at = view.getUint32(table + 3 * 64 + 24, true) + 24; view.setUint16(at + 6, 2, true); view.setUint32(at + 16, 4, true) }), message: /which is no code/ }, // prettier-ignore
    { what: 'in a section that is not there', bytes: changed((view, table) => view.setUint16(view.getUint32(table + 3 * 64 + 24, true) + 30, 50, true)), message: /is in section 50/ }, // prettier-ignore
    { what: 'with an extended section index', bytes: changed((view, table) => view.setUint16(view.getUint32(table + 3 * 64 + 24, true) + 30, 0xffff, true)), message: /extended section index/ }, // prettier-ignore
  ])('$what', ({ bytes, message }) => {
    expect(refusal(bytes).message).toMatch(message)
  })
})

describe('a relocation is refused', () => {
  const relocation = (field: number, value: number): Uint8Array =>
    changed((view, table) => view.setUint32(view.getUint32(table + 5 * 64 + 24, true) + field, value, true))

  test('of a symbol that is not there', () => {
    expect(refusal(relocation(12, 7)).message).toMatch(/uses symbol 7, but there are 2/)
  })
  test('outside of its section', () => {
    expect(refusal(relocation(0, 16)).message).toMatch(/lies outside of 'xdp': 16 of 16/)
  })
})

test('every truncation of an object is refused', () => {
  const bytes = sampleObject()
  for (let length = 0; length < bytes.length; length++) {
    expect(refusal(bytes.subarray(0, length)).code).toBe('BAD_OBJECT')
  }
})
