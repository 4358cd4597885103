/** Changes object files where it hurts: in the fields that parsers believe. */
import { parseElf } from '../lib/elf/elf.js'
import { SHF, SHT } from '../lib/elf/types.js'
import type { Random } from './random.js'

/** A stretch of an object file that holds numbers. */
interface Region {
  readonly offset: number
  readonly size: number
}

/** Records of one size with the fields in them, as offset and width in bytes. */
interface Table extends Region {
  readonly stride: number
  readonly fields: readonly (readonly [offset: number, width: 1 | 2 | 4 | 8])[]
}

/** An object that mutants are made of. */
export interface Seed {
  readonly name: string
  readonly image: Uint8Array
  /** What to change, by kind, each with the same chance: an instruction is no likelier than a symbol. */
  readonly tables: readonly (readonly Table[])[]
  readonly strings: readonly Region[]
  readonly sections: readonly Region[]
}

/** Fields by gABI's Elf64_Ehdr, Elf64_Shdr, Elf64_Sym and Elf64_Rel. */
const ELF_HEADER: Table['fields'] = [[4, 1], [5, 1], [16, 2], [18, 2], [32, 8], [40, 8], [52, 2], [54, 2], [56, 2], [58, 2], [60, 2], [62, 2]] // prettier-ignore
const SECTION_HEADER: Table['fields'] = [[0, 4], [4, 4], [8, 8], [16, 8], [24, 8], [32, 8], [40, 4], [44, 4], [48, 8], [56, 8]] // prettier-ignore
const SYMBOL: Table['fields'] = [
  [0, 4],
  [4, 1],
  [5, 1],
  [6, 2],
  [8, 8],
  [16, 8],
]
const RELOCATION: Table['fields'] = [
  [0, 8],
  [8, 4],
  [12, 4],
]
/** RFC 9669: opcode, registers, offset, immediate. */
const INSTRUCTION: Table['fields'] = [[0, 1], [1, 1], [2, 2], [4, 4]] // prettier-ignore
/** Documentation/bpf/btf.rst: all of it is 32-bit numbers, save the first four bytes and the strings. */
const WORD: Table['fields'] = [[0, 4]]
const SECTION_HEADER_SIZE = 64
const BTF_HEADER_SIZE = 24

/** Numbers at which lengths, indexes and sums go wrong. */
const EDGES = [0, 1, 7, 8, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff]

/** Looks where the object has what. @throws BpfError if it isn't a good one */
export function seedOf(name: string, image: Uint8Array): Seed {
  const { sections } = parseElf(image)
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  const headers = Number(view.getBigUint64(40, true))
  const placed = sections.filter(({ data }) => data.length > 0)
  const tables = (
    wanted: (typeof placed)[number][],
    stride: number,
    fields: Table['fields'],
  ): readonly Table[] => wanted.map(({ offset, size }) => ({ offset, size, stride, fields }))
  const named = (name: string): typeof placed => placed.filter((section) => section.name === name)
  const btf = named('.BTF').map(({ offset }) => btfRegions(view, offset))
  return {
    name,
    image,
    tables: [
      [{ offset: 0, size: 64, stride: 64, fields: ELF_HEADER }],
      [{ offset: headers, size: view.getUint16(60, true) * SECTION_HEADER_SIZE, stride: SECTION_HEADER_SIZE, fields: SECTION_HEADER }],
      tables(placed.filter(({ type }) => type === SHT.SYMTAB), 24, SYMBOL),
      tables(placed.filter(({ type }) => type === SHT.REL), 16, RELOCATION),
      tables(placed.filter(({ flags }) => (flags & SHF.EXECINSTR) !== 0), 8, INSTRUCTION),
      btf.map(({ header }) => header),
      btf.map(({ types }) => types),
      tables(named('.BTF.ext'), 4, WORD),
      tables(placed.filter(({ name }) => name === '.maps' || name.startsWith('.struct_ops')), 4, WORD),
    ].filter((kind) => kind.length > 0), // prettier-ignore
    strings: [...placed.filter(({ type }) => type === SHT.STRTAB), ...btf.map(({ strings }) => strings)],
    sections: placed.map(({ offset, size }) => ({ offset, size })),
  }
}

function btfRegions(
  view: DataView,
  start: number,
): Record<'header' | 'types', Table> & { readonly strings: Region } {
  const field = (at: number): number => view.getUint32(start + at, true)
  const first = start + field(4)
  const words = (offset: number, size: number): Table => ({ offset, size, stride: 4, fields: WORD })
  return {
    header: words(start, BTF_HEADER_SIZE),
    types: words(first + field(8), field(12)),
    strings: { offset: first + field(16), size: field(20) },
  }
}

/** One change. It may answer another array, and may change the one it is given. */
type Mutation = (bytes: Uint8Array, seed: Seed, random: Random, others: readonly Seed[]) => Uint8Array

const flipBit: Mutation = (bytes, _, random) => {
  const at = random.below(bytes.length)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  return bytes
}

/** A field of a record gets a number from an edge, from nearby, or from the same field of another record. */
const changeField: Mutation = (bytes, { tables }, random) => {
  const table = random.pick(random.pick(tables))
  const [within, width] = random.pick(table.fields)
  const place = (): number =>
    table.offset + random.below(Math.floor(table.size / table.stride)) * table.stride + within
  const at = place()
  const from = place()
  if (Math.max(at, from) + width > bytes.length) return bytes
  const way = random.below(4)
  if (way === 0) bytes.copyWithin(at, from, from + width)
  else if (way === 1) bytes[at] = (bytes[at] ?? 0) + random.pick([-8, -4, -1, 1, 4, 8])
  else if (way === 2) writeNumber(bytes, at, width, random.below(bytes.length))
  else writeNumber(bytes, at, width, random.pick(EDGES))
  return bytes
}

function writeNumber(bytes: Uint8Array, at: number, width: number, value: number): void {
  // The upper half of 64 bits follows the sign, so that sums overflow there too.
  for (let i = 0; i < width; i++) bytes[at + i] = i < 4 ? value >>> (8 * i) : value > 0x7fffffff ? 0xff : 0
}

/** A name ends earlier, runs into the next one, or becomes another. */
const changeString: Mutation = (bytes, { strings }, random) => {
  if (strings.length === 0) return bytes
  const { offset, size } = random.pick(strings)
  const at = offset + random.below(size)
  if (random.chance(0.5)) bytes[at] = random.pick([0, 0, 0x2e, 0x2f, 0x25, 0x80, 0xff])
  else bytes.copyWithin(at, offset + random.below(size), offset + size)
  return bytes
}

/** A stretch of another object, or of the same one. */
const splice: Mutation = (bytes, seed, random, others) => {
  const source = random.chance(0.5) ? seed : random.pick(others)
  const [from, to] = [random.pick(source.sections), random.pick(seed.sections)]
  // Records have sizes of 4, 8, 16 or 24 bytes: most stretches start where one does.
  const start = from.offset + (random.below(from.size) & ~7)
  const at = to.offset + (random.below(to.size) & (random.chance(0.8) ? ~7 : ~0))
  bytes.set(source.image.subarray(start, start + Math.min(1 + random.below(256), bytes.length - at)), at)
  return bytes
}

const wipe: Mutation = (bytes, { sections }, random) => {
  const { offset, size } = random.pick(sections)
  const at = offset + random.below(size)
  return bytes.fill(random.pick([0, 0xff]), at, at + 1 + random.below(32))
}

const truncate: Mutation = (bytes, _, random) => bytes.subarray(0, random.below(bytes.length + 1))

/** How often, relative to each other. */
const MUTATIONS: readonly (readonly [weight: number, mutation: Mutation])[] = [
  [6, changeField],
  [3, flipBit],
  [2, changeString],
  [2, splice],
  [1, wipe],
]
const DECK = MUTATIONS.flatMap(([weight, mutation]) => Array.from({ length: weight }, () => mutation))

/** A copy of one of the seeds, with one to four changes. The same for the same seeds and random numbers. */
export function mutant(seeds: readonly Seed[], random: Random): Uint8Array {
  const seed = random.pick(seeds)
  let bytes: Uint8Array = Uint8Array.from(seed.image)
  for (let changes = 1 + random.below(4); changes > 0; changes--)
    bytes = random.pick(DECK)(bytes, seed, random, seeds)
  return random.chance(0.04) ? truncate(bytes, seed, random, seeds) : bytes
}
