/** Checks of single instructions, in the order and words in which Linux makes them when it simulates a program. */
import { unsupported } from '../../errors.js'
import type { Instruction } from '../../isa/instruction.js'
import { ATOMIC, ATOMIC_OPERATIONS, OP, PSEUDO_CALL, PSEUDO_LDDW, opcodeInfo } from '../../isa/opcodes.js'
import type { OpcodeInfo } from '../../isa/opcodes.js'
import { helperAllowed, helperById } from '../../linux/helpers.js'
import { isGplCompatible } from '../../linux/license.js'
import type { Reached } from './reachability.js'
import { E2BIG, EACCES, EINVAL, ENOTSUPP, rejection } from './reject.js'
import type { VerifiedProgram } from './reject.js'

/** MAX_CALL_FRAMES of Linux. */
const MAX_CALL_FRAMES = 8
const FRAME_POINTER = 10
/** MAX_BPF_STACK of Linux. */
const STACK_SIZE = 512
/** BPF_PROG_TYPE_* that may access packets with LD_ABS: socket_filter, sched_cls, sched_act. */
const SKB_TYPES: ReadonlySet<number> = new Set([1, 3, 4])
/** BPF_PROG_TYPE_* whose programs may return nothing: struct_ops, ext, lsm. */
const VOID_TYPES: ReadonlySet<number> = new Set([27, 28, 29])
/** Types that have bpf_get_func_ip by way of the tracing set, but no function. */
const NO_FUNCTION_TYPES: ReadonlySet<number> = new Set([5, 7, 17, 24, 31])
const GET_FUNC_IP = 173
/** libbpf's poison for unresolved CO-RE relocations, and for maps that weren't created, is above. */
const LIBBPF_POISON = 195_896_080

interface Problem {
  readonly errno: number
  readonly text: string
  readonly hint?: string
  /** It is about what registers hold: only a verdict where Linux surely comes. See {@link checkInstructions}. */
  readonly value?: boolean
}

type Values = NonNullable<Reached['states'][number]>
type Check = (
  insn: Instruction,
  info: OpcodeInfo,
  values: Values,
  program: VerifiedProgram,
) => Problem | undefined

interface Visit {
  readonly slot: number
  /** In the entry function. */
  readonly main: boolean
  /** No undecided jump lies before it: Linux surely simulates it. */
  readonly sure: boolean
}

/**
 * Looks at the reachable instructions in Linux's order: straight on first, into calls at once, taken branches later.
 *
 * Ranges of values close branches that look open here, and Linux never looks into those. So what registers hold
 * (uninitialised, the frame pointer) counts only as far as no jump is undecided; what no compiler emits in any branch
 * (reserved fields, registers that don't exist, unavailable helpers) counts wherever constants don't close the way.
 */
export function checkInstructions(
  program: VerifiedProgram,
  starts: readonly number[],
  { states, decided }: Reached,
): void {
  const seen = new Set<number>()
  const pending: Visit[] = [{ slot: 0, main: true, sure: true }]
  for (let visit = pending.pop(); visit !== undefined; visit = pending.pop()) {
    const { slot, main, sure } = visit
    const insn = program.instructions[slot]
    const values = states[slot]
    const info = insn && opcodeInfo(insn.opcode)
    if (insn === undefined || values === undefined || info === undefined || seen.has(slot)) continue
    seen.add(slot)
    let problem = CHECKS[info.kind](insn, info, values, program)
    if (info.kind === 'exit' && main && !VOID_TYPES.has(program.programType)) problem ??= readable(0, values)
    if (problem !== undefined && (sure || problem.value !== true)) {
      const { errno, text, hint } = problem
      throw rejection(program, errno, text, {
        insn: slot,
        simulated: true,
        ...(hint === undefined ? {} : { hint }),
      })
    }
    pushSuccessors(pending, insn, info, { slot, main, sure: sure && decided(slot) })
  }
  checkCallDepth(program, starts, states)
}

/** The last one is looked at first. */
function pushSuccessors(
  pending: Visit[],
  insn: Instruction,
  info: OpcodeInfo,
  { slot, main, sure }: Visit,
): void {
  const next = slot + 1
  switch (info.kind) {
    case 'exit':
      return
    case 'ja':
      pending.push({ slot: next + (insn.opcode === OP.JA32 ? insn.imm : insn.offset), main, sure })
      return
    case 'jump':
    case 'may_goto':
      pending.push({ slot: next + insn.offset, main, sure }, { slot: next, main, sure })
      return
    case 'lddw':
      pending.push({ slot: next + 1, main, sure })
      if (insn.src === PSEUDO_LDDW.FUNC) pending.push({ slot: next + insn.imm, main: false, sure: false })
      return
    case 'call':
      // A sub-program may end the program's simulation or be verified apart: behind it nothing is sure.
      pending.push({ slot: next, main, sure: sure && insn.src !== PSEUDO_CALL.LOCAL })
      if (insn.src === PSEUDO_CALL.LOCAL) pending.push({ slot: next + insn.imm, main: false, sure: false })
      return
    default:
      pending.push({ slot: next, main, sure })
  }
}

/** Refuses call chains of more than eight frames, and so recursion. */
function checkCallDepth(
  program: VerifiedProgram,
  starts: readonly number[],
  states: Reached['states'],
): void {
  const { instructions } = program
  const calls = new Map<number, { readonly slot: number; readonly target: number }[]>()
  let start = 0
  const boundaries = new Set(starts)
  instructions.forEach((insn, slot) => {
    if (boundaries.has(slot)) start = slot
    if (insn.opcode !== OP.CALL || insn.src !== PSEUDO_CALL.LOCAL || states[slot] === undefined) return
    const list = calls.get(start) ?? []
    list.push({ slot, target: slot + 1 + insn.imm })
    calls.set(start, list)
  })
  // Frames that a function can be reached with at most; more than eight ends the search, also in a cycle.
  const frames = new Map([[0, 1]])
  const pending = [0]
  for (let caller = pending.pop(); caller !== undefined; caller = pending.pop()) {
    const depth = frames.get(caller) ?? 1
    for (const { slot, target } of calls.get(caller) ?? []) {
      if (depth + 1 > MAX_CALL_FRAMES)
        throw rejection(program, E2BIG, `the call stack of ${depth + 1} frames is too deep`, {
          insn: slot,
          simulated: true,
        })
      if ((frames.get(target) ?? 0) >= depth + 1) continue
      frames.set(target, depth + 1)
      pending.push(target)
    }
  }
}

const invalid = (text: string, hint?: string): Problem =>
  hint === undefined ? { errno: EINVAL, text } : { errno: EINVAL, text, hint }
const denied = (text: string): Problem => ({ errno: EACCES, text, value: true })
const reserved = (info: OpcodeInfo): Problem => invalid(`${info.group} uses reserved fields`)

function readable(register: number, values: Values): Problem | undefined {
  if (register > FRAME_POINTER) return invalid(`R${register} is invalid`)
  return values[register] === 'uninitialised' ? denied(`R${register} !read_ok`) : undefined
}

function writable(register: number): Problem | undefined {
  if (register > FRAME_POINTER) return invalid(`R${register} is invalid`)
  return register === FRAME_POINTER ? denied('frame pointer is read only') : undefined
}

/** Accesses by r10 itself: alignment and the 512 bytes of the stack. */
function onStack(
  base: number,
  insn: Instruction,
  info: OpcodeInfo,
  verb: 'read from' | 'write to',
): Problem | undefined {
  if (base !== FRAME_POINTER) return undefined
  const size = info.bits / 8
  const { offset } = insn
  if (offset % size !== 0) return denied(`misaligned stack access off 0+0+${offset} size ${size}`)
  if (offset >= 0 || offset < -STACK_SIZE)
    return denied(`invalid ${verb} stack R10 off=${offset} size=${size}`)
  return undefined
}

const checkAlu: Check = (insn, info, values) => {
  const division = info.name === 'div' || info.name === 'mod'
  const shift = info.name === 'lsh' || info.name === 'rsh' || info.name === 'arsh'
  const offsetOk = insn.offset === 0 || (insn.offset === 1 && division)
  if (!offsetOk || (info.register ? insn.imm : insn.src) !== 0) return reserved(info)
  const unreadable = (info.register ? readable(insn.src, values) : undefined) ?? readable(insn.dst, values)
  if (unreadable !== undefined) return unreadable
  if (!info.register && division && insn.imm === 0) return invalid('div by zero')
  if (!info.register && shift && (insn.imm < 0 || insn.imm >= info.bits))
    return invalid(`invalid shift ${insn.imm}`)
  return writable(insn.dst)
}

const checkMove: Check = (insn, info, values, program) => {
  if (!info.register) return insn.src !== 0 || insn.offset !== 0 ? reserved(info) : writable(insn.dst)
  if (info.bits === 64 && insn.offset === 1) {
    throw unsupported('addr_space_cast (BPF arena)', `Program '${program.name}' uses it`)
  }
  const widths = info.bits === 64 ? [0, 8, 16, 32] : [0, 8, 16]
  if (!widths.includes(insn.offset) || insn.imm !== 0) return reserved(info)
  return readable(insn.src, values) ?? writable(insn.dst)
}

const checkUnary: Check = (insn, info, values) => {
  const widthOk = info.kind === 'neg' ? insn.imm === 0 : insn.imm === 16 || insn.imm === 32 || insn.imm === 64
  if (insn.src !== 0 || insn.offset !== 0 || !widthOk) return reserved(info)
  return readable(insn.dst, values) ?? writable(insn.dst)
}

const checkLoad: Check = (insn, info, values) =>
  readable(insn.src, values) ?? writable(insn.dst) ?? onStack(insn.src, insn, info, 'read from')

const checkStore: Check = (insn, info, values) => {
  if ((info.register ? insn.imm : insn.src) !== 0) return invalid(`${info.group} uses reserved fields`)
  const unreadable = (info.register ? readable(insn.src, values) : undefined) ?? readable(insn.dst, values)
  return unreadable ?? onStack(insn.dst, insn, info, 'write to')
}

const checkAtomic: Check = (insn, info, values) => {
  const operation = ATOMIC_OPERATIONS.get(insn.imm)
  if (operation === undefined)
    return invalid(`BPF_ATOMIC uses invalid atomic opcode ${(insn.imm >>> 0).toString(16).padStart(2, '0')}`)
  if (insn.imm === ATOMIC.LOAD_ACQUIRE) return checkLoad(insn, info, values, NO_PROGRAM)
  if (insn.imm !== ATOMIC.STORE_RELEASE && info.bits < 32) return invalid('invalid atomic operand size')
  const unreadable = readable(insn.src, values) ?? readable(insn.dst, values)
  if (unreadable !== undefined) return unreadable
  if (insn.imm === ATOMIC.STORE_RELEASE) return onStack(insn.dst, insn, info, 'write to')
  if (insn.imm === ATOMIC.CMPXCHG) {
    const expected = readable(0, values)
    if (expected !== undefined) return expected
  } else if (operation.fetch && insn.src === FRAME_POINTER) return writable(insn.src)
  return onStack(insn.dst, insn, info, 'read from')
}

const checkGoto: Check = (insn, info) => {
  const unused = info.bits === 32 ? insn.offset : insn.imm
  return insn.dst !== 0 || insn.src !== 0 || unused !== 0 ? reserved(info) : undefined
}

const checkMayGoto: Check = (insn) =>
  insn.dst !== 0 || insn.src !== 0 || insn.imm !== 0 ? invalid(`invalid may_goto imm ${insn.imm}`) : undefined

const checkJump: Check = (insn, info, values) => {
  const unreadable = readable(insn.dst, values)
  if (unreadable !== undefined) return unreadable
  if ((info.register ? insn.imm : insn.src) !== 0) return reserved(info)
  return info.register ? readable(insn.src, values) : undefined
}

const checkExit: Check = (insn, info) =>
  insn.dst !== 0 || insn.src !== 0 || insn.imm !== 0 ? reserved(info) : undefined

const checkWideImmediate: Check = (insn, info) => (insn.offset !== 0 ? reserved(info) : writable(insn.dst))

const checkPacket: Check = (insn, info, values, program) => {
  if (!SKB_TYPES.has(program.programType))
    return invalid('BPF_LD_[ABS|IND] instructions not allowed for this program type')
  if (insn.dst !== 0 || insn.offset !== 0 || (!info.register && insn.src !== 0)) return reserved(info)
  return readable(6, values) ?? (info.register ? readable(insn.src, values) : undefined)
}

const checkCall: Check = (insn, info, _values, program) => {
  if (insn.dst !== 0 || insn.offset !== 0 || insn.src > PSEUDO_CALL.KFUNC) return reserved(info)
  if (insn.src !== PSEUDO_CALL.HELPER) return undefined
  const helper = helperById(insn.imm)
  if (helper === undefined) return unknownHelper(insn.imm)
  const allowed = helperAllowed(helper, program.programType)
  if (allowed === undefined)
    throw unsupported(
      `helper bpf_${helper.name}#${helper.id} in programs of type ${program.programType}`,
      `Program '${program.name}' calls it, and which helpers this type has is not known here`,
    )
  if (helper.id === GET_FUNC_IP && NO_FUNCTION_TYPES.has(program.programType))
    return {
      errno: ENOTSUPP,
      text: `func bpf_get_func_ip#173 not supported for program type ${program.programType}`,
    }
  if (!allowed) return invalid(`program of this type cannot use helper bpf_${helper.name}#${helper.id}`)
  if (helper.gplOnly && !isGplCompatible(program.license))
    return invalid(
      'cannot call GPL-restricted function from non-GPL compatible program',
      `bpf_${helper.name} needs a licence such as "GPL" or "Dual MIT/GPL" in SEC("license"), not "${program.license}"`,
    )
  return undefined
}

function unknownHelper(id: number): Problem {
  if (id === 0) return invalid('program of this type cannot use helper bpf_unspec#0')
  const hint =
    id >= LIBBPF_POISON
      ? 'The loader put this call where a CO-RE relocation could not be resolved: the target kernel lacks a type or field'
      : undefined
  return invalid(`invalid func unknown#${id}`, hint)
}

/** checkLoad doesn't look at the program. */
const NO_PROGRAM: VerifiedProgram = { name: '', instructions: [], programType: 0, license: '', lines: [] }

const CHECKS: Readonly<Record<OpcodeInfo['kind'], Check>> = {
  alu: checkAlu,
  mov: checkMove,
  neg: checkUnary,
  end: checkUnary,
  bswap: checkUnary,
  load: checkLoad,
  store: checkStore,
  atomic: checkAtomic,
  ja: checkGoto,
  may_goto: checkMayGoto,
  jump: checkJump,
  call: checkCall,
  exit: checkExit,
  lddw: checkWideImmediate,
  packet: checkPacket,
}
