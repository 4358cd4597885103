/** A case as a program: instructions, maps and types, for whichever verifier. */
import { BtfBuilder } from '../../lib/btf/builder.js'
import { parseBtf } from '../../lib/btf/parse.js'
import type { Btf, TypeId } from '../../lib/btf/types.js'
import {
  exceptionCallbackNames,
  functionInfo,
  valueFields,
} from '../../lib/fallback/verifier/function-types.js'
import { KernelTypes } from '../../lib/fallback/verifier/kernel-types.js'
import type { MapReference, VerifierMap, VerifierProgram } from '../../lib/fallback/verifier/program.js'
import { assembleWithLabels } from '../../lib/isa/assemble.js'
import { instruction } from '../../lib/isa/build.js'
import { encode, type Instruction } from '../../lib/isa/instruction.js'
import { OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../lib/isa/opcodes.js'
import { BPF_ATTACH_TYPE } from '../../lib/linux/attach-types.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE, mapTypeDefaults, MAP_TYPES } from '../../lib/linux/map-types.js'
import { BPF_PROGRAM_FLAGS, programTypeByName } from '../../lib/linux/program-types.js'
import { CaseTypes, namedSize, type DeclaredFunction } from './case-types.js'
import type { CaseBody, CaseMap } from './case-file.js'

/** A map, with the type of its values in the case's BTF. */
export interface ProgramMap {
  readonly name: string
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags: number
  /** Of an arena: its address in user space; 0: none is known. */
  readonly extra: number
  readonly valueType: TypeId | undefined
  /** Of a map whose values have one; 0: it has no keys. */
  readonly keyType: TypeId
  readonly inner: ProgramMap | undefined
  /** Of a map that is frozen: its first value. */
  readonly constants: Uint8Array | undefined
}

/** An LDDW that refers to a map, by the map's place in {@link CaseProgram.maps}. */
export interface ProgramReference {
  readonly slot: number
  readonly map: number
  readonly valueOffset: number | undefined
}

export interface CaseProgram {
  readonly instructions: readonly Instruction[]
  readonly type: number
  readonly attachType: number
  readonly flags: number
  readonly license: string
  readonly target: string | undefined
  readonly btf: Btf | undefined
  readonly maps: readonly ProgramMap[]
  readonly references: readonly ProgramReference[]
  /** By the slot that they start at; empty: the program has no func_info. */
  readonly functions: readonly { readonly start: number; readonly type: TypeId }[]
  /** Functions of the kernel that it calls, by slot. */
  readonly kfuncs: ReadonlyMap<number, string>
  /** Functions of the kernel that the case declares. */
  readonly kernel: Btf | undefined
  /** Of an extension. */
  readonly replaces: { readonly program: CaseProgram; readonly name: string } | undefined
}

/** ` .raw 0x07 1 0 0 5`: opcode, registers, offset, immediate, as bytes that no assembler writes. */
const RAW = /^\s*\.raw((?:\s+-?\w+)+)\s*$/
/** `call kfunc[bpf_throw]` */
const KFUNC = /^\s*call\s+kfunc\[(\w+)\]\s*$/
/** `r1 = type[node]`: the number of a struct. */
const TYPE_NUMBER = /\btype\[(\w+)\]/g
const MAP_NAME = /\bmap\[([a-z]\w*)\]/g
/** Of immediates that stand for raw instructions. */
const RAW_MARK = 0x7a000000
/** The number of a function that a kernel is still to be asked for. */
const UNRESOLVED = 1

export function programOf(one: CaseBody): CaseProgram {
  const types = new CaseTypes()
  one.structures.forEach((structure) => types.structure(structure))
  const { code, maps: names } = resolveMaps(one)
  const withTypes = code.replaceAll(TYPE_NUMBER, (_text, name: string) => `${types.type(`struct ${name}`)}`)
  const { instructions, labels, kfuncs } = assembled(withTypes)
  const functions = functionsOf(one, instructions, labels, types)
  const valueTypes = new Map(
    names.flatMap(({ name, options }) => {
      const type = /^struct:(\w+)$/.exec(options.get('value') ?? '')?.[1]
      return type === undefined ? [] : [[name, types.type(`struct ${type}`)] as const]
    }),
  )
  const hasTypes = functions.length > 0 || valueTypes.size > 0 || withTypes !== code
  const keyTypes = valueTypes.size === 0 ? NO_KEYS : { 4: types.type('u32'), 8: types.type('u64') }
  const btf = hasTypes ? types.finish() : undefined
  const maps = names.map((map) => mapOf(map, { all: one.maps, valueTypes, keyTypes, btf }))
  return {
    instructions: instructions.map((insn) => withPseudo(insn)),
    type: typeOf(one.settings.get('type') ?? 'socket_filter'),
    attachType: attachTypeOf(one.settings.get('attach')),
    flags: flagsOf(one.settings.get('flags') ?? '', BPF_PROGRAM_FLAGS),
    license: one.settings.get('license') ?? 'GPL',
    target: one.settings.get('target'),
    btf,
    maps,
    references: referencesOf(instructions),
    functions,
    kfuncs,
    kernel: kernelOf(one),
    replaces: one.replaces && { ...one.replaces, program: programOf(one.replaces.program) },
  }
}

/** The kernel's types, as far as the case declares any. */
function kernelOf({ kernel, structures }: CaseBody): Btf | undefined {
  if (kernel.length === 0) return undefined
  const types = new CaseTypes()
  structures.forEach((structure) => types.structure(structure))
  kernel.forEach((declaration) => types.function(`global ${declaration}`))
  return types.finish()
}

/** What the fallback's verifier takes. @param kernel types of the kernel that it is for; default: those that the case declares */
export function verifierProgram(
  program: CaseProgram,
  kernel = program.kernel === undefined ? NO_STRUCTS : new KernelTypes(() => program.kernel, false),
): VerifierProgram {
  const { instructions, type, attachType, flags, license, target, btf, functions, kfuncs } = program
  const main = functions.find(({ start }) => start === 0)?.type
  const maps = program.maps.map((map) => verifierMap(map, btf))
  const mapReferences = new Map<number, MapReference>()
  for (const { slot, map, valueOffset } of program.references) {
    const found = maps[map]
    if (found !== undefined) mapReferences.set(slot, { map: found, valueOffset })
  }
  return {
    code: encode(instructions),
    type,
    attachType,
    flags,
    license,
    mapReferences,
    functions:
      btf === undefined ? [] : functions.flatMap(({ start, type: id }) => functionInfo(btf, id, start) ?? []),
    kfuncs,
    attachTarget: target,
    replaces: program.replaces && {
      ...program.replaces,
      program: verifierProgram(program.replaces.program, kernel),
    },
    // What isn't in the kernel's types is the program's own.
    kernel,
    ...(functions.length > 0 && { types: btf }),
    exceptionCallbacks: btf === undefined || main === undefined ? [] : exceptionCallbackNames(btf, main),
  }
}

function verifierMap(map: ProgramMap, btf: Btf | undefined): VerifierMap {
  const { name, type, keySize, valueSize, maxEntries, flags, extra, valueType, inner, constants } = map
  return {
    name,
    type,
    keySize,
    valueSize,
    maxEntries,
    flags,
    specialFields: btf === undefined || valueType === undefined ? [] : valueFields(btf, valueType),
    inner: inner === undefined ? undefined : verifierMap(inner, btf),
    constants,
    ...(type === BPF_MAP_TYPE.ARENA && { isPlaced: extra !== 0 }),
    hasTypes: valueType !== undefined,
  }
}

const NO_STRUCTS = new KernelTypes(() => parseBtf(new BtfBuilder().finish()), false)

/** `map[name]` becomes the map's number among those that the code names. */
function resolveMaps({ code, maps }: CaseBody): { readonly code: string; readonly maps: readonly CaseMap[] } {
  const used: CaseMap[] = []
  const resolved = code.replaceAll(MAP_NAME, (_text, name: string) => {
    const map = maps.findLast((each) => each.name === name)
    if (map === undefined) throw new Error(`no map '${name}'`)
    if (!used.includes(map)) used.push(map)
    return `map[idx:${used.indexOf(map)}]`
  })
  return { code: resolved, maps: used }
}

function assembled(text: string): {
  readonly instructions: readonly Instruction[]
  readonly labels: ReadonlyMap<string, number>
  readonly kfuncs: ReadonlyMap<number, string>
} {
  const raw: Instruction[] = []
  const names: (string | undefined)[] = []
  const lines = text.split('\n').map((line) => {
    const kfunc = KFUNC.exec(line)?.[1]
    if (kfunc !== undefined) {
      names[raw.length] = kfunc
      raw.push(instruction(OP.CALL, 0, PSEUDO_CALL.KFUNC, 0, UNRESOLVED))
      return ` call ${RAW_MARK + raw.length - 1}`
    }
    const numbers = RAW.exec(line)?.[1]?.trim().split(/\s+/).map(Number)
    if (numbers === undefined) return line
    const [opcode = 0, dst = 0, src = 0, offset = 0, imm = 0] = numbers
    raw.push(instruction(opcode, dst, src, offset, imm))
    return ` call ${RAW_MARK + raw.length - 1}`
  })
  const { instructions, labels } = assembleWithLabels(lines.join('\n'))
  const kfuncs = new Map<number, string>()
  instructions.forEach(({ opcode, imm }, slot) => {
    const name = opcode === OP.CALL && imm >= RAW_MARK ? names[imm - RAW_MARK] : undefined
    if (name !== undefined) kfuncs.set(slot, name)
  })
  return {
    kfuncs,
    instructions: instructions.map((insn) =>
      insn.opcode === OP.CALL && insn.imm >= RAW_MARK ? (raw[insn.imm - RAW_MARK] ?? insn) : insn,
    ),
    labels,
  }
}

function functionsOf(
  { functions }: CaseBody,
  instructions: readonly Instruction[],
  labels: ReadonlyMap<string, number>,
  types: CaseTypes,
): CaseProgram['functions'] {
  if (functions.size === 0) return []
  const declared = new Map<number, string>()
  for (const [label, declaration] of functions) {
    const start = label === 'main' ? 0 : labels.get(label)
    if (start === undefined) throw new Error(`no label '${label}'`)
    declared.set(start, declaration)
  }
  const starts = new Set([0, ...declared.keys()])
  instructions.forEach(({ opcode, src, imm }, slot) => {
    const isFunction =
      (opcode === OP.CALL && src === PSEUDO_CALL.LOCAL) || (opcode === OP.LDDW && src === PSEUDO_LDDW.FUNC)
    if (isFunction) starts.add(slot + 1 + imm)
  })
  const sorted = [...starts].sort((a, b) => a - b)
  return sorted.map((start) => {
    const text =
      declared.get(start) ?? (start === 0 ? 'static int main(void)' : `static int sub${start}(void)`)
    const { type }: DeclaredFunction = types.function(text)
    return { start, type }
  })
}

function withPseudo(insn: Instruction): Instruction {
  if (insn.opcode !== OP.LDDW) return insn
  if (insn.src === PSEUDO_LDDW.MAP_IDX) return { ...insn, src: PSEUDO_LDDW.MAP_FD, imm: 0 }
  if (insn.src === PSEUDO_LDDW.MAP_IDX_VALUE) return { ...insn, src: PSEUDO_LDDW.MAP_VALUE, imm: 0 }
  return insn
}

function referencesOf(instructions: readonly Instruction[]): readonly ProgramReference[] {
  return instructions.flatMap(({ opcode, src, imm }, slot) => {
    if (opcode !== OP.LDDW || (src !== PSEUDO_LDDW.MAP_IDX && src !== PSEUDO_LDDW.MAP_IDX_VALUE)) return []
    const valueOffset = src === PSEUDO_LDDW.MAP_IDX_VALUE ? instructions[slot + 1]?.imm : undefined
    return [{ slot, map: imm, valueOffset }]
  })
}

const KEY_SIZES: Readonly<Record<string, number>> = { none: 0, u32: 4, s32: 4 }
const SIZES: Readonly<Record<string, number>> = { none: 0, u32: 4, u64: 8 }

interface MapTypes {
  readonly all: readonly CaseMap[]
  readonly valueTypes: ReadonlyMap<string, TypeId>
  /** Types of keys by their size. */
  readonly keyTypes: Readonly<Record<number, TypeId>>
  readonly btf: Btf | undefined
}

const NO_KEYS: MapTypes['keyTypes'] = {}

function mapOf({ name, type: typeName, options }: CaseMap, types: MapTypes): ProgramMap {
  const { all, valueTypes, keyTypes, btf } = types
  const type = MAP_TYPES.find((each) => each.name === typeName)?.type
  if (type === undefined) throw new Error(`no map type '${typeName}'`)
  const defaults = mapTypeDefaults(type)
  const valueType = valueTypes.get(name)
  const number = (key: string, otherwise: number): number => Number(options.get(key) ?? otherwise)
  const innerName = options.get('inner')
  const inner = all.find((each) => each.name === innerName)
  const hex = options.get('data')
  const keySize = number('key', KEY_SIZES[defaults.key ?? ''] ?? 8)
  return {
    name,
    type,
    keySize,
    valueSize:
      valueType !== undefined && btf !== undefined
        ? namedSize(btf, valueType)
        : number('value', SIZES[defaults.value ?? ''] ?? 16),
    maxEntries: number('max', defaultEntries(type)),
    flags: flagsOf(options.get('flags') ?? '', BPF_MAP_FLAGS) | (defaults.flags ?? 0),
    extra: number('extra', 0),
    valueType,
    keyType: keyTypes[keySize] ?? 0,
    inner: inner === undefined ? undefined : mapOf(inner, types),
    constants:
      hex === undefined
        ? undefined
        : Uint8Array.from({ length: hex.length / 2 }, (_unused, i) =>
            Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
          ),
  }
}

function defaultEntries(type: number): number {
  if (type === BPF_MAP_TYPE.RINGBUF || type === BPF_MAP_TYPE.USER_RINGBUF) return 4096
  return mapTypeDefaults(type).entries === 'none' ? 0 : 1
}

function typeOf(name: string): number {
  const type = programTypeByName(name)
  if (type === undefined) throw new Error(`no program type '${name}'`)
  return type
}

function attachTypeOf(name: string | undefined): number {
  if (name === undefined) return 0
  const type = BPF_ATTACH_TYPE[name as keyof typeof BPF_ATTACH_TYPE]
  if (type === undefined) throw new Error(`no attach type '${name}'`)
  return type
}

/** `sleepable`, `RDONLY_PROG|MMAPABLE` */
function flagsOf(text: string, table: Readonly<Record<string, number>>): number {
  return text
    .split(/[\s|]+/)
    .filter((name) => name !== '')
    .reduce((flags, name) => {
      const bit = table[`BPF_F_${name.toUpperCase()}`]
      if (bit === undefined) throw new Error(`no flag '${name}'`)
      return flags | bit
    }, 0)
}
