/** Writes relocatable ELF files section by section: for tests of what a compiler would never write. */
import { R_BPF, SHF, SHT, STB, STT } from '../../lib/elf/types.js'

export interface SectionInit {
  readonly name: string
  readonly type?: number
  readonly flags?: number
  readonly data?: Uint8Array
  /** Of a NOBITS section. */
  readonly size?: number
}

export interface SymbolInit {
  readonly name: string
  readonly section?: number
  readonly value?: number
  readonly size?: number
  readonly type?: number
  readonly binding?: number
}

export interface RelocationInit {
  readonly offset: number
  readonly symbol: number
  readonly type?: number
}

interface Entry {
  readonly name: string
  readonly type: number
  readonly flags: number
  readonly data: Uint8Array
  readonly size: number
  readonly link: number
  readonly info: number
  readonly entrySize: number
}

const encoder = new TextEncoder()

/** Sections get the indexes 1, 2, … in order of `section()`; the tables that `finish()` makes come behind them. */
export class ElfBuilder {
  readonly #sections: SectionInit[] = []
  readonly #symbols: SymbolInit[] = []
  readonly #relocations = new Map<number, RelocationInit[]>()

  section(init: SectionInit): number {
    return this.#sections.push(init)
  }

  code(name: string, data: Uint8Array): number {
    return this.section({ name, flags: SHF.ALLOC | SHF.EXECINSTR, data })
  }

  symbol(init: SymbolInit): number {
    return this.#symbols.push(init)
  }

  function(name: string, section: number, value: number, size: number, binding: number = STB.GLOBAL): number {
    return this.symbol({ name, section, value, size, type: STT.FUNC, binding })
  }

  relocate(section: number, init: RelocationInit): void {
    this.#relocations.set(section, [...(this.#relocations.get(section) ?? []), init])
  }

  finish(): Uint8Array {
    const strings: number[] = [0]
    const string = (text: string): number => {
      if (text === '') return 0
      const offset = strings.length
      strings.push(...encoder.encode(text), 0)
      return offset
    }
    const symtab = this.#sections.length + 1
    const strtab = symtab + 1
    const entries: Entry[] = this.#sections.map(
      ({ name, type = SHT.PROGBITS, flags = SHF.ALLOC, data, size }) => {
        const bytes = data ?? new Uint8Array(0)
        return { name, type, flags, data: bytes, size: size ?? bytes.length, link: 0, info: 0, entrySize: 0 }
      },
    )
    const table = this.#symbolTable(string)
    const base = { flags: 0, info: 0, entrySize: 0, link: 0 }
    entries.push({
      ...base,
      name: '.symtab',
      type: SHT.SYMTAB,
      data: table,
      size: table.length,
      link: strtab,
      entrySize: 24,
    })
    const strtabAt = entries.length
    entries.push({ ...base, name: '.strtab', type: SHT.STRTAB, data: new Uint8Array(0), size: 0 })
    for (const [section, relocations] of this.#relocations) {
      const data = relocationTable(relocations)
      const name = `.rel${this.#sections[section - 1]?.name ?? ''}`
      entries.push({
        ...base,
        name,
        type: SHT.REL,
        data,
        size: data.length,
        link: symtab,
        info: section,
        entrySize: 16,
      })
    }
    const names = entries.map((entry) => string(entry.name))
    const strtabData = Uint8Array.from(strings)
    entries[strtabAt] = {
      ...base,
      name: '.strtab',
      type: SHT.STRTAB,
      data: strtabData,
      size: strtabData.length,
    }
    return layOut(entries, names, strtab)
  }

  #symbolTable(string: (text: string) => number): Uint8Array {
    const bytes = new Uint8Array((this.#symbols.length + 1) * 24)
    const view = new DataView(bytes.buffer)
    this.#symbols.forEach(
      ({ name, section = 0, value = 0, size = 0, type = STT.NOTYPE, binding = STB.GLOBAL }, i) => {
        const at = (i + 1) * 24
        view.setUint32(at, string(name), true)
        view.setUint8(at + 4, (binding << 4) | type)
        view.setUint16(at + 6, section, true)
        view.setBigUint64(at + 8, BigInt(value), true)
        view.setBigUint64(at + 16, BigInt(size), true)
      },
    )
    return bytes
  }
}

function relocationTable(relocations: readonly RelocationInit[]): Uint8Array {
  const bytes = new Uint8Array(relocations.length * 16)
  const view = new DataView(bytes.buffer)
  relocations.forEach(({ offset, symbol, type = R_BPF.R_64_64 }, i) => {
    view.setBigUint64(i * 16, BigInt(offset), true)
    view.setUint32(i * 16 + 8, type, true)
    view.setUint32(i * 16 + 12, symbol, true)
  })
  return bytes
}

function layOut(entries: readonly Entry[], names: readonly number[], nameSection: number): Uint8Array {
  let end = 64
  const offsets = entries.map(({ data }) => {
    const offset = Math.ceil(end / 8) * 8
    end = offset + data.length
    return offset
  })
  const table = Math.ceil(end / 8) * 8
  const bytes = new Uint8Array(table + (entries.length + 1) * 64)
  const view = new DataView(bytes.buffer)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setUint16(16, 1, true)
  view.setUint16(18, 247, true)
  view.setUint32(20, 1, true)
  view.setBigUint64(40, BigInt(table), true)
  view.setUint16(52, 64, true)
  view.setUint16(58, 64, true)
  view.setUint16(60, entries.length + 1, true)
  view.setUint16(62, nameSection, true)
  entries.forEach((entry, i) => {
    const at = table + (i + 1) * 64
    const offset = offsets[i] ?? 0
    bytes.set(entry.data, offset)
    view.setUint32(at, names[i] ?? 0, true)
    view.setUint32(at + 4, entry.type, true)
    view.setBigUint64(at + 8, BigInt(entry.flags), true)
    view.setBigUint64(at + 24, BigInt(offset), true)
    view.setBigUint64(at + 32, BigInt(entry.size), true)
    view.setUint32(at + 40, entry.link, true)
    view.setUint32(at + 44, entry.info, true)
    view.setBigUint64(at + 48, 8n, true)
    view.setBigUint64(at + 56, BigInt(entry.entrySize), true)
  })
  return bytes
}

/** Instructions as `[opcode, registers (src << 4 | dst), offset, immediate]`. */
export function instructions(...list: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const bytes = new Uint8Array(list.length * 8)
  const view = new DataView(bytes.buffer)
  list.forEach(([opcode, registers, offset, imm], i) => {
    bytes.set([opcode, registers], i * 8)
    view.setInt16(i * 8 + 2, offset, true)
    view.setInt32(i * 8 + 4, imm, true)
  })
  return bytes
}
