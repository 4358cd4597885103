/** Hands a program that is about to be loaded to the verifier. */
import { resolveType } from '../../btf/query.js'
import { unsupported } from '../../errors.js'
import { decode, SLOT } from '../../isa/instruction.js'
import { OP, PSEUDO_LDDW } from '../../isa/opcodes.js'
import type { Privileges } from '../../linux/capabilities.js'
import { BPF_MAP_FLAGS } from '../../linux/map-types.js'
import { BPF_PROG_TYPE, BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import type { ObjectFile, ProgramDefinition } from '../../object-file/types.js'
import type { LoadedMap } from '../maps/loaded-map.js'
import type { MapAttributes } from '../maps/types.js'
import { KERNEL_HI, type Memory } from '../memory.js'
import { hasConvertedContext } from '../packets/context-layout.js'
import { exceptionCallbackNames, functionInfo, valueFields } from '../verifier/function-types.js'
import type { KernelTypes } from '../verifier/kernel-types.js'
import type {
  DebugInfo,
  FunctionInfo,
  KernelSymbol,
  MapReference,
  VerifierMap,
  VerifierProgram,
} from '../verifier/program.js'
import { rejection } from '../verifier/reject.js'
import { UNMODELLED, verifyProgram, type Verdict } from '../verifier/verify.js'
import type { EngineEnvironment, Proof } from '../vm/types.js'
import type { LinkedCode } from './link-code.js'
import { essentialName } from './core/names.js'
import { proofOf } from './proof.js'

/** What a 64-bit immediate stands for: a map, or a place in the value of one. */
export interface LoadedReference {
  readonly map: MapAttributes
  /** In its value; undefined: the map itself. */
  readonly offset: number | undefined
}

/** What the verifier tells of a program. */
export interface Verified {
  /** Bytes of the context that the program accesses. */
  readonly contextSize: number
  /** Slots of the instructions that access the context, where that lies otherwise than programs see it. */
  readonly contextAccesses: readonly number[]
  readonly proof: Proof | undefined
}

export const NOTHING_KNOWN: Verified = { contextSize: 0, contextAccesses: [], proof: undefined }

export interface LoadedCode {
  readonly context: {
    readonly file: ObjectFile
    readonly environment: Pick<EngineEnvironment, 'memory' | 'fuel'>
    readonly kernel: KernelTypes
  }
  readonly program: ProgramDefinition
  readonly linked: LinkedCode
  readonly maps: ReadonlySet<LoadedMap>
  /** Addresses of the kernel that it takes, by slot; undefined: none. */
  readonly symbols?: ReadonlyMap<number, KernelSymbol>
  /** The map at an address, or the one in whose values it lies. */
  readonly referenceTo: (low: number) => LoadedReference | undefined
}

/** @throws BpfError `VERIFIER_REJECTED`; `UNSUPPORTED` for what the verifier doesn't model */
export function verifyLoaded(loaded: LoadedCode): Verified {
  const { context, program, linked } = loaded
  const verified = verifierProgram(loaded)
  const verdict = verifyProgram(verified)
  const { accepted, reason = '', details, errno, insn, malformed } = verdict
  const { name, type = 0 } = program
  if (accepted)
    return {
      contextSize: verdict.contextSize,
      contextAccesses: hasConvertedContext(type)
        ? Array.from({ length: verified.code.length / SLOT }, (_unused, slot) => slot).filter((slot) =>
            verdict.accessesContext(slot),
          )
        : [],
      proof: proofOf(verified.code, verdict, context.environment.fuel),
    }
  if (reason.startsWith(UNMODELLED))
    throw unsupported(
      `${reason.slice(UNMODELLED.length)} in the fallback kernel`,
      `Program '${name}' uses it`,
    )
  const { license } = context.file
  const subject = {
    name,
    instructions: decode(verified.code),
    programType: type,
    license,
    lines: linked.lines,
  }
  throw rejection(subject, errno, reason, {
    ...(insn !== undefined && { insn, simulated: true }),
    ...(malformed !== undefined && { insn: malformed }),
    ...(details.length > 0 && { detail: details.join('\n') }),
  })
}

/** How a program is judged that isn't going to run. */
export interface JudgeOptions {
  /** Bits of LOG_LEVEL. */
  readonly logLevel: number
  readonly privileges?: Privileges | undefined
  readonly strictAlignment?: boolean | undefined
  /** Of an extension: the program that it extends. */
  readonly extended?: VerifierProgram | undefined
}

/** What the verifier says of it, with a log. */
export function judgeLoaded(
  loaded: LoadedCode,
  { logLevel, privileges = 'all', strictAlignment = false, extended }: JudgeOptions,
): Verdict {
  const program = verifierProgram(loaded)
  const strict = strictAlignment ? BPF_PROGRAM_FLAGS.BPF_F_STRICT_ALIGNMENT : 0
  const log = { level: logLevel, lines: loaded.linked.lines }
  const replaces = extended && { program: extended, name: targetName(loaded.program) }
  return verifyProgram({ ...program, replaces, flags: program.flags | strict }, { log, privileges })
}

export function verifierProgram({
  context,
  program,
  linked,
  maps,
  referenceTo,
  symbols,
}: LoadedCode): VerifierProgram {
  const { file, environment, kernel } = context
  const operation = structOperation(file, program, kernel)
  const { code, references } = withReferences(linked.code, referenceTo)
  const known = new Map<MapAttributes, VerifierMap>()
  const mapOf = (attributes: MapAttributes): VerifierMap => {
    let map = known.get(attributes)
    if (map === undefined)
      known.set(attributes, (map = verifierMap(file, attributes, maps, environment.memory)))
    return map
  }
  const mapReferences = new Map<number, MapReference>()
  for (const [slot, { map, offset }] of references)
    mapReferences.set(slot, { map: mapOf(map), valueOffset: offset })
  return {
    code,
    type: program.type ?? 0,
    attachType: operation?.member ?? program.expectedAttachType,
    flags: program.sleepable ? BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE : 0,
    license: file.license,
    mapReferences,
    functions: functionsOf(file, linked),
    debugInfo: debugInfoOf(file, linked),
    kfuncs: linked.kfuncs,
    ...(symbols !== undefined && { symbols }),
    exceptionCallbacks: exceptionCallbacksOf(file, linked),
    types: file.btf,
    attachTarget: operation?.struct ?? targetName(program),
    kernel,
  }
}

/** The loader has put addresses of maps into the code; the verifier wants to be told that they are maps. */
function withReferences(
  linked: Uint8Array,
  referenceTo: (low: number) => LoadedReference | undefined,
): {
  readonly code: Uint8Array
  readonly references: ReadonlyMap<number, LoadedReference>
} {
  const code = linked.slice()
  const view = new DataView(code.buffer)
  const references = new Map<number, LoadedReference>()
  for (let at = 0; at + 2 * SLOT <= code.length; at += SLOT) {
    if (code[at] !== OP.LDDW) continue
    const registers = code[at + 1] as number
    const isAddress = registers >> 4 === PSEUDO_LDDW.IMM && view.getInt32(at + SLOT + 4, true) === KERNEL_HI
    const reference = isAddress ? referenceTo(view.getUint32(at + 4, true)) : undefined
    if (reference !== undefined) {
      const kind = reference.offset === undefined ? PSEUDO_LDDW.MAP_FD : PSEUDO_LDDW.MAP_VALUE
      references.set(at / SLOT, reference)
      code[at + 1] = (registers & 0x0f) | (kind << 4)
      view.setInt32(at + SLOT + 4, 0, true)
    }
    at += SLOT
  }
  return { code, references }
}

function verifierMap(
  file: ObjectFile,
  attributes: MapAttributes,
  maps: ReadonlySet<LoadedMap>,
  memory: Memory,
): VerifierMap {
  const { name, type, keySize, valueSize, maxEntries, flags, innerMap } = attributes
  const definition = file.maps.find((one) => one.name === name)
  const { valueType } = definition ?? {}
  const fields = file.btf === undefined || valueType === undefined ? [] : valueFields(file.btf, valueType)
  const loaded = [...maps].find(({ storage }) => storage.attributes === attributes)
  const direct = loaded?.storage.direct
  const constant =
    loaded?.frozen === true && direct !== undefined && (flags & BPF_MAP_FLAGS.BPF_F_RDONLY_PROG) !== 0
  return {
    name,
    type,
    keySize,
    valueSize,
    maxEntries,
    flags,
    specialFields: fields,
    inner: innerMap === undefined ? undefined : verifierMap(file, innerMap.storage.attributes, maps, memory),
    constants: constant ? memory.u8.slice(direct.address, direct.address + direct.size) : undefined,
    hasTypes: valueType !== undefined,
  }
}

/** Functions of modules are `MODULE:FUNCTION`. */
function targetName({ target }: ProgramDefinition): string {
  return target.slice(target.indexOf(':') + 1)
}

/** Which member of which struct a struct_ops program implements: the map says, in which it stands. */
function structOperation(
  { btf, maps }: ObjectFile,
  { name, type }: ProgramDefinition,
  kernel: KernelTypes,
): { readonly struct: string; readonly member: number } | undefined {
  if (type !== BPF_PROG_TYPE.STRUCT_OPS || btf === undefined) return undefined
  for (const { structOps } of maps) {
    const place = structOps?.programs.find(({ program }) => program === name)
    if (structOps === undefined || place === undefined) continue
    const own = resolveType(btf, structOps.type)
    if (own.kind !== 'struct') continue
    const struct = essentialName(own.name)
    const member = own.members.find(({ bitOffset }) => bitOffset === place.offset * 8)?.name
    const known = kernel.structs.named(struct).composite?.members ?? []
    return { struct, member: known.findIndex((one) => one.name === member) }
  }
  return { struct: '', member: 0 }
}

/** Functions that declaration tags of the program name. */
function exceptionCallbacksOf({ btf }: ObjectFile, { funcInfo }: LinkedCode): readonly string[] {
  const main = funcInfo.find(({ offset }) => offset === 0)?.type
  return btf === undefined || main === undefined ? [] : exceptionCallbackNames(btf, main)
}

/** Hidden functions are static ones, as libbpf has it. */
function debugInfoOf({ btf }: ObjectFile, { funcInfo, lines }: LinkedCode): DebugInfo | undefined {
  if (btf === undefined) return undefined
  return {
    functions: funcInfo.map(({ offset, type }) => ({ insn: offset / SLOT, type })),
    lines: lines.map(({ offset }) => ({ insn: offset / SLOT })),
    btf,
  }
}

function functionsOf({ btf, text }: ObjectFile, { funcInfo }: LinkedCode): readonly FunctionInfo[] {
  if (btf === undefined) return []
  const hidden = new Set(text?.functions.flatMap((one) => (one.global ? [] : [one.name])))
  return funcInfo.flatMap(({ offset, type }) => {
    const info = functionInfo(btf, type, offset / SLOT)
    if (info === undefined) return []
    return info.global && hidden.has(info.name) ? { ...info, global: false } : info
  })
}
