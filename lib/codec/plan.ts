/**
 * BTF type → {@link Layout}. Everything that BTF may say wrongly is found here, so that whoever reads a layout may
 * trust it: fields lie inside their struct, sizes and depths are bounded, names are unique.
 */
import {
  POINTER_SIZE,
  resolveType,
  skipModifiers,
  typeById,
  type BtfComposite,
  type BtfTypeOf,
} from '../btf/query.js'
import type { Btf, BtfMember, BtfType, TypeId } from '../btf/types.js'
import { BpfError, unsupported } from '../errors.js'
import type { BitsLayout, Field, IntSize, Layout, StructLayout } from './layout.js'

/** Nothing that a C program means comes close to these; what a hostile object says may. */
export const LAYOUT_LIMITS = {
  /** Structs and arrays inside each other. */
  depth: 64,
  /** Members of a struct, with those of its anonymous members. */
  fields: 65_536,
  /** Members of all structs, those of an anonymous struct counted at each of its uses. */
  members: 1 << 20,
  /** Values that one decode makes: numbers, strings, objects … */
  values: 1 << 24,
  /** Bytes of a value. */
  size: 2 ** 31 - 1,
} as const

interface Planned {
  readonly layout: Layout
  /** Values that a decode makes. */
  readonly values: number
}

/** A field while its struct is being put together. Bits count from the start of the struct. */
interface Draft {
  readonly name: string
  readonly layout: Layout
  readonly startBit: number
  readonly endBit: number
}

type Composite = BtfComposite
type Scalar = BtfTypeOf<'int' | 'enum' | 'enum64' | 'float' | 'ptr'>

/**
 * The layout of a type.
 *
 * @throws BpfError `BAD_BTF` for a type without values (functions, forward declarations, void) and for members that
 * leave their struct or have the same name; `UNSUPPORTED` for what exceeds {@link LAYOUT_LIMITS}
 */
export function planLayout(btf: Btf, type: TypeId): Layout {
  return new Planner(btf).plan(type, 0).layout
}

class Planner {
  readonly #btf: Btf
  /** So that a type that is used often is planned once: without this, plans could grow exponentially. */
  readonly #structs = new Map<TypeId, Planned>()
  #members = 0

  constructor(btf: Btf) {
    this.#btf = btf
  }

  plan(id: TypeId, depth: number): Planned {
    if (depth > LAYOUT_LIMITS.depth) throw tooMuch(`types nested more than ${LAYOUT_LIMITS.depth} deep`)
    const resolvedId = skipModifiers(this.#btf, id)
    const type = typeById(this.#btf, resolvedId)
    switch (type.kind) {
      case 'int':
      case 'enum':
      case 'enum64':
      case 'float':
      case 'ptr':
        return { layout: planScalar(type, describe(this.#btf, id)), values: 1 }
      case 'array':
        return this.#planArray(id, type, depth)
      case 'var':
        return this.plan(type.type, depth + 1)
      case 'struct':
      case 'union':
      case 'datasec': {
        let planned = this.#structs.get(resolvedId)
        if (planned === undefined) {
          planned = this.#planStruct(type.kind === 'datasec' ? variablesOf(this.#btf, type) : type, depth)
          this.#structs.set(resolvedId, planned)
        }
        return planned
      }
      default:
        throw new BpfError(
          'BAD_BTF',
          `${describe(this.#btf, id)} (${type.kind}) has no values to decode or encode`,
        )
    }
  }

  #planArray(id: TypeId, type: BtfTypeOf<'array'>, depth: number): Planned {
    const { length } = type
    const typeName = describe(this.#btf, id)
    const element = resolveType(this.#btf, type.type)
    if (element.kind === 'int' && element.size === 1 && element.bits === 8 && !element.bool) {
      checkSize(length, typeName)
      if (isChar(element)) return { layout: { kind: 'string', size: length, typeName }, values: 1 }
      if (!element.signed) return { layout: { kind: 'bytes', size: length, typeName }, values: 1 }
    }
    const planned = this.plan(type.type, depth + 1)
    const size = checkSize(length * planned.layout.size, typeName)
    const values = checkValues(1 + length * planned.values, typeName)
    return { layout: { kind: 'array', size, length, element: planned.layout, typeName }, values }
  }

  #planStruct(type: Composite, depth: number): Planned {
    const typeName = `${type.kind} ${type.name || '{…}'}`
    const size = checkSize(type.size, typeName)
    const drafts: Draft[] = []
    const flexible: string[] = []
    const values = this.#addMembers(type, { base: 0, size, drafts, flexible, typeName }, depth)
    checkNames(drafts, flexible, typeName)
    const shared = findShared(drafts)
    const fields = drafts.map((draft): Field => ({
      name: draft.name,
      offset: Math.floor(draft.startBit / 8),
      layout: draft.layout,
      shared: shared.has(draft),
    }))
    const layout: StructLayout = { kind: 'struct', size, fields, flexible, name: type.name, typeName }
    return { layout, values: checkValues(1 + values, typeName) }
  }

  /** Adds the members, flattening anonymous ones. @returns values that they decode to */
  #addMembers(
    type: Composite,
    into: {
      readonly base: number
      readonly size: number
      readonly drafts: Draft[]
      readonly flexible: string[]
      readonly typeName: string
    },
    depth: number,
  ): number {
    const { base, size, drafts, flexible, typeName } = into
    if (depth > LAYOUT_LIMITS.depth) throw tooMuch(`types nested more than ${LAYOUT_LIMITS.depth} deep`)
    let values = 0
    this.#members += type.members.length
    if (this.#members > LAYOUT_LIMITS.members)
      throw tooMuch(`${typeName}: more than ${LAYOUT_LIMITS.members} members`)
    for (const member of type.members) {
      const inner = resolveType(this.#btf, member.type)
      const startBit = base + member.bitOffset
      if (member.name === '') {
        // An unnamed member that is no struct or union is padding: there is nothing to call it.
        if (inner.kind === 'struct' || inner.kind === 'union') {
          values += this.#addMembers(inner, { ...into, base: startBit }, depth + 1)
        }
        continue
      }
      if (inner.kind === 'array' && inner.length === 0) {
        flexible.push(member.name)
      } else {
        const planned = this.#planMember(member, startBit, depth)
        values += planned.values
        if (planned.draft.endBit > size * 8) {
          throw new BpfError(
            'BAD_BTF',
            `${typeName}: member ${member.name} ends behind the struct's ${size} bytes`,
          )
        }
        drafts.push(planned.draft)
      }
      if (drafts.length + flexible.length > LAYOUT_LIMITS.fields) {
        throw tooMuch(`${typeName}: more than ${LAYOUT_LIMITS.fields} members`)
      }
    }
    return values
  }

  #planMember(
    member: BtfMember,
    startBit: number,
    depth: number,
  ): { readonly draft: Draft; readonly values: number } {
    const type = resolveType(this.#btf, member.type)
    let bits = member.bitSize
    if (bits === 0 && type.kind === 'int' && (type.bitOffset !== 0 || type.bits !== type.size * 8)) {
      // A bit-field as compilers wrote it before Linux 4.20: an int type of its own, with an offset of its own.
      bits = type.bits
      startBit += type.bitOffset
    }
    if (bits > 0) {
      const layout = planBits(describe(this.#btf, member.type), type, startBit, bits)
      return { draft: { name: member.name, layout, startBit, endBit: startBit + bits }, values: 1 }
    }
    if (startBit % 8 !== 0) {
      throw new BpfError('BAD_BTF', `member ${member.name} is no bit-field, but starts at bit ${startBit}`)
    }
    const { layout, values } = this.plan(member.type, depth + 1)
    return { draft: { name: member.name, layout, startBit, endBit: startBit + layout.size * 8 }, values }
  }
}

function planScalar(type: Scalar, typeName: string): Layout {
  if (type.kind === 'ptr') return { kind: 'int', size: POINTER_SIZE, signed: false, typeName }
  const { size } = type
  if (type.kind === 'float') {
    return size === 4 || size === 8 ? { kind: 'float', size, typeName } : { kind: 'bytes', size, typeName }
  }
  if (!isIntSize(size)) throw new BpfError('BAD_BTF', `${typeName}: no integer has ${size} bytes`)
  if (type.kind !== 'int') return { kind: 'int', size, signed: type.signed, typeName }
  if (type.bool) return { kind: 'bool', size, typeName }
  return { kind: 'int', size, signed: type.signed, typeName }
}

function planBits(name: string, type: BtfType, startBit: number, bits: number): BitsLayout {
  const typeName = `${name}:${bits}`
  if (type.kind !== 'int' && type.kind !== 'enum' && type.kind !== 'enum64') {
    throw new BpfError('BAD_BTF', `${typeName}: a bit-field must be of integer or enum type`)
  }
  if (bits < 1 || bits > type.size * 8) {
    throw new BpfError('BAD_BTF', `${typeName}: ${bits} bits of a type that has ${type.size * 8}`)
  }
  if (bits > 64)
    throw unsupported(`bit-field of ${bits} bits: ${typeName}`, 'Bit-fields have up to 64 bits here')
  const shift = startBit % 8
  const bool = type.kind === 'int' && type.bool
  const signed = type.signed && !bool
  return { kind: 'bits', bits, shift, size: (shift + bits + 7) >> 3, signed, bool, typeName }
}

/** Compilers mark `char` by its name; the flag for it is a BTF possibility that clang and pahole don't use. */
function isChar(type: BtfTypeOf<'int'>): boolean {
  return type.name === 'char' || (type.char && !type.name.includes('signed'))
}

/** The variables of a data section, as members of a struct. */
function variablesOf(btf: Btf, section: BtfTypeOf<'datasec'>): Composite {
  const members = section.variables.map((variable): BtfMember => {
    const type = typeById(btf, variable.type)
    const name = type.kind === 'var' ? type.name : ''
    return { name, type: variable.type, bitOffset: variable.offset * 8, bitSize: 0 }
  })
  return { kind: 'struct', name: section.name, size: section.size, members }
}

function checkNames(drafts: readonly Draft[], flexible: readonly string[], typeName: string): void {
  const names = new Set<string>()
  for (const name of [...drafts.map((draft) => draft.name), ...flexible]) {
    if (names.has(name))
      throw new BpfError('BAD_BTF', `${typeName} has two members named ${JSON.stringify(name)}`)
    names.add(name)
  }
}

/** The fields that share bits with another: in order of starts, one that overlaps any before it overlaps the furthest end. */
function findShared(drafts: readonly Draft[]): ReadonlySet<Draft> {
  const shared = new Set<Draft>()
  const sorted = drafts
    .filter((draft) => draft.endBit > draft.startBit)
    .sort((a, b) => a.startBit - b.startBit)
  let furthest: Draft | undefined
  for (const draft of sorted) {
    if (furthest !== undefined && draft.startBit < furthest.endBit) shared.add(draft).add(furthest)
    if (furthest === undefined || draft.endBit > furthest.endBit) furthest = draft
  }
  return shared
}

/** C-like, but pointers are just that: BTF may chain them without end. */
function describe(btf: Btf, id: TypeId): string {
  let dimensions = ''
  for (;;) {
    const type = typeById(btf, id)
    switch (type.kind) {
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
        id = type.type
        continue
      case 'array':
        dimensions += `[${type.length}]`
        if (dimensions.length > 1000) return 'array'
        id = type.type
        continue
      case 'ptr':
        return `pointer${dimensions}`
      case 'struct':
      case 'union':
        return `${type.kind} ${type.name || '{…}'}${dimensions}`
      case 'enum':
      case 'enum64':
        return `enum ${type.name || '{…}'}${dimensions}`
      default:
        return `${'name' in type && type.name !== '' ? type.name : type.kind}${dimensions}`
    }
  }
}

function isIntSize(size: number): size is IntSize {
  return size === 1 || size === 2 || size === 4 || size === 8 || size === 16
}

function checkSize(size: number, typeName: string): number {
  if (size > LAYOUT_LIMITS.size) throw tooMuch(`${typeName}: more than ${LAYOUT_LIMITS.size} bytes`)
  return size
}

function checkValues(values: number, typeName: string): number {
  if (values > LAYOUT_LIMITS.values) throw tooMuch(`${typeName}: more than ${LAYOUT_LIMITS.values} values`)
  return values
}

function tooMuch(what: string): BpfError {
  return unsupported(what, 'Read such a value as bytes')
}
