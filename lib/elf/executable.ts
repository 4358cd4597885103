/**
 * Executables and shared libraries of this machine: where their functions lie in the file, and the USDT probes in their notes.
 *
 * Source: System V ABI (gABI) chapters 4 and 5; for the notes, the description of `stapsdt` notes in SystemTap's wiki.
 */
import { BpfError } from '../errors.js'
import { u64, viewOf } from './reader.js'
import { SHN, SHT, STT } from './types.js'

/** Reads a part of a file: at most `length` bytes, fewer at its end. */
export type ReadPart = (offset: number, length: number) => Uint8Array

/** A probe that a program was compiled with: `DTRACE_PROBE(provider, name)`. */
export interface UsdtProbe {
  readonly provider: string
  readonly name: string
}

interface Section {
  readonly name: string
  readonly type: number
  readonly address: number
  readonly offset: number
  readonly size: number
  readonly link: number
}

const HEADER_SIZE = 64
const SECTION_SIZE = 64
const SYMBOL_SIZE = 24
const SHT_NOTE = 7
const SHT_GNU_VERSYM = 0x6fffffff
/** Of a symbol's version: another one is the default. */
const VERSION_HIDDEN = 0x8000
/** Keeps a corrupt size from exhausting memory. */
const MAX_SECTION = 1 << 30

/** An executable or shared library, read part by part as it is asked for. 64-bit and little-endian, as are the machines that this runs on. */
export class Executable {
  readonly #read: ReadPart
  readonly #what: string
  readonly #sections: readonly Section[]

  /**
   * @param what for messages: the path
   * @throws BpfError `BAD_OBJECT` for a file that is no such ELF file
   */
  constructor(read: ReadPart, what: string) {
    this.#read = read
    this.#what = what
    this.#sections = this.#readSections()
  }

  /**
   * Functions by name, with the offsets in the file where they start: of the symbol table, if it wasn't stripped, and of the dynamic one.
   * Of several versions of a name, the default one.
   */
  functions(): ReadonlyMap<string, number> {
    const functions = new Map<string, number>()
    for (const section of this.#sections) {
      if (section.type === SHT.SYMTAB || section.type === SHT.DYNSYM) this.#addFunctions(section, functions)
    }
    return functions
  }

  usdtProbes(): readonly UsdtProbe[] {
    return this.#sections
      .filter(({ type, name }) => type === SHT_NOTE && name === '.note.stapsdt')
      .flatMap((section) => readProbes(this.#contents(section)))
  }

  #readSections(): readonly Section[] {
    const header = this.#read(0, HEADER_SIZE)
    const view = viewOf(header)
    const isElf = header.length === HEADER_SIZE && view.getUint32(0, false) === 0x7f454c46
    if (!isElf) throw this.#bad('is no ELF file: an executable or a shared library is wanted')
    if (header[4] !== 2 || header[5] !== 1) throw this.#bad('is not a 64-bit little-endian ELF file')
    const count = view.getUint16(60, true)
    const table = this.#part(u64(view, 40), count * SECTION_SIZE)
    const sections = Array.from({ length: count }, (_, index) =>
      sectionAt(viewOf(table), index * SECTION_SIZE),
    )
    const names = sections[view.getUint16(62, true)]
    const text = names === undefined ? new Uint8Array(0) : this.#contents(names)
    return sections.map(({ nameOffset, ...section }) => ({ ...section, name: textAt(text, nameOffset) }))
  }

  #addFunctions(table: Section, functions: Map<string, number>): void {
    const strings = this.#sections[table.link]
    if (strings === undefined) throw this.#bad('has a symbol table without names')
    const bytes = this.#contents(table)
    // One character a byte: names are cut out of it much faster than decoded one by one.
    const text = bytewise.decode(this.#contents(strings))
    const index = this.#sections.indexOf(table)
    const versions = this.#sections.find(({ type, link }) => type === SHT_GNU_VERSYM && link === index)
    const hidden = versions === undefined ? undefined : viewOf(this.#contents(versions))
    const view = viewOf(bytes)
    for (let at = 0, i = 0; at + SYMBOL_SIZE <= bytes.length; at += SYMBOL_SIZE, i++) {
      if ((view.getUint8(at + 4) & 0xf) !== STT.FUNC) continue
      const section = this.#sections[view.getUint16(at + 6, true)]
      if (section === undefined || view.getUint16(at + 6, true) === SHN.UNDEF) continue
      // `name@VERSION` and `name@@VERSION` in the symbol table of a library.
      const start = view.getUint32(at, true)
      const versioned = text.slice(start, Math.max(start, text.indexOf('\0', start)))
      const version = versioned.indexOf('@')
      const name = version < 0 ? versioned : versioned.slice(0, version)
      const isDefault = version < 0 && !isHidden(hidden, i)
      if (name === '' || (functions.has(name) && !isDefault)) continue
      functions.set(name, u64(view, at + 8) - section.address + section.offset)
    }
  }

  #contents({ offset, size }: Pick<Section, 'offset' | 'size'>): Uint8Array {
    return this.#part(offset, size)
  }

  #part(offset: number, length: number): Uint8Array {
    const bytes = length > MAX_SECTION ? new Uint8Array(0) : this.#read(offset, length)
    if (bytes.length !== length) throw this.#bad('seems to be truncated: a section lies outside of the file')
    return bytes
  }

  #bad(message: string): BpfError {
    return new BpfError('BAD_OBJECT', `${this.#what} ${message}`)
  }
}

function sectionAt(view: DataView, at: number): Omit<Section, 'name'> & { readonly nameOffset: number } {
  return {
    nameOffset: view.getUint32(at, true),
    type: view.getUint32(at + 4, true),
    address: u64(view, at + 16),
    offset: u64(view, at + 24),
    size: u64(view, at + 32),
    link: view.getUint32(at + 40, true),
  }
}

function isHidden(versions: DataView | undefined, symbol: number): boolean {
  if (versions === undefined || symbol * 2 + 2 > versions.byteLength) return false
  return (versions.getUint16(symbol * 2, true) & VERSION_HIDDEN) !== 0
}

const decoder = new TextDecoder()
const bytewise = new TextDecoder('latin1')

/** Text up to the next zero; empty outside of the table. */
function textAt(bytes: Uint8Array, offset: number): string {
  const end = bytes.indexOf(0, offset)
  return end < 0 ? '' : decoder.decode(bytes.subarray(offset, end))
}

/** Notes: sizes of name and descriptor, type, name, descriptor; each part at a multiple of 4. */
function readProbes(bytes: Uint8Array): readonly UsdtProbe[] {
  const view = viewOf(bytes)
  const probes: UsdtProbe[] = []
  const align = (size: number): number => (size + 3) & ~3
  // The descriptor starts with the addresses of the probe, of a base, and of a semaphore.
  const addresses = 24
  for (let at = 0; at + 12 <= bytes.length;) {
    const descriptor = at + 12 + align(view.getUint32(at, true))
    const size = view.getUint32(at + 4, true)
    const type = view.getUint32(at + 8, true)
    if (descriptor + size > bytes.length) break
    if (type === 3 && size > addresses) {
      const [provider = '', name = ''] = decoder
        .decode(bytes.subarray(descriptor + addresses, descriptor + size))
        .split('\0')
      probes.push({ provider, name })
    }
    at = descriptor + align(size)
  }
  return probes
}
