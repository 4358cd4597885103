/** An object file as plain, printable data. */
import { typeName } from '../btf/query.js'
import type { Btf } from '../btf/types.js'
import { createCodec } from '../codec/index.js'
import { mapFlagNames, mapTypeName } from '../linux/map-types.js'
import { programTypeName } from '../linux/program-types.js'
import type { MapDefinition, ObjectFile, ProgramDefinition, Variable } from '../object-file/types.js'

export interface ObjectDescription {
  readonly license: string
  readonly btf: boolean
  readonly programs: readonly {
    readonly name: string
    readonly section: string
    /** Under bpftool's name; null where no program type answers to the section's name. */
    readonly type: string | null
    /** 8-byte slots. */
    readonly insns: number
    readonly autoload: boolean
    readonly sleepable: boolean
    readonly coreRelocations: number
  }[]
  readonly maps: readonly {
    readonly name: string
    readonly type: string
    readonly keySize: number
    readonly valueSize: number
    readonly keyType?: string
    readonly valueType?: string
    readonly maxEntries: number
    readonly flags: readonly string[]
  }[]
  readonly globals: readonly {
    readonly section: string
    readonly name: string
    readonly type: string
    readonly offset: number
    readonly size: number
    /** As the object starts. 64-bit integers are decimal strings, bytes are hex. */
    readonly value: unknown
  }[]
  readonly externs: readonly { readonly name: string; readonly kind: string; readonly weak: boolean }[]
}

export function describeObject(file: ObjectFile): ObjectDescription {
  const { license, btf, programs, maps, externs } = file
  return {
    license,
    btf: btf !== undefined,
    programs: programs.map(describeProgram),
    maps: maps.map((map) => describeMap(btf, map)),
    globals: maps.flatMap((map) =>
      (map.data?.variables ?? []).map((variable) => describeVariable(btf, map, variable)),
    ),
    externs: externs.map(({ name, kind, weak }) => ({ name, kind, weak })),
  }
}

function describeProgram(program: ProgramDefinition): ObjectDescription['programs'][number] {
  const { name, section, type, autoload, sleepable, code } = program
  return {
    name,
    section,
    type: type === undefined ? null : programTypeName(type),
    insns: code.code.length / 8,
    autoload,
    sleepable,
    coreRelocations: code.coreRelocations.length,
  }
}

function describeMap(btf: Btf | undefined, map: MapDefinition): ObjectDescription['maps'][number] {
  return {
    name: map.name,
    type: mapTypeName(map.type),
    keySize: map.keySize,
    valueSize: map.valueSize,
    ...(btf && map.keyType !== undefined && { keyType: typeName(btf, map.keyType) }),
    ...(btf && map.valueType !== undefined && { valueType: typeName(btf, map.valueType) }),
    maxEntries: map.maxEntries,
    flags: mapFlagNames(map.flags),
  }
}

function describeVariable(
  btf: Btf | undefined,
  { name: section, data }: MapDefinition,
  variable: Variable,
): ObjectDescription['globals'][number] {
  const { name, type, offset, size } = variable
  return {
    section,
    name,
    type: btf === undefined ? '' : typeName(btf, type),
    offset,
    size,
    value:
      btf === undefined || data === undefined
        ? null
        : jsonable(createCodec(btf, type).decode(data.initial, offset)),
  }
}

function jsonable(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array)
    return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('')
  if (Array.isArray(value)) return value.map(jsonable)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, jsonable(member)]))
  }
  return value
}
