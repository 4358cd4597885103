/** Hands a program that is about to be loaded to the verifier. */
import { decode, SLOT } from '../../isa/instruction.js'
import { OP, PSEUDO_LDDW } from '../../isa/opcodes.js'
import { BPF_MAP_FLAGS } from '../../linux/map-types.js'
import { BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import type { ObjectFile, ProgramDefinition } from '../../object-file/types.js'
import type { LoadedMap } from '../maps/loaded-map.js'
import type { MapAttributes } from '../maps/types.js'
import { KERNEL_HI, type Memory } from '../memory.js'
import { functionInfo, specialFields } from '../verifier/function-types.js'
import type { MapReference as PointerReference } from '../verifier/pointer-program.js'
import type { FunctionInfo, MapReference, VerifierMap, VerifierProgram } from '../verifier/program.js'
import { rejection } from '../verifier/reject.js'
import { UNMODELLED, verifyProgram, type Verdict } from '../verifier/verify.js'
import type { EngineEnvironment, Proof } from '../vm/types.js'
import type { LinkedCode } from './link-code.js'
import { proofOf } from './proof.js'

export interface LoadedCode {
  readonly context: {
    readonly file: ObjectFile
    readonly environment: Pick<EngineEnvironment, 'memory' | 'fuel'>
  }
  readonly program: ProgramDefinition
  readonly linked: LinkedCode
  readonly maps: ReadonlySet<LoadedMap>
  /** The map at an address, or the one in whose values it lies. */
  readonly referenceTo: (low: number) => PointerReference | undefined
}

/**
 * Refuses what the verifier refuses. What it doesn't model (programs that follow kernel pointers) is left to the checks at run time.
 *
 * @returns what was proven; undefined: nothing
 * @throws BpfError `VERIFIER_REJECTED`
 */
export function verifyLoaded(loaded: LoadedCode): Proof | undefined {
  const { context, program, linked } = loaded
  const verified = verifierProgram(loaded)
  const verdict = verifyProgram(verified)
  const { accepted, reason = '', details, errno, insn } = verdict
  if (accepted) return proofOf(verified.instructions, verdict, context.environment.fuel)
  if (reason.startsWith(UNMODELLED)) return undefined
  const { name, type = 0 } = program
  const { license } = context.file
  const subject = {
    name,
    instructions: verified.instructions,
    programType: type,
    license,
    lines: linked.lines,
  }
  throw rejection(subject, errno, reason, {
    ...(insn !== undefined && { insn, simulated: true }),
    ...(details.length > 0 && { detail: details.join('\n') }),
  })
}

/** What the verifier says of it, with a log. @param logLevel bits of LOG_LEVEL */
export function judgeLoaded(loaded: LoadedCode, logLevel: number): Verdict {
  return verifyProgram(verifierProgram(loaded), { log: { level: logLevel, lines: loaded.linked.lines } })
}

function verifierProgram({ context, program, linked, maps, referenceTo }: LoadedCode): VerifierProgram {
  const { file, environment } = context
  const { instructions, references } = withReferences(linked.code, referenceTo)
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
    instructions,
    type: program.type ?? 0,
    attachType: program.expectedAttachType,
    flags: program.sleepable ? BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE : 0,
    license: file.license,
    mapReferences,
    functions: functionsOf(file, linked),
    kfuncs: new Map(),
    exceptionCallback: exceptionCallbackOf(file, linked),
    attachTarget: program.target,
  }
}

/** The loader has put addresses of maps into the code; the verifier wants to be told that they are maps. */
function withReferences(
  code: Uint8Array,
  referenceTo: (low: number) => PointerReference | undefined,
): {
  readonly instructions: ReturnType<typeof decode>
  readonly references: ReadonlyMap<number, PointerReference>
} {
  const instructions = decode(code)
  const references = new Map<number, PointerReference>()
  for (let slot = 0; slot + 1 < instructions.length; slot++) {
    const first = instructions[slot]
    const second = instructions[slot + 1]
    if (first?.opcode !== OP.LDDW || second === undefined) continue
    const reference =
      first.src === PSEUDO_LDDW.IMM && second.imm === KERNEL_HI ? referenceTo(first.imm >>> 0) : undefined
    if (reference !== undefined) {
      const { offset } = reference
      references.set(slot, reference)
      instructions[slot] = {
        ...first,
        src: offset === undefined ? PSEUDO_LDDW.MAP_FD : PSEUDO_LDDW.MAP_VALUE,
      }
      instructions[slot + 1] = { ...second, imm: 0 }
    }
    slot++
  }
  return { instructions, references }
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
  const fields = file.btf === undefined || valueType === undefined ? [] : specialFields(file.btf, valueType)
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

const EXCEPTION_CALLBACK = 'exception_callback:'

/** Slot of the function that a declaration tag of the program names. */
function exceptionCallbackOf({ btf }: ObjectFile, { functions, funcInfo }: LinkedCode): number | undefined {
  const main = funcInfo.find(({ offset }) => offset === 0)?.type
  if (btf === undefined || main === undefined) return undefined
  for (const tag of btf.types) {
    if (tag.kind !== 'decl_tag' || tag.type !== main || !tag.name.startsWith(EXCEPTION_CALLBACK)) continue
    const name = tag.name.slice(EXCEPTION_CALLBACK.length)
    return functions.find((one) => one.name === name)?.start
  }
  return undefined
}

function functionsOf({ btf }: ObjectFile, { funcInfo }: LinkedCode): readonly FunctionInfo[] {
  if (btf === undefined) return []
  return funcInfo.flatMap(({ offset, type }) => functionInfo(btf, type, offset / SLOT) ?? [])
}
