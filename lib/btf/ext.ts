/**
 * Reads `.BTF.ext`: what belongs to instructions rather than to types. Source lines, the types of functions, and CO-RE
 * relocations, each by the section that holds the instructions.
 *
 * Source: Documentation/bpf/btf.rst of the Linux kernel, section 4; `struct bpf_core_relo` of linux/bpf.h.
 */
import { BpfError } from '../errors.js'
import type { SourcePosition } from '../errors.js'
import type { Btf, TypeId } from './types.js'

/** A source line, and the first instruction that it became. */
export interface LineInfo extends SourcePosition {
  /** Of the instruction: bytes from the start of the code section, a multiple of 8. */
  readonly offset: number
}

/** Where a function starts, and its type: a `func` of the object's BTF. */
export interface FuncInfo {
  readonly offset: number
  readonly type: TypeId
}

/** See `struct bpf_core_relo`; {@link CORE_RELOCATION_KINDS} names the kinds. */
export interface CoreRelocation {
  readonly offset: number
  /** Root type, in the object's own BTF. */
  readonly type: TypeId
  /** `0:1:2`: accessors from the root type. */
  readonly access: string
  readonly kind: number
}

/** What a CO-RE relocation asks of the target's types: `enum bpf_core_relo_kind`. */
export const CORE_RELOCATION_KINDS = {
  FIELD_BYTE_OFFSET: 0,
  FIELD_BYTE_SIZE: 1,
  FIELD_EXISTS: 2,
  FIELD_SIGNED: 3,
  FIELD_LSHIFT_U64: 4,
  FIELD_RSHIFT_U64: 5,
  TYPE_ID_LOCAL: 6,
  TYPE_ID_TARGET: 7,
  TYPE_EXISTS: 8,
  TYPE_SIZE: 9,
  ENUMVAL_EXISTS: 10,
  ENUMVAL_VALUE: 11,
  TYPE_MATCHES: 12,
} as const

export type CoreRelocationKind = (typeof CORE_RELOCATION_KINDS)[keyof typeof CORE_RELOCATION_KINDS]

/** By name of the ELF section that the instructions are in; each list by ascending offset. */
export interface BtfExt {
  readonly functions: ReadonlyMap<string, readonly FuncInfo[]>
  readonly lines: ReadonlyMap<string, readonly LineInfo[]>
  readonly coreRelocations: ReadonlyMap<string, readonly CoreRelocation[]>
}

const MAGIC = 0xeb9f
const VERSION = 1
/** Header up to line information; CO-RE relocations came 8 bytes later. */
const MIN_HEADER = 24
const CORE_HEADER = 32
const INSTRUCTION_SIZE = 8
/** libbpf's BPF_CORE_SPEC_MAX_LEN. */
const MAX_ACCESSORS = 64
const MAX_CORE_KIND = CORE_RELOCATION_KINDS.TYPE_MATCHES

function bad(message: string): BpfError {
  return new BpfError('BAD_BTF', `BTF.ext: ${message}`)
}

/**
 * Parses and validates a `.BTF.ext` section.
 *
 * @param btf of the same object: strings and types are looked up there
 * @throws BpfError `BAD_BTF`
 */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < MIN_HEADER) throw bad(`the header is too short: ${bytes.length} of ${MIN_HEADER} bytes`)
  if (view.getUint16(0, true) !== MAGIC)
    throw bad(`bad magic number 0x${view.getUint16(0, true).toString(16)}`)
  if (view.getUint8(2) !== VERSION) throw bad(`unknown version ${view.getUint8(2)}`)
  if (view.getUint8(3) !== 0) throw bad('unknown flags')
  const header = view.getUint32(4, true)
  if (header < MIN_HEADER || header % 4 !== 0 || header > bytes.length) throw bad(`bad header size ${header}`)
  if (header > MIN_HEADER && header < CORE_HEADER) throw bad(`bad header size ${header}`)
  for (let at = CORE_HEADER; at < header; at++) {
    if (bytes[at] !== 0) throw bad('the header has fields of a later version')
  }

  const part = (at: number): Part => ({
    start: header + view.getUint32(at, true),
    length: view.getUint32(at + 4, true),
  })
  const context: Context = { view, btf, size: bytes.length }
  return {
    functions: readPart(context, part(8), FUNCTIONS),
    lines: readPart(context, part(16), LINES),
    coreRelocations: header >= CORE_HEADER ? readPart(context, part(24), CORE_RELOCATIONS) : new Map(),
  }
}

interface Part {
  readonly start: number
  readonly length: number
}

interface Context {
  readonly view: DataView
  readonly btf: Btf
  readonly size: number
}

/** One of the three kinds of records. */
interface RecordKind<T> {
  readonly what: string
  /** Bytes that this reader knows; later versions may append. */
  readonly size: number
  read(context: Context, at: number, offset: number): T
}

const FUNCTIONS: RecordKind<FuncInfo> = {
  what: 'function information',
  size: 8,
  read({ view, btf }, at, offset) {
    const type = view.getUint32(at + 4, true)
    if (btf.types[type]?.kind !== 'func')
      throw bad(`function information names type ${type}, which is no function`)
    return { offset, type }
  },
}

const LINES: RecordKind<LineInfo> = {
  what: 'line information',
  size: 16,
  read({ view, btf }, at, offset) {
    const lineColumn = view.getUint32(at + 12, true)
    return {
      offset,
      file: btf.string(view.getUint32(at + 4, true)),
      line: lineColumn >>> 10,
      column: lineColumn & 0x3ff,
      text: btf.string(view.getUint32(at + 8, true)),
    }
  },
}

const CORE_RELOCATIONS: RecordKind<CoreRelocation> = {
  what: 'CO-RE relocations',
  size: 16,
  read({ view, btf }, at, offset) {
    const type = view.getUint32(at + 4, true)
    const access = btf.string(view.getUint32(at + 8, true))
    const kind = view.getUint32(at + 12, true)
    if (type === 0 || type >= btf.types.length)
      throw bad(`a CO-RE relocation names type ${type}, out of range`)
    if (kind > MAX_CORE_KIND) throw bad(`unknown kind of CO-RE relocation: ${kind}`)
    if (!isAccess(access)) throw bad(`a CO-RE relocation has bad accessors: '${access.slice(0, 80)}'`)
    return { offset, type, access, kind }
  },
}

function isAccess(access: string): boolean {
  return access.length <= MAX_ACCESSORS * 11 && /^\d{1,10}(?::\d{1,10}){0,63}$/.test(access)
}

function readPart<T extends { readonly offset: number }>(
  context: Context,
  part: Part,
  kind: RecordKind<T>,
): ReadonlyMap<string, readonly T[]> {
  const { view, btf, size } = context
  const bySection = new Map<string, T[]>()
  if (part.length === 0) return bySection
  const end = part.start + part.length
  if (part.start % 4 !== 0) throw bad(`the ${kind.what} is not aligned to 4 bytes`)
  if (end > size) throw bad(`the ${kind.what} lies outside of the section`)
  if (part.length < 4) throw bad(`the ${kind.what} is too short`)
  const recordSize = view.getUint32(part.start, true)
  if (recordSize < kind.size || recordSize % 4 !== 0)
    throw bad(`the ${kind.what} has bad records of ${recordSize} bytes`)
  let at = part.start + 4
  if (at === end) throw bad(`the ${kind.what} names no section`)
  while (at < end) {
    if (end - at < 8) throw bad(`the ${kind.what} is cut off`)
    const section = btf.string(view.getUint32(at, true))
    const count = view.getUint32(at + 4, true)
    at += 8
    if (section === '') throw bad(`the ${kind.what} is for a section without a name`)
    if (count === 0) throw bad(`the ${kind.what} of '${section}' has no records`)
    if (count * recordSize > end - at) throw bad(`the ${kind.what} of '${section}' is cut off`)
    if (bySection.has(section)) throw bad(`the ${kind.what} has section '${section}' twice`)
    const records: T[] = []
    for (let i = 0; i < count; i++, at += recordSize) {
      const offset = view.getUint32(at, true)
      if (offset % INSTRUCTION_SIZE !== 0)
        throw bad(`the ${kind.what} of '${section}' points into an instruction`)
      records.push(kind.read(context, at, offset))
    }
    bySection.set(
      section,
      records.sort((a, b) => a.offset - b.offset),
    )
  }
  return bySection
}
