/** The functions of a program: where they start, what they contain, and that jumps stay within. */
import { CLASS, OP } from '../../isa/opcodes.js'
import { SLEEPING_HELPERS } from '../../linux/helper-maps.js'
import { isGplCompatible } from '../../linux/license.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { helperPrototype } from '../../linux/helper-prototypes.js'
import type { Code } from './code.js'
import type { FunctionInfo, VerifierProgram } from './program.js'
import { E2BIG, EPERM, invalid, malformed, Rejection, Unmodelled } from './rejection.js'

/** What it ends up in may do anything to the packet. */
const TAIL_CALL = 12
/** BPF_MAX_SUBPROGS, the entry function among them. */
const MAX_SUBPROGRAMS = 256

/** A function of the program. */
export interface Subprogram {
  readonly index: number
  readonly start: number
  /** Slot behind its last one. */
  readonly end: number
  readonly name: string
  readonly info: FunctionInfo | undefined
  /** Verified once, by its declared arguments, and not at each call. */
  readonly global: boolean
  readonly hasTailCall: boolean
  readonly hasPacketLoad: boolean
  /** It, or a function that it calls, may move the packet, or sleep. */
  changesPacket: boolean
  mightSleep: boolean
  /** Bytes of stack that it used on some path. */
  stackDepth: number
  isCallback: boolean
  isAsyncCallback: boolean
  /** By what was verified: a global one is to be verified too. */
  called: boolean
}

/** Finds functions by calls and addresses that lead to them, and checks that no jump leaves its own. */
export function findSubprograms(
  code: Code,
  program: VerifierProgram,
  exceptionCallback?: number,
): Subprogram[] {
  const starts = functionStarts(code, program, exceptionCallback)
  const infos = new Map(program.functions.map((info) => [info.start, info]))
  const subprograms = starts.map((start, index): Subprogram => {
    const end = starts[index + 1] ?? code.length
    const info = infos.get(start)
    let hasTailCall = false
    let hasPacketLoad = false
    for (let slot = start; slot < end; slot++) {
      if (code.isHelperCall(slot) && code.imm[slot] === TAIL_CALL) hasTailCall = true
      if (isPacketLoad(code.opcodeAt(slot))) hasPacketLoad = true
    }
    return {
      index,
      start,
      end,
      info,
      name: info?.name ?? '',
      global: index > 0 && info?.global === true,
      hasTailCall,
      hasPacketLoad,
      changesPacket: false,
      mightSleep: false,
      stackDepth: 0,
      isCallback: false,
      isAsyncCallback: false,
      called: false,
    }
  })
  findEffects(code, subprograms, program.type !== P.EXT)
  return subprograms
}

/** Refuses functions that don't end, and jumps out of them. */
export function checkSubprograms(code: Code, subprograms: readonly Subprogram[]): void {
  for (const { start, end } of subprograms) checkJumps(code, start, end)
}

/**
 * What functions do to the packet, and whether they sleep: themselves, or by those that they call.
 *
 * @param hasHelpers whether the program's type says which helpers it has; of extensions, the target's does
 */
function findEffects(code: Code, subprograms: readonly Subprogram[], hasHelpers: boolean): void {
  const byStart = new Map(subprograms.map((subprogram) => [subprogram.start, subprogram]))
  for (let changed = true; changed;) {
    changed = false
    for (const subprogram of subprograms) {
      let { changesPacket, mightSleep } = subprogram
      for (let slot = subprogram.start; slot < subprogram.end; slot++) {
        const id = code.immAt(slot)
        if (code.isHelperCall(slot)) {
          changesPacket ||= id === TAIL_CALL || helperPrototype(id, 0)?.changesPacket === true
          mightSleep ||= hasHelpers && SLEEPING_HELPERS.has(id)
        }
        const kfunc = code.kfuncAt(slot)
        mightSleep ||= kfunc?.flags.sleepable === true
        changesPacket ||= kfunc?.name === 'bpf_xdp_pull_data'
        if (!code.isLocalCall(slot) && !code.isFunctionAddress(slot)) continue
        const callee = byStart.get(slot + 1 + id)
        changesPacket ||= callee?.changesPacket === true
        mightSleep ||= callee?.mightSleep === true
      }
      if (changesPacket === subprogram.changesPacket && mightSleep === subprogram.mightSleep) continue
      subprogram.changesPacket = changesPacket
      subprogram.mightSleep = mightSleep
      changed = true
    }
  }
}

/** Without CAP_BPF, helpers are all that a program may call. */
export function checkCallsNothing(code: Code): void {
  for (let slot = 0; slot < code.length; slot++) {
    if (code.isLocalCall(slot) || code.isFunctionAddress(slot) || code.isKfuncCall(slot))
      throw new Rejection(
        EPERM,
        'loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN',
      )
  }
}

export function isPacketLoad(opcode: number): boolean {
  const mode = opcode & 0xe0
  return (opcode & 7) === CLASS.LD && (mode === 0x20 || mode === 0x40)
}

function functionStarts(
  code: Code,
  program: VerifierProgram,
  exceptionCallback: number | undefined,
): number[] {
  const starts = new Set([0])
  if (exceptionCallback !== undefined) starts.add(exceptionCallback)
  for (let slot = 0; slot < code.length; slot++) {
    if (code.isKfuncCall(slot)) checkKfunc(code, slot, program)
    if (!code.isLocalCall(slot) && !code.isFunctionAddress(slot)) continue
    const target = slot + 1 + code.immAt(slot)
    if (target < 0 || target >= code.length) malformed(slot, 'call to invalid destination')
    starts.add(target)
    if (starts.size > MAX_SUBPROGRAMS) throw new Rejection(E2BIG, 'too many subprograms')
  }
  return [...starts].sort((a, b) => a - b)
}

/** What was found out about a function of the kernel before a path reaches it. Calls that loaders couldn't resolve are 0: fine where nothing reaches them. */
function checkKfunc(code: Code, slot: number, { kfuncs, license }: VerifierProgram): void {
  const name = kfuncs.get(slot)
  if (name?.startsWith('bpf_xdp_metadata_') === true) invalid('metadata kfuncs require device-bound program')
  if (!isGplCompatible(license)) invalid('cannot call kernel function from non-GPL compatible program')
  if (code.immAt(slot) === 0 && code.offset[slot] === 0) return
  if (code.kfuncAt(slot) === undefined) throw new Unmodelled(`kfunc ${name ?? `#${code.immAt(slot)}`}`)
}

function checkJumps(code: Code, start: number, end: number): void {
  for (let slot = start; slot < end; slot++) {
    if (code.isJump(slot)) {
      const target = slot + 1 + code.jumpOffset(slot)
      if (target < start || target >= end) malformed(slot, `jump out of range from insn ${slot} to ${target}`)
    }
    if (slot !== end - 1) continue
    const opcode = code.opcode[slot]
    if (opcode !== OP.EXIT && opcode !== OP.JA && opcode !== OP.JA32)
      malformed(slot, 'last insn is not an exit or jmp')
  }
}

/** Tail calls and LD_ABS leave a function with an error: it must return a number. */
export function checkFunctionInfo(subprograms: readonly Subprogram[], hasTypes: boolean): void {
  for (const { index, info, hasTailCall, hasPacketLoad } of subprograms) {
    if (index === 0) continue
    if (!hasTypes) {
      if (hasPacketLoad) invalid('LD_ABS is not allowed in subprogs without BTF')
      if (hasTailCall) invalid('tail_call is not allowed in subprogs without BTF')
      continue
    }
    if (info === undefined || info.returns === 'int') continue
    if (hasPacketLoad) invalid("LD_ABS is only allowed in functions that return 'int'.")
    if (hasTailCall) invalid("tail_call is only allowed in functions that return 'int'.")
  }
}
