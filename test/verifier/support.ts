/** Cases for the verifier: instructions, what they refer to, and what comes out. */
import { verifyProgram, type Verdict, type VerifierMap } from '../../lib/fallback/verifier/index.js'
import type { DebugInfo, FunctionInfo, MapReference } from '../../lib/fallback/verifier/program.js'
import { instruction } from '../../lib/isa/build.js'
import { encode, type Instruction } from '../../lib/isa/instruction.js'
import { OP, PSEUDO_LDDW } from '../../lib/isa/opcodes.js'
import type { Privileges } from '../../lib/linux/capabilities.js'
import { BPF_MAP_TYPE } from '../../lib/linux/map-types.js'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'

/** A 64-bit immediate load of a map, or of an address in its first value. */
export interface MapLoad {
  readonly register: number
  readonly map: VerifierMap
  readonly valueOffset?: number
}

export type CaseCode = readonly (Instruction | readonly Instruction[] | MapLoad)[]

export interface CaseOptions {
  /** BPF_PROG_TYPE_*; a socket filter. */
  readonly type?: number
  readonly attachType?: number
  readonly flags?: number
  readonly license?: string
  readonly debugInfo?: DebugInfo
  /** Milliseconds. */
  readonly timeout?: number
  /** Of who loads it; all. */
  readonly privileges?: Privileges
  readonly functions?: readonly FunctionInfo[]
  readonly exceptionCallbacks?: readonly string[] | 'untold'
}

export function map(options: Partial<VerifierMap> = {}): VerifierMap {
  return {
    name: 'map',
    type: BPF_MAP_TYPE.HASH,
    keySize: 8,
    valueSize: 16,
    maxEntries: 4,
    flags: 0,
    specialFields: [],
    inner: undefined,
    constants: undefined,
    hasTypes: true,
    ...options,
  }
}

export const loadMap = (register: number, of: VerifierMap, valueOffset?: number): MapLoad => ({
  register,
  map: of,
  ...(valueOffset !== undefined && { valueOffset }),
})

function isMapLoad(part: CaseCode[number]): part is MapLoad {
  return 'register' in part
}

export function verify(code: CaseCode, options: CaseOptions = {}): Verdict {
  const instructions: Instruction[] = []
  const mapReferences = new Map<number, MapReference>()
  for (const part of code) {
    if (isMapLoad(part)) {
      const { register, map: of, valueOffset } = part
      mapReferences.set(instructions.length, { map: of, valueOffset })
      const pseudo = valueOffset === undefined ? PSEUDO_LDDW.MAP_FD : PSEUDO_LDDW.MAP_VALUE
      instructions.push(instruction(OP.LDDW, register, pseudo), instruction(0))
    } else if ('opcode' in part) instructions.push(part)
    else instructions.push(...part)
  }
  const program = {
    code: encode(instructions),
    type: options.type ?? BPF_PROG_TYPE.SOCKET_FILTER,
    attachType: options.attachType ?? 0,
    flags: options.flags ?? 0,
    license: options.license ?? 'GPL',
    mapReferences,
    functions: options.functions ?? [],
    kfuncs: new Map(),
    debugInfo: options.debugInfo,
    ...(options.exceptionCallbacks !== undefined && { exceptionCallbacks: options.exceptionCallbacks }),
    attachTarget: undefined,
  }
  const { privileges = 'all', timeout } = options
  return verifyProgram(program, { privileges, ...(timeout !== undefined && { timeout }) })
}

/** `accepted`, or instruction and reason. */
export function outcome(code: CaseCode, options: CaseOptions = {}): string {
  const { accepted, insn, reason } = verify(code, options)
  return accepted ? 'accepted' : `${insn ?? '-'}: ${reason}`
}
