/** Single instructions that do with a context, a map or a value of one what Linux refuses, in its words. */
import type { Instruction } from '../../isa/instruction.js'
import { ATOMIC, PSEUDO_CALL } from '../../isa/opcodes.js'
import type { OpcodeInfo } from '../../isa/opcodes.js'
import {
  helperTakesMap,
  KEYED_HELPERS,
  mapRegister,
  SLEEPING_HELPERS,
  WRITING_HELPERS,
} from '../../linux/helper-maps.js'
import { helperById } from '../../linux/helpers.js'
import { BPF_MAP_FLAGS } from '../../linux/map-types.js'
import type { MapAttributes } from '../maps/types.js'
import type { PointerProgram } from './pointer-program.js'
import { EACCES, EINVAL } from './reject.js'
import type { State } from './values.js'

export interface Problem {
  readonly errno: number
  readonly text: string
  /** Line of the log before the deciding one. */
  readonly detail?: string
}

const RINGBUF_RESERVE = 131
const { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } = BPF_MAP_FLAGS

/** The reason for which Linux refuses an instruction, or undefined. */
export function problemOf(
  program: PointerProgram,
  insn: Instruction,
  info: OpcodeInfo,
  state: State,
): Problem | undefined {
  switch (info.kind) {
    case 'load':
      return accessProblem(program, insn.src, insn.offset, info.bits / 8, state, { read: true, write: false })
    case 'store':
      return accessProblem(program, insn.dst, insn.offset, info.bits / 8, state, { read: false, write: true })
    case 'atomic':
      return atomicProblem(program, insn, info, state)
    case 'alu':
      return arithmeticProblem(insn, info, state)
    case 'call':
      return insn.src === PSEUDO_CALL.HELPER ? callProblem(program, insn.imm, state) : undefined
    default:
      return undefined
  }
}

const denied = (text: string, detail?: string): Problem =>
  detail === undefined ? { errno: EACCES, text } : { errno: EACCES, text, detail }

interface Way {
  readonly read: boolean
  readonly write: boolean
}

function accessProblem(
  program: PointerProgram,
  register: number,
  displacement: number,
  size: number,
  state: State,
  way: Way,
): Problem | undefined {
  const base = state[register]
  switch (base?.kind) {
    case 'scalar':
      return denied(`R${register} invalid mem access 'scalar'`)
    case 'context': {
      const offset = base.offset + displacement
      if (program.context?.allows(offset, size, way.write) !== false) return undefined
      return denied(`invalid bpf_context access off=${offset} size=${size}`)
    }
    case 'element':
      if (base.lookup >= 0) return denied(`R${register} invalid mem access 'map_value_or_null'`)
      return elementProblem(base.map, register, base.offset + displacement, size, way)
    default:
      return undefined
  }
}

function elementProblem(
  { flags, valueSize }: MapAttributes,
  register: number,
  offset: number,
  size: number,
  { read, write }: Way,
): Problem | undefined {
  const where = `value_size=${valueSize} off=${offset} size=${size}`
  if (write && (flags & BPF_F_RDONLY_PROG) !== 0) return denied(`write into map forbidden, ${where}`)
  if (read && (flags & BPF_F_WRONLY_PROG) !== 0) return denied(`read from map forbidden, ${where}`)
  if (offset >= 0 && offset + size <= valueSize) return undefined
  return denied(
    `R${register} min value is outside of the allowed memory range`,
    `invalid access to map value, ${where}`,
  )
}

function atomicProblem(
  program: PointerProgram,
  insn: Instruction,
  info: OpcodeInfo,
  state: State,
): Problem | undefined {
  const acquire = insn.imm === ATOMIC.LOAD_ACQUIRE
  const release = insn.imm === ATOMIC.STORE_RELEASE
  const register = acquire ? insn.src : insn.dst
  if (state[register]?.kind === 'context') {
    const verb = acquire ? 'loads from' : 'stores into'
    return denied(`BPF_ATOMIC ${verb} R${register} ctx is not allowed`)
  }
  const way = { read: !release, write: !acquire }
  return accessProblem(program, register, insn.offset, info.bits / 8, state, way)
}

const BITWISE: ReadonlySet<string> = new Set(['and', 'or', 'xor'])

/** Only the distance may change that a pointer lies behind its start. */
function arithmeticProblem(insn: Instruction, info: OpcodeInfo, state: State): Problem | undefined {
  const value = state[insn.dst]
  if (value?.kind !== 'element' && value?.kind !== 'context') return undefined
  // Of two pointers, or of what isn't known here, privileged programs may make any number.
  if (info.bits !== 64 || (info.register && state[insn.src]?.kind !== 'scalar')) return undefined
  if (value.kind === 'element' && value.lookup >= 0) {
    return denied(`R${insn.dst} pointer arithmetic on map_value_or_null prohibited, null-check it first`)
  }
  if (info.name === 'add' || info.name === 'sub') return undefined
  if (BITWISE.has(info.name))
    return denied(`R${insn.dst} bitwise operator ${info.symbol} on pointer prohibited`)
  return denied(`R${insn.dst} pointer arithmetic with ${info.symbol} operator prohibited`)
}

function callProblem(program: PointerProgram, helper: number, state: State): Problem | undefined {
  if (SLEEPING_HELPERS.has(helper) && !program.sleepable)
    return { errno: EINVAL, text: 'helper call might sleep in a non-sleepable prog' }
  const argument = state[mapRegister(helper)]
  if (argument?.kind === 'map') {
    const { type, flags, keySize } = argument.map
    if (KEYED_HELPERS.has(helper) && keySize === 0) return denied('invalid zero-sized read')
    if (!helperTakesMap(helper, type)) {
      const name = `bpf_${helperById(helper)?.name ?? 'unknown'}#${helper}`
      return { errno: EINVAL, text: `cannot pass map_type ${type} into func ${name}` }
    }
    if (WRITING_HELPERS.has(helper) && (flags & BPF_F_RDONLY_PROG) !== 0)
      return denied('write into map forbidden')
  }
  const size = state[2]
  return helper === RINGBUF_RESERVE && size?.kind === 'scalar' && size.varies
    ? denied("R2 is not a known constant'")
    : undefined
}
