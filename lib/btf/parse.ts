/**
 * Reads `.BTF`: type information, from an object file or from the kernel itself (/sys/kernel/btf/vmlinux).
 *
 * Nothing here recurses over types, so no input can overflow the stack; {@link validateBtf} then bounds how deep types
 * may nest, so that what recurses elsewhere (size computations, printers, the codec) is safe as well.
 *
 * Source: Documentation/bpf/btf.rst of the Linux kernel.
 */
import { BpfError } from '../errors.js'
import { KIND_FLAG, KINDS } from './kinds.js'
import type { KindReader, TypeReader } from './kinds.js'
import { BtfStrings } from './strings.js'
import type { Btf, BtfType, TypeId } from './types.js'
import { validateBtf } from './validate.js'

const MAGIC = 0xeb9f
const SWAPPED_MAGIC = 0x9feb
const VERSION = 1
const MIN_HEADER = 24

/** Linux's BTF_MAX_TYPE. */
const MAX_TYPES = 0x000f_ffff

/** Bits of the info word that mean something: vlen, kind, kind_flag. */
const INFO_MASK = 0x9f00_ffff

const VOID: BtfType = { kind: 'void' }

/** The error for type information that is malformed. */
export function badBtf(message: string): BpfError {
  return new BpfError('BAD_BTF', `BTF: ${message}`)
}

/**
 * Parses and validates a BTF blob.
 *
 * @param bytes the whole blob; the result holds views into it
 * @throws BpfError `BAD_BTF`
 */
export function parseBtf(bytes: Uint8Array): Btf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const layout = readHeader(bytes, view)
  const strings = new BtfStrings(bytes.subarray(layout.strings, layout.stringsEnd))
  const types = readTypes(view, layout, strings)
  validateBtf(types)
  return makeBtf(types, bytes, strings)
}

/** Where the two parts of the blob are, in bytes from its start. */
export interface BtfLayout {
  readonly types: number
  readonly typesEnd: number
  readonly strings: number
  readonly stringsEnd: number
}

function readHeader(bytes: Uint8Array, view: DataView): BtfLayout {
  if (bytes.length < MIN_HEADER)
    throw badBtf(`the header is too short: ${bytes.length} of ${MIN_HEADER} bytes`)
  const magic = view.getUint16(0, true)
  if (magic === SWAPPED_MAGIC) throw badBtf('it is big-endian; only little-endian BTF can be read')
  if (magic !== MAGIC) throw badBtf(`bad magic number 0x${magic.toString(16)}`)
  if (view.getUint8(2) !== VERSION) throw badBtf(`unknown version ${view.getUint8(2)}`)
  if (view.getUint8(3) !== 0) throw badBtf(`unknown flags 0x${view.getUint8(3).toString(16)}`)
  const header = view.getUint32(4, true)
  if (header < MIN_HEADER || header % 4 !== 0 || header > bytes.length)
    throw badBtf(`bad header size ${header}`)
  for (let at = MIN_HEADER; at < header; at++) {
    if (bytes[at] !== 0) throw badBtf('the header has fields of a later version')
  }
  const types = header + view.getUint32(8, true)
  const typesEnd = types + view.getUint32(12, true)
  const strings = header + view.getUint32(16, true)
  const stringsEnd = strings + view.getUint32(20, true)
  if (types % 4 !== 0) throw badBtf('the type section is not aligned to 4 bytes')
  if (typesEnd > bytes.length || stringsEnd > bytes.length) throw badBtf('a section lies outside of the blob')
  if (typesEnd > strings) throw badBtf('the string section overlaps the type section')
  return { types, typesEnd, strings, stringsEnd }
}

function readTypes(view: DataView, layout: BtfLayout, strings: BtfStrings): BtfType[] {
  const types: BtfType[] = [VOID]
  const reader: TypeReader = { view, strings, id: 0 }
  let at = layout.types
  while (at < layout.typesEnd) {
    const id = types.length
    if (id > MAX_TYPES) throw badBtf(`it has more than ${MAX_TYPES} types`)
    if (at + 12 > layout.typesEnd) throw badBtf(`type ${id} is cut off`)
    const info = view.getUint32(at + 4, true)
    const kind: KindReader | undefined = KINDS[(info >>> 24) & 0x1f]
    if (kind === undefined) throw badBtf(`type ${id} is of unknown kind ${(info >>> 24) & 0x1f}`)
    if ((info & ~INFO_MASK) !== 0) throw badBtf(`type ${id} has unknown flags`)
    const vlen = info & 0xffff
    const flag = (info & KIND_FLAG) !== 0
    if (flag && !kind.flag) throw badBtf(`type ${id} (${kind.name}) has a flag that its kind does not know`)
    if (vlen > kind.maxVlen)
      throw badBtf(`type ${id} (${kind.name}) has ${vlen} parts, but its kind has none`)
    const end = at + 12 + kind.fixedSize + vlen * kind.partSize
    if (end > layout.typesEnd) throw badBtf(`type ${id} (${kind.name}) is cut off`)
    reader.id = id
    types.push(kind.read(reader, at, vlen, flag))
    at = end
  }
  return types
}

/** A {@link Btf} over types that are known to be valid. */
export function makeBtf(types: readonly BtfType[], bytes: Uint8Array, strings: BtfStrings): Btf {
  let index: Map<string, TypeId[]> | undefined
  return {
    types,
    bytes,
    string: (offset) => strings.at(offset),
    find(name) {
      index ??= indexByName(types)
      return index.get(name) ?? NONE
    },
  }
}

const NONE: readonly TypeId[] = []

function indexByName(types: readonly BtfType[]): Map<string, TypeId[]> {
  const index = new Map<string, TypeId[]>()
  for (let id = 1; id < types.length; id++) {
    const type = types[id]
    if (type === undefined || !('name' in type) || type.name === '') continue
    const ids = index.get(type.name)
    if (ids === undefined) index.set(type.name, [id])
    else ids.push(id)
  }
  return index
}
