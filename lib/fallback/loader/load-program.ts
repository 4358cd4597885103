/** From a program's definition to an engine that runs it: link, relocate, check, compile. */
import { BpfError, unsupported } from '../../errors.js'
import { SLOT } from '../../isa/instruction.js'
import { OP, PSEUDO_LDDW } from '../../isa/opcodes.js'
import { BPF_MAP_FLAGS } from '../../linux/map-types.js'
import { BPF_PROG_TYPE } from '../../linux/program-types.js'
import { unknownSection } from '../../linux/sections.js'
import type { ObjectFile, ProgramDefinition } from '../../object-file/types.js'
import type { ObjectSpace } from '../hooks/layout.js'
import type { Variables } from '../hooks/variables.js'
import { kfuncId } from '../kfunc-ids.js'
import type { LoadedMap } from '../maps/loaded-map.js'
import { KERNEL_HI, type Memory } from '../memory.js'
import type { KernelTypes } from '../verifier/kernel-types.js'
import type { VerifierProgram } from '../verifier/program.js'
import type { Verdict } from '../verifier/verify.js'
import { createEngine } from '../vm/engine.js'
import { lineOf } from '../vm/trap.js'
import type { AddressCasts, Engine, EngineEnvironment } from '../vm/types.js'
import { withConvertedContext } from './convert-context.js'
import type { TargetTypes } from './core/match.js'
import { patch, poison, POISON_HELPER, writePoison } from './core/patch.js'
import { resolveRelocation } from './core/resolve.js'
import { KIND_NAMES } from './core/spec.js'
import { linkKfunc, withKfuncsAsHelpers } from './kernel-functions.js'
import { kernelSymbol } from './kernel-symbols.js'
import { linkSymbol, withAddresses, type LinkedSymbols } from './link-symbols.js'
import { addressOfVariable, variableHint } from './given-variables.js'
import { linkCode, type LinkedCode, type PendingRelocation } from './link-code.js'
import { reachableSlots, type ConstantReader } from './reachable.js'
import {
  judgeLoaded,
  type JudgeOptions,
  NOTHING_KNOWN,
  verifierProgram,
  verifyLoaded,
  type LoadedReference,
} from './verify-loaded.js'

export interface LoadContext {
  readonly file: ObjectFile
  readonly maps: ReadonlyMap<string, LoadedMap>
  /** undefined: the object has no type information, hence no CO-RE relocations. */
  readonly target: TargetTypes | undefined
  readonly environment: EngineEnvironment
  /** The same, as the verifier asks for them. */
  readonly kernel: KernelTypes
  /** Variables that the kernel was given. */
  readonly variables: Variables
  /** Where the programs' objects lie. Undefined: they are judged only, and what they refer to of the kernel need not be there. */
  readonly space: ObjectSpace | undefined
}

/** A program that may run, and the maps that it refers to. */
export interface PreparedProgram {
  readonly engine: Engine
  /** What the engine was made with: for another one of the same program. */
  readonly environment: EngineEnvironment
  readonly maps: ReadonlySet<LoadedMap>
  /** Bytes of the context that it accesses: no run and no tracepoint may have less. */
  readonly contextSize: number
  /** Instructions as they run, sub-programs behind the program's own. */
  readonly code: Uint8Array
  readonly license: string
}

/** Program types whose pointers into the kernel are known by BTF: a load through a bad one gives 0. */
const READS_ZERO: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE.TRACING,
  BPF_PROG_TYPE.LSM,
  BPF_PROG_TYPE.STRUCT_OPS,
])

/**
 * @throws BpfError `UNKNOWN_SECTION`, `RELOCATION_FAILED`, `VERIFIER_REJECTED`, or `UNSUPPORTED` naming what is missing
 */
export function loadProgram(context: LoadContext, program: ProgramDefinition): PreparedProgram {
  const { file, environment } = context
  const { linked, maps, type, symbols } = relocated(context, program)
  const { functions, lines } = linked
  const { name } = program
  const { contextSize, contextAccesses, proof } = environment.sandboxed
    ? NOTHING_KNOWN
    : verifyLoaded({
        context,
        program,
        linked,
        maps,
        symbols: symbols.known,
        referenceTo: (low) => referenceTo(low, maps),
      })
  const known: EngineEnvironment = proof === undefined ? environment : { ...environment, proof: () => proof }
  // Pointers in the kernel's variables are known by BTF too.
  const faultingLoadsReadZero = READS_ZERO.has(type) || symbols.known.size > 0
  const code = withAddresses(linked.code, symbols.addresses)
  return {
    code,
    license: file.license,
    engine: createEngine(
      {
        name,
        code: withConvertedContext(
          withKfuncsAsHelpers(code, linked.kfuncs),
          contextAccesses,
          type,
          program.expectedAttachType,
        ),
        functions,
        lines,
        faultingLoadsReadZero,
        casts: castsOf(maps),
        contexts: environment.hiddenContexts?.(type, program.expectedAttachType),
      },
      known,
    ),
    environment: known,
    maps,
    contextSize,
  }
}

/**
 * What the verifier says of a program that isn't going to run.
 *
 * @throws BpfError as `loadProgram()` does for what isn't the verifier's to say
 */
export function judgeProgram(
  context: LoadContext,
  program: ProgramDefinition,
  options: JudgeOptions,
): Verdict {
  const { linked, maps, poisoned, symbols } = relocated(context, program)
  const verdict = judgeLoaded(
    { context, program, linked, maps, symbols: symbols.known, referenceTo: (low) => referenceTo(low, maps) },
    options,
  )
  const reason = verdict.accepted || verdict.insn === undefined ? undefined : poisoned.get(verdict.insn)
  if (reason !== undefined && verdict.insn !== undefined)
    throw relocationFailed(linked, program.name, verdict.insn, reason)
  return verdict
}

/** A program that isn't going to run, as the verifier is given it. @throws BpfError as {@link judgeProgram} does */
export function describeProgram(context: LoadContext, program: ProgramDefinition): VerifierProgram {
  const { linked, maps, symbols } = relocated(context, program)
  const place = (low: number): LoadedReference | undefined => referenceTo(low, maps)
  return verifierProgram({ context, program, linked, maps, symbols: symbols.known, referenceTo: place })
}

interface RelocatedProgram {
  readonly linked: LinkedCode
  readonly maps: ReadonlySet<LoadedMap>
  readonly type: number
  /** Why instructions were poisoned, by slot. */
  readonly poisoned: ReadonlyMap<number, string>
  readonly symbols: LinkedSymbols
}

/** Its instructions as the verifier is to see them. */
function relocated(context: LoadContext, program: ProgramDefinition): RelocatedProgram {
  const { file, environment } = context
  const { name, section, type } = program
  if (type === undefined) throw unknownSection(name, section)
  const linked = linkCode(file, program)
  const poisoned = new Map<number, string>()
  const maps = new Set<LoadedMap>()
  const symbols: LinkedSymbols = { known: new Map(), addresses: new Map(), kfuncs: linked.kfuncs }
  relocateCore(context, linked, name, poisoned)
  for (const relocation of linked.relocations)
    relocate(context, linked, relocation, { program: name, poisoned, maps, symbols })
  if (poisoned.size > 0 && context.space !== undefined)
    settlePoison(linked, name, poisoned, reachableSlots(linked.code, constantsOf(environment.memory, maps)))
  return { linked, maps, type, poisoned, symbols }
}

/** A program has one arena at most. */
function castsOf(maps: ReadonlySet<LoadedMap>): AddressCasts | undefined {
  for (const { storage } of maps) {
    const { arena } = storage
    if (arena !== undefined)
      return { difference: (arena.range.address - arena.userLow) | 0, userHigh: arena.userHigh }
  }
  return undefined
}

/** The map at an address, or the one in whose global data it lies. */
function referenceTo(address: number, maps: ReadonlySet<LoadedMap>): LoadedReference | undefined {
  for (const { address: own, storage } of maps) {
    const { attributes: map, direct } = storage
    if (address === own) return { map, offset: undefined }
    if (direct !== undefined && address >= direct.address && address < direct.address + direct.size)
      return { map, offset: address - direct.address }
  }
  return undefined
}

function relocateCore(
  { file, target }: LoadContext,
  linked: LinkedCode,
  program: string,
  poisoned: Map<number, string>,
): void {
  const { btf } = file
  if (btf === undefined || target === undefined) return
  for (const relocation of linked.coreRelocations) {
    const slot = relocation.offset / SLOT
    try {
      const resolution = resolveRelocation(btf, relocation, target)
      const hint = patch(linked.code, relocation.offset, resolution)
      if (hint === undefined) continue
      const what = KIND_NAMES[relocation.kind] ?? ''
      poisoned.set(slot, `the ${what} of ${resolution.subject} can't be had. ${hint}`)
    } catch (error) {
      if (!(error instanceof BpfError) || error.code !== 'RELOCATION_FAILED') throw error
      throw new BpfError(
        'RELOCATION_FAILED',
        `program '${program}', instruction ${slot}${lineText(linked, slot)}: ${error.message}`,
        {
          cause: error,
        },
      )
    }
  }
}

/** What relocating a program finds out. */
interface Findings {
  readonly program: string
  readonly poisoned: Map<number, string>
  readonly maps: Set<LoadedMap>
  readonly symbols: LinkedSymbols
}

function relocate(
  { file, maps: byName, kernel, variables, space }: LoadContext,
  { code, kfuncs }: LinkedCode,
  { offset, target }: PendingRelocation,
  { program, poisoned, maps: used, symbols }: Findings,
): void {
  const view = new DataView(code.buffer)
  const point = (low: number, high: number): void => {
    if (view.getUint8(offset) !== OP.LDDW || offset + 2 * SLOT > code.length) {
      throw new BpfError(
        'BAD_OBJECT',
        `program '${program}', instruction ${offset / SLOT}: a relocation of data is to no LDDW`,
      )
    }
    view.setUint8(offset + 1, (view.getUint8(offset + 1) & 0x0f) | (PSEUDO_LDDW.IMM << 4))
    view.setInt32(offset + 4, low, true)
    view.setInt32(offset + SLOT + 4, high, true)
  }
  const mapNamed = (name: string): LoadedMap => {
    const map = byName.get(name)
    if (map === undefined)
      throw new BpfError('BAD_OBJECT', `program '${program}' refers to map '${name}', which the object lacks`)
    used.add(map)
    return map
  }
  switch (target.kind) {
    case 'map':
      if (!byName.has(target.map) && file.maps.some(({ name }) => name === target.map)) {
        // As in libbpf: allowed where it is never reached.
        poison(view, offset)
        poisoned.set(offset / SLOT, `map '${target.map}' is used by a program but was not created`)
        return
      }
      return point(mapNamed(target.map).address, KERNEL_HI)
    case 'data': {
      const { direct } = mapNamed(target.map).storage
      if (direct === undefined) throw unsupported(`direct access to the values of map '${target.map}'`)
      return point(direct.address + target.offset, KERNEL_HI)
    }
    case 'extern':
      break
  }
  const extern = file.externs.find(({ name }) => name === target.name)
  if (extern === undefined)
    throw new BpfError(
      'BAD_OBJECT',
      `program '${program}' refers to '${target.name}', which the object doesn't declare`,
    )
  if (extern.kind === 'kconfig') {
    const definition = file.maps.find(({ data }) => data?.kind === 'kconfig')
    const variable = definition?.data?.variables.find(({ name }) => name === target.name)
    const direct = definition === undefined ? undefined : mapNamed(definition.name).storage.direct
    if (variable === undefined || direct === undefined)
      throw unsupported(`kernel option ${target.name} in the fallback kernel`)
    return point(direct.address + variable.offset, KERNEL_HI)
  }
  const given = extern.kind === 'ksym' ? variables.get(target.name) : undefined
  const isJudged = space === undefined
  const known = isJudged || given !== undefined ? kernelSymbol(kernel, file.btf, extern, given) : undefined
  const address = isJudged || given === undefined ? undefined : addressOfVariable(given, known, space)
  if (known !== undefined && (isJudged || address !== undefined)) {
    if (address !== undefined) symbols.addresses.set(offset / SLOT, address)
    return linkSymbol(view, offset, target.name, known, symbols)
  }
  const kfunc = extern.kind === 'kfunc' ? kfuncId(target.name) : undefined
  if (kfunc !== undefined) {
    // bpf_ksym_exists() asks for an address: any but 0 will do.
    if (view.getUint8(offset) === OP.LDDW) return point(kfunc, 0)
    kfuncs.set(offset / SLOT, target.name)
    return linkKfunc(view, offset, kfunc)
  }
  const what = extern.kind === 'kfunc' ? 'kernel function' : 'kernel symbol'
  if (!extern.weak) {
    throw unsupported(
      `${what} ${target.name} in the fallback kernel (program '${program}')`,
      `${extern.kind === 'kfunc' ? '' : variableHint(target.name, given)}Declare it __weak and ask bpf_ksym_exists() before its use`,
    )
  }
  if (view.getUint8(offset) === OP.LDDW) return point(0, 0)
  // A weak kfunc's call is allowed where it is never reached.
  writePoison(view, offset)
  poisoned.set(
    offset / SLOT,
    `the fallback kernel has no ${what} ${target.name}. Ask bpf_ksym_exists() before the call`,
  )
}

/** What is never reached becomes harmless; what can be reached is an error, with a better word for it than the verifier has. */
function settlePoison(
  linked: LinkedCode,
  program: string,
  poisoned: ReadonlyMap<number, string>,
  reached: Uint8Array,
): void {
  const { code } = linked
  const view = new DataView(code.buffer)
  for (const [slot, reason] of poisoned) {
    if (reached[slot] === 1) throw relocationFailed(linked, program, slot, reason)
    for (
      let at = slot * SLOT;
      at < code.length && view.getUint8(at) === OP.CALL && view.getInt32(at + 4, true) === POISON_HELPER;
      at += SLOT
    ) {
      view.setUint8(at, OP.MOV64_IMM)
      view.setInt32(at + 4, 0, true)
    }
  }
}

/** @param reason what can't be had, and behind a full stop what to do about it */
function relocationFailed(linked: LinkedCode, program: string, slot: number, reason: string): BpfError {
  const [problem = '', ...rest] = reason.split('. ')
  const hint = rest.join('. ')
  return new BpfError(
    'RELOCATION_FAILED',
    `program '${program}', instruction ${slot}${lineText(linked, slot)}: ${problem}`,
    { ...(hint !== '' && { hint }) },
  )
}

/** Reads global data that can't change any more: Linux takes it for constants. */
function constantsOf(memory: Memory, maps: ReadonlySet<LoadedMap>): ConstantReader {
  const frozen = [...maps].filter(
    ({ frozen, storage }) =>
      frozen &&
      storage.direct !== undefined &&
      (storage.attributes.flags & BPF_MAP_FLAGS.BPF_F_RDONLY_PROG) !== 0,
  )
  return (address, size) => {
    const inside = frozen.some(
      ({ storage: { direct } }) =>
        direct !== undefined && address >= direct.address && address + size <= direct.address + direct.size,
    )
    return inside ? readLittleEndian(memory, address, size) : undefined
  }
}

function readLittleEndian(memory: Memory, address: number, size: number): bigint {
  let value = 0n
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(memory.u8[address + i] ?? 0)
  return value
}

function lineText({ lines }: LinkedCode, slot: number): string {
  const line = lineOf(lines, slot)
  return line === undefined ? '' : ` (${line.file}:${line.line}: ${line.text.trim()})`
}
