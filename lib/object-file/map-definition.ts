/**
 * One BTF-defined map: a struct whose members' *types* are the definition. `__uint(name, n)` is a pointer to an array of
 * n elements, `__type(name, t)` a pointer to t, `__ulong(name, n)` an enumerator, `__array(values, t)` an array of pointers.
 *
 * Source: bpf_helpers.h of libbpf, and Documentation/bpf/libbpf of the Linux kernel.
 */
import { resolveType, sizeOf, typeById } from '../btf/query.js'
import type { BtfTypeOf } from '../btf/query.js'
import type { Btf, BtfMember, BtfType, TypeId } from '../btf/types.js'
import { BPF_MAP_TYPE, isMapOfMaps } from '../linux/map-types.js'
import { didYouMean } from '../nearest.js'
import { badObject } from './context.js'
import type { MapDefinition } from './types.js'

type Draft = { -readonly [K in keyof MapDefinition]: MapDefinition[K] }

interface Scope {
  readonly btf: Btf
  readonly draft: Draft
  /** Whether the definition is that of an inner map. */
  readonly inner: boolean
}

type FieldReader = (scope: Scope, member: BtfMember) => void

const PINNING_BY_NAME = 1

/** Values of a map of maps are file descriptors or ids, those of a prog array as well. */
const HANDLE_SIZE = 4

const FIELDS: Readonly<Record<string, FieldReader>> = {
  type: (scope, member) => void (scope.draft.type = readUint(scope, member)),
  max_entries: (scope, member) => void (scope.draft.maxEntries = readUint(scope, member)),
  map_flags: (scope, member) => void (scope.draft.flags = readUint(scope, member)),
  numa_node: (scope, member) => void (scope.draft.numaNode = readUint(scope, member)),
  key_size: (scope, member) => setSize(scope, 'keySize', readUint(scope, member)),
  value_size: (scope, member) => setSize(scope, 'valueSize', readUint(scope, member)),
  key(scope, member) {
    scope.draft.keyType = readPointee(scope, member)
    setSize(scope, 'keySize', sizeOf(scope.btf, scope.draft.keyType))
  },
  value(scope, member) {
    scope.draft.valueType = readPointee(scope, member)
    setSize(scope, 'valueSize', sizeOf(scope.btf, scope.draft.valueType))
  },
  pinning(scope, member) {
    const pinning = readUint(scope, member)
    if (scope.inner) throw bad(scope, 'an inner map cannot be pinned')
    if (pinning > PINNING_BY_NAME)
      throw bad(scope, `bad pinning ${pinning}: LIBBPF_PIN_NONE or LIBBPF_PIN_BY_NAME`)
    scope.draft.pinning = pinning
  },
  map_extra: (scope, member) => void (scope.draft.mapExtra = readUlong(scope, member)),
  values: readValues,
}

/**
 * Reads the definition that a struct type is.
 *
 * @param name for messages; an inner map has the name of its outer map with `.inner` behind it
 * @throws BpfError `BAD_OBJECT`
 */
export function readMapDefinition(btf: Btf, name: string, type: TypeId, inner = false): MapDefinition {
  const draft: Draft = {
    name,
    type: BPF_MAP_TYPE.UNSPEC,
    keySize: 0,
    valueSize: 0,
    maxEntries: 0,
    flags: 0,
    pinning: 0,
    mapExtra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: undefined,
    inner: undefined,
    slots: [],
    data: undefined,
  }
  const scope: Scope = { btf, draft, inner }
  const struct = resolveType(btf, type)
  if (struct.kind !== 'struct') throw bad(scope, 'a map is defined by a struct')
  readFields(scope, struct)
  if (draft.type === BPF_MAP_TYPE.UNSPEC)
    throw bad(scope, 'it has no type', 'Add __uint(type, BPF_MAP_TYPE_…)')
  return draft
}

function readFields(scope: Scope, struct: BtfTypeOf<'struct'>): void {
  const seen = new Set<string>()
  struct.members.forEach((member, index) => {
    const read = Object.hasOwn(FIELDS, member.name) ? FIELDS[member.name] : undefined
    if (read === undefined) {
      throw bad(scope, `unknown field '${member.name}'`, didYouMean(member.name, Object.keys(FIELDS)))
    }
    if (seen.has(member.name)) throw bad(scope, `field '${member.name}' is there twice`)
    seen.add(member.name)
    if (member.name === 'values' && index !== struct.members.length - 1) {
      throw bad(scope, `field 'values' must be the last one`)
    }
    read(scope, member)
  })
}

function bad(scope: Scope, message: string, hint?: string): Error {
  return badObject(`Map '${scope.draft.name}': ${message}`, hint)
}

function setSize(scope: Scope, which: 'keySize' | 'valueSize', size: number): void {
  const { draft } = scope
  const what = which === 'keySize' ? 'key' : 'value'
  if (draft[which] !== 0 && draft[which] !== size) {
    throw bad(scope, `the ${what} has ${draft[which]} bytes by one field and ${size} by another`)
  }
  draft[which] = size
}

/** `__uint(name, n)`. */
function readUint(scope: Scope, member: BtfMember): number {
  const pointer = resolveType(scope.btf, member.type)
  const array = pointer.kind === 'ptr' ? resolveType(scope.btf, pointer.type) : undefined
  if (array?.kind !== 'array')
    throw bad(scope, `field '${member.name}' is not of the form __uint(${member.name}, n)`)
  return array.length
}

/** `__ulong(name, n)`, or `__uint(name, n)`. */
function readUlong(scope: Scope, member: BtfMember): bigint {
  const type = resolveType(scope.btf, member.type)
  if (type.kind === 'ptr') return BigInt(readUint(scope, member))
  const value = type.kind === 'enum' || type.kind === 'enum64' ? type.values[0]?.value : undefined
  if (value === undefined)
    throw bad(scope, `field '${member.name}' is not of the form __ulong(${member.name}, n)`)
  return BigInt.asUintN(64, BigInt(value))
}

/** `__type(name, t)`. */
function readPointee(scope: Scope, member: BtfMember): TypeId {
  const pointer = resolveType(scope.btf, member.type)
  if (pointer.kind !== 'ptr')
    throw bad(scope, `field '${member.name}' is not of the form __type(${member.name}, type)`)
  const pointee = resolveType(scope.btf, pointer.type)
  if (pointee.kind === 'void' || pointee.kind === 'fwd' || pointee.kind === 'func_proto') {
    throw bad(scope, `the type of field '${member.name}' has no size`)
  }
  return pointer.type
}

/** `__array(values, struct inner_map)`, `__array(values, int (void *))`. */
function readValues(scope: Scope, member: BtfMember): void {
  const { btf, draft } = scope
  const ofMaps = isMapOfMaps(draft.type)
  if (scope.inner) throw bad(scope, 'a map within a map cannot hold maps or programs')
  if (!ofMaps && draft.type !== BPF_MAP_TYPE.PROG_ARRAY) {
    throw bad(scope, `only maps of maps and prog arrays have a field 'values'`)
  }
  setSize(scope, 'valueSize', HANDLE_SIZE)
  const element = elementOf(btf, typeById(btf, member.type))
  const pointee = element?.kind === 'ptr' ? resolveType(btf, element.type) : undefined
  if (!ofMaps) {
    if (pointee?.kind !== 'func_proto')
      throw bad(scope, `field 'values' is not of the form __array(values, int (void *))`)
    return
  }
  if (element?.kind !== 'ptr' || pointee?.kind !== 'struct') {
    throw bad(scope, `field 'values' is not of the form __array(values, struct …)`)
  }
  draft.inner = readMapDefinition(btf, `${draft.name}.inner`, element.type, true)
}

/** The element type of an array of unknown length. */
function elementOf(btf: Btf, type: BtfType): BtfType | undefined {
  return type.kind === 'array' && type.length === 0 ? resolveType(btf, type.type) : undefined
}
