/**
 * From an ELF file to an {@link ObjectFile}: programs, maps, global data, externs, and what is to be patched where.
 *
 * It follows libbpf: what libbpf refuses when it opens an object is refused here, with a message that says what to do;
 * and what reaches libbpf has passed here.
 */
import { parseBtfExt } from '../btf/ext.js'
import type { BtfExt } from '../btf/ext.js'
import { parseBtf } from '../btf/parse.js'
import { BpfError } from '../errors.js'
import { parseElf } from '../elf/elf.js'
import { SHF, SHT } from '../elf/types.js'
import type { ElfFile } from '../elf/types.js'
import { readCode } from './code.js'
import { badObject, checkUniqueNames, sectionNamed, viewOf } from './context.js'
import type { ObjectContext } from './context.js'
import { readDataMaps } from './data.js'
import { completeDataSections } from './datasec.js'
import { readExterns } from './externs.js'
import { readMaps } from './maps.js'
import { readPrograms } from './programs.js'
import { readStructOps } from './struct-ops.js'
import type { ObjectFile } from './types.js'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The kernel keeps 128 bytes of a licence, libbpf 64; both with the NUL. */
const MAX_LICENSE = 63

/**
 * Parses and validates a BPF object file.
 *
 * @param image the whole file; the result holds views into it, so it must not change
 * @throws BpfError `BAD_OBJECT` if the file is malformed, `BAD_BTF` if its type information is, `NO_BTF` if it has maps
 *   but no type information (compile with -g), `UNSUPPORTED` for what libbpf 1.x no longer knows
 */
export function parseObjectFile(image: Uint8Array): ObjectFile {
  const elf = parseElf(image)
  checkUniqueNames(elf)
  refuseLegacyMaps(elf)
  const license = readLicense(elf)
  const kernelVersion = readVersion(elf)
  const { btf, ext } = readTypeInformation(elf)
  const context: ObjectContext = { elf, btf }
  const { externs, kconfig } = readExterns(context)
  const maps = [
    ...readMaps(context),
    ...readDataMaps(context),
    ...(kconfig === undefined ? [] : [kconfig]),
    ...readStructOps(context),
  ]
  checkMapNames(maps.map((map) => map.name))
  const sections = readCode(context, { ext, maps, externs })
  const { programs, text } = readPrograms(elf, sections)
  return { image, license, kernelVersion, btf, programs, maps, text, externs }
}

function readTypeInformation(elf: ElfFile): { btf: ObjectContext['btf']; ext: BtfExt | undefined } {
  const section = contents(elf, '.BTF')
  if (section === undefined) return { btf: undefined, ext: undefined }
  const raw = parseBtf(section)
  const extSection = contents(elf, '.BTF.ext')
  return {
    btf: completeDataSections(raw, elf),
    ext: extSection === undefined ? undefined : parseBtfExt(extSection, raw),
  }
}

/** The bytes of a section with contents, aligned as readers in C expect it. */
function contents(elf: ElfFile, name: string): Uint8Array | undefined {
  const section = sectionNamed(elf, name)
  if (section === undefined) return undefined
  if (section.type !== SHT.PROGBITS || (section.flags & SHF.EXECINSTR) !== 0) {
    throw badObject(`Section '${name}' is not of the type that its name promises`)
  }
  if (section.offset % 4 !== 0 && name.startsWith('.BTF'))
    throw badObject(`Section '${name}' is not aligned to 4 bytes`)
  return section.data
}

function refuseLegacyMaps(elf: ElfFile): void {
  const legacy = elf.sections.find(({ name }) => name === 'maps' || name.startsWith('maps/'))
  if (legacy === undefined) return
  throw new BpfError(
    'UNSUPPORTED',
    `UNSUPPORTED: map definitions in SEC("${legacy.name}") (struct bpf_map_def)`,
    {
      hint: 'libbpf 1.0 removed them: define maps in SEC(".maps") with __uint and __type, and compile with -g',
    },
  )
}

function readLicense(elf: ElfFile): string {
  const data = contents(elf, 'license')
  if (data === undefined) return ''
  const end = data.indexOf(0)
  return decoder.decode(data.subarray(0, Math.min(end < 0 ? data.length : end, MAX_LICENSE)))
}

function readVersion(elf: ElfFile): number {
  const data = contents(elf, 'version')
  if (data === undefined) return 0
  if (data.length !== 4) throw badObject(`Section 'version' has ${data.length} bytes, but a version has 4`)
  return viewOf(data).getUint32(0, true)
}

function checkMapNames(names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) throw badObject(`The object has two maps '${name}'`)
    seen.add(name)
  }
}
