/** What lies at an offset of a kernel struct: a number, a pointer to another one, or nothing that may be read. */
import { resolveType, sizeOf, skipModifiers, typeById, type BtfComposite } from '../../btf/query.js'
import type { Btf, BtfMember, BtfType, TypeId } from '../../btf/types.js'
import { isStruct, type StructType } from './kernel-types.js'
import { denied, invalid, Unmodelled } from './rejection.js'
import { FLAG } from './values/register.js'

/** What a load finds. `flags`: what the walk and the member's type tags say of a pointer. */
export type Walk =
  | { readonly kind: 'number' }
  /** A pointer to what is no struct: it may be read, and nothing is known of it. */
  | { readonly kind: 'bytes' }
  | { readonly kind: 'pointer'; readonly target: TypeId; readonly flags: number; readonly member: string }

const NUMBER: Walk = { kind: 'number' }
const BYTES: Walk = { kind: 'bytes' }

/** Type tags of members that are pointers. */
const TAGS: Readonly<Record<string, number>> = { user: FLAG.USER, percpu: FLAG.PERCPU, rcu: FLAG.RCU }

/** What a pointer's type tag says, as flags. @param id what the pointer is to */
export function tagFlags(btf: Btf, id: TypeId): number {
  const tag = typeById(btf, id)
  return tag.kind === 'type_tag' ? (TAGS[tag.name] ?? 0) : 0
}

/** A place within a struct, on the way down to the member that is accessed. */
interface Place {
  readonly type: BtfComposite
  readonly offset: number
  readonly flags: number
}

type Step = Walk | { readonly kind: 'inside'; readonly place: Place; readonly id: TypeId }

/** @throws Rejection where there is no member that such an access reads */
export function walkStruct(struct: StructType, offset: number, size: number, flags: number): Walk {
  const { btf, composite } = struct
  if (btf === undefined || composite === undefined) throw new Unmodelled(`access to struct ${struct.name}`)
  let place: Place = { type: composite, offset, flags }
  for (;;) {
    const step = walkOnce(btf, place, size)
    if (step.kind !== 'inside') return step
    place = step.place
  }
}

/** Whether a struct, or one that lies in it at an offset, is of a type. */
export function holdsStruct(struct: StructType, offset: number, wanted: StructType): boolean {
  if (offset === 0 && struct === wanted) return true
  // Types of the program are none of the kernel's, whatever their names.
  if (struct.local !== wanted.local) return false
  const { btf, composite } = struct
  if (btf === undefined || composite === undefined) {
    if (offset === 0 && struct.name === wanted.name) return true
    throw new Unmodelled(`what lies in struct ${struct.name}`)
  }
  let place: Place = { type: composite, offset, flags: 0 }
  for (;;) {
    const inner = innerStruct(btf, place)
    if (inner === undefined) return false
    if (wanted.btf === btf ? inner.id === wanted.id : nameOf(inner.place.type) === wanted.name) return true
    place = inner.place
  }
}

function nameOf({ name }: BtfComposite): string {
  return name
}

/** The struct that starts at a place, one level down. */
function innerStruct(btf: Btf, place: Place): { readonly id: TypeId; readonly place: Place } | undefined {
  let current = place
  for (;;) {
    const { type, offset } = current
    if (offset + 1 > type.size) return undefined
    const member = memberAt(btf, type, offset)
    if (member === undefined) return undefined
    const { element, id, start } = member
    if (!isStruct(element)) return undefined
    current = { type: element, offset: offset - start, flags: 0 }
    if (offset === start) return { id, place: current }
  }
}

interface Found {
  readonly member: BtfMember
  /** What is accessed: the member, or an element of it where it is an array. */
  readonly element: BtfType
  readonly id: TypeId
  /** Of the element, in bytes. */
  readonly start: number
  /** Behind the member's last byte. */
  readonly end: number
  readonly size: number
}

/** The member that holds the byte at an offset, bit-fields aside. */
function memberAt(btf: Btf, { members }: BtfComposite, offset: number): Found | undefined {
  for (const member of members) {
    const start = member.bitOffset / 8
    if (offset < start) return undefined
    if (member.bitSize !== 0) continue
    const found = elementAt(btf, member, start, offset)
    if (found !== undefined) return found
  }
  return undefined
}

function elementAt(btf: Btf, member: BtfMember, start: number, offset: number): Found | undefined {
  let id = skipModifiers(btf, member.type)
  let type = typeById(btf, id)
  const size = sizeOf(btf, id)
  const end = start + size
  if (offset >= end) return undefined
  while (type.kind === 'array') {
    id = skipModifiers(btf, type.type)
    type = typeById(btf, id)
  }
  const each = sizeOf(btf, id)
  const from = start + (each === 0 ? 0 : Math.floor((offset - start) / each) * each)
  return { member, element: type, id, start: from, end, size: each }
}

function walkOnce(btf: Btf, { type, offset, flags: given }: Place, size: number): Step {
  const name = type.name
  // Which member of a union is meant, nobody knows.
  const flags = type.kind === 'union' && type.members.length !== 1 ? given | FLAG.UNTRUSTED : given
  if (offset + size > type.size) return walkTail(btf, type, offset, size, flags)
  for (const member of type.members) {
    const start = member.bitOffset / 8
    if (offset + size <= Math.floor(start)) break
    if (member.bitSize !== 0) {
      const end = Math.ceil((member.bitOffset + member.bitSize) / 8)
      if (offset <= Math.floor(start) && end <= offset + size) return NUMBER
      continue
    }
    if (offset < start) break
    const found = elementAt(btf, member, start, offset)
    if (found === undefined) continue
    return walkMember(btf, name, found, offset, size, flags)
  }
  return invalid(`struct ${name} doesn't have field at offset ${offset}`)
}

function walkMember(
  btf: Btf,
  struct: string,
  { member, element, start, end, size: own }: Found,
  offset: number,
  size: number,
  flags: number,
): Step {
  if (isStruct(element)) {
    const inside = element.kind === 'union' && element.members.length !== 1 ? flags | FLAG.UNTRUSTED : flags
    return { kind: 'inside', place: { type: element, offset: offset - start, flags: inside }, id: 0 }
  }
  if (element.kind === 'ptr') {
    if (own !== size || offset !== start)
      denied(
        `cannot access ptr member ${member.name} with moff ${start} in struct ${struct} with off ${offset} size ${size}`,
      )
    const target = skipModifiers(btf, element.type)
    const pointee = typeById(btf, target)
    // Objects declare what they don't look into as forward declarations; a kernel's BTF has hardly any.
    if (!isStruct(pointee) && pointee.kind !== 'fwd') return BYTES
    return {
      kind: 'pointer',
      target,
      flags: flags | tagFlags(btf, element.type),
      member: member.name,
    }
  }
  if (offset + size > end && (flags & FLAG.UNTRUSTED) === 0)
    denied(
      `access beyond the end of member ${member.name} (mend:${end}) in struct ${struct} with off ${offset} size ${size}`,
    )
  return NUMBER
}

/** Behind the end there may be the elements of a flexible array. */
function walkTail(btf: Btf, type: BtfComposite, offset: number, size: number, flags: number): Step {
  const last = type.members[type.members.length - 1]
  const array = last === undefined ? undefined : resolveType(btf, last.type)
  const start = (last?.bitOffset ?? 0) / 8
  if (array?.kind === 'array' && array.length === 0 && offset >= start) {
    const element = resolveType(btf, array.type)
    if (element.kind === 'int') return NUMBER
    if (isStruct(element) && element.size > 0)
      return {
        kind: 'inside',
        place: { type: element, offset: (offset - start) % element.size, flags },
        id: 0,
      }
  }
  return denied(`access beyond struct ${type.name} at off ${offset} size ${size}`)
}
