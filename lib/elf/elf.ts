/**
 * Reads ELF: 64-bit little-endian relocatable objects for BPF, and nothing else.
 *
 * It is the gate in front of libbpf and libelf: a file that passes has every offset, size, index and string within
 * bounds, so that what follows it (C parsers included) meets no surprise. So it is stricter than they are where no
 * compiler makes a difference.
 */
import { badObject, u64, viewOf } from './reader.js'
import { fileTypeName, machineName } from './names.js'
import { readSections } from './sections.js'
import type { SectionTable } from './sections.js'
import { readRelocations, readSymbols } from './symbols.js'
import type { ElfFile } from './types.js'

const HEADER_SIZE = 64
const SECTION_HEADER_SIZE = 64
const EM_BPF = 247
const ET_REL = 1

/**
 * Parses and validates an object file.
 *
 * @param image the whole file; the result holds views into it
 * @throws BpfError `BAD_OBJECT`, with what is wrong and, where it is a matter of compiling, what to do
 */
export function parseElf(image: Uint8Array): ElfFile {
  const view = viewOf(image)
  const table = readHeader(image, view)
  const raw = readSections(image, view, table)
  const symbols = readSymbols(raw)
  const sections = readRelocations(raw, symbols)
  return { image, sections, symbols }
}

function readHeader(image: Uint8Array, view: DataView): SectionTable {
  if (image.length === 0) throw badObject('The file is empty', 'Did the compiler fail?')
  const magic = image.length >= 4 ? view.getUint32(0, false) : 0
  if (magic !== 0x7f454c46) throw notElf(image)
  if (image.length < HEADER_SIZE) {
    throw badObject(`The file is too short for an ELF header: ${image.length} of ${HEADER_SIZE} bytes`)
  }
  const [fileClass, data, identVersion] = [image[4], image[5], image[6]]
  if (fileClass === 1) throw badObject('This is a 32-bit ELF file; BPF objects are 64-bit', COMPILE)
  if (fileClass !== 2) throw badObject(`Bad ELF class ${fileClass}`)
  if (data === 2) {
    throw badObject(
      'This is a big-endian ELF file; only little-endian objects can be read',
      'Compile with --target=bpfel, or with --target=bpf on a little-endian host',
    )
  }
  if (data !== 1) throw badObject(`Bad ELF data encoding ${data}`)
  if (identVersion !== 1 || view.getUint32(20, true) !== 1) throw badObject('Unknown ELF version')
  const machine = view.getUint16(18, true)
  if (machine !== EM_BPF)
    throw badObject(`This is an ELF file for ${machineName(machine)}, not for BPF`, COMPILE)
  const type = view.getUint16(16, true)
  if (type !== ET_REL) {
    throw badObject(
      `This is ${fileTypeName(type)}, not a relocatable object`,
      'Compile with clang -c; to link several objects use bpftool gen object',
    )
  }
  if (view.getUint16(52, true) !== HEADER_SIZE) throw badObject('Bad size of the ELF header')
  if (view.getUint16(56, true) !== 0)
    throw badObject('A relocatable object has no program headers, but this one does')
  return readSectionTable(image, view)
}

const COMPILE = 'Compile with clang -O2 -g --target=bpf -c'

function readSectionTable(image: Uint8Array, view: DataView): SectionTable {
  const offset = u64(view, 40)
  const count = view.getUint16(60, true)
  const names = view.getUint16(62, true)
  if (offset === 0) throw badObject('The object has no section table')
  if (count === 0) throw badObject('The object has no sections, or more than 65,279 of them')
  if (count >= 0xff00) throw badObject(`Bad number of sections: ${count}`)
  if (view.getUint16(58, true) !== SECTION_HEADER_SIZE) throw badObject('Bad size of section headers')
  if (offset < HEADER_SIZE || offset % 8 !== 0) throw badObject(`Bad offset of the section table: ${offset}`)
  if (offset + count * SECTION_HEADER_SIZE > image.length) {
    throw badObject(
      `The section table lies outside of the file: ${count} sections at ${offset}, but the file has ${image.length} bytes`,
      'The file seems to be truncated',
    )
  }
  if (names === 0 || names >= count)
    throw badObject(`Bad index of the section name table: ${names} of ${count}`)
  return { offset, count, names }
}

function notElf(image: Uint8Array): Error {
  const [a, b, c, d] = image
  // LLVM bitcode, raw or wrapped: what clang -emit-llvm leaves.
  const bitcode = (a === 0x42 && b === 0x43) || (a === 0xde && b === 0xc0 && c === 0x17 && d === 0x0b)
  if (bitcode)
    throw badObject(
      'This is LLVM bitcode, not an object file',
      'Compile it with llc -march=bpf -filetype=obj',
    )
  if (a === 0x21 && b === 0x3c) throw badObject('This is an archive, not an object file')
  return badObject('This is not an ELF file', 'A BPF object is what clang --target=bpf -c makes')
}
