/** Calls between functions of the program: frames, global functions, callbacks, returns. */
import { maySleep } from './critical-sections.js'
import { markPrecise } from './precision.js'
import { previousTurn, widen } from './loops.js'
import { forgetPackets } from './packet.js'
import { E2BIG, EINVAL, denied, invalid, Rejection, ENOMEM } from './rejection.js'
import { checkGlobalArguments } from './global-functions.js'
import { type CallbackFrame, Frame, FRAME_POINTER, MAX_FRAMES, State } from './state.js'
import type { Subprogram } from './subprograms.js'
import { KIND, NOT_INIT, pointer, type Register, UNKNOWN } from './values/register.js'
import { smaxNumber, sminNumber } from './values/numbers.js'
import { S64_MAX_HI, S64_MIN_HI, signedText } from './values/wide.js'
import type { Verification } from './verification.js'

export function subprogramAt(env: Verification, start: number): Subprogram {
  const found = env.subprograms.find((subprogram) => subprogram.start === start)
  if (found === undefined) throw new Rejection(EINVAL, `verifier bug. No program starts at insn ${start}`)
  return found
}

/** A frame in which only r10 is known. */
export function freshFrame(index: number, callSite: number, subprogram: number): Frame {
  const frame = new Frame(index, callSite, subprogram)
  frame.registers = Array.from({ length: FRAME_POINTER }, () => NOT_INIT)
  const stack = pointer(KIND.STACK)
  stack.frame = index
  frame.registers.push(stack)
  return frame
}

export function clearArguments(registers: Register[]): void {
  for (let i = 0; i <= 5; i++) registers[i] = NOT_INIT
}

/** @returns the slot at which the path goes on */
export function callFunction(env: Verification): number {
  const { insn, state, code } = env
  const subprogram = subprogramAt(env, insn + 1 + code.immAt(insn))
  subprogram.called ||= !subprogram.global
  if (subprogram.global) {
    if (state.activeLocks > 0)
      invalid('use static function instead', 'global function calls are not allowed while holding a lock,')
    checkGlobalArguments(env, subprogram)
    if (subprogram.mightSleep && !maySleep(env))
      invalid(
        'a non-sleepable BPF program context',
        'global functions that may sleep are not allowed in non-sleepable context,',
        'i.e., in a RCU/IRQ/preempt-disabled section, or in',
      )
    subprogram.called = true
    if (subprogram.changesPacket) forgetPackets(env)
    const { registers } = env
    clearArguments(registers)
    registers[0] = UNKNOWN
    env.log?.remark(`Func#${subprogram.index} ('${subprogram.name}') is global and assumed valid.`)
    return insn + 1
  }
  enter(env, subprogram, insn)
  const callee = state.current
  const caller = state.frames[state.frames.length - 2] as Frame
  for (let i = 1; i <= 5; i++) callee.registers[i] = caller.registers[i] as Register
  clearArguments(caller.registers)
  env.log?.called(state)
  return subprogram.start
}

function enter(env: Verification, subprogram: Subprogram, insn: number): Frame {
  const { state } = env
  if (state.frames.length >= MAX_FRAMES)
    throw new Rejection(E2BIG, `the call stack of ${state.frames.length + 1} frames is too deep`)
  const frame = freshFrame(state.frames.length, insn, subprogram.index)
  state.frames.push(frame)
  env.stackLiveness.reset()
  return frame
}

/** How a helper's callback is called: what it gets, and what it may return. */
export interface Callback extends CallbackFrame {
  readonly subprogram: Subprogram
  /** r1…r5; those that are missing hold nothing. */
  readonly args: readonly Register[]
  /** It runs later, where it may sleep. */
  readonly sleepable?: boolean
}

/**
 * A helper runs a callback, or doesn't: the path forks into it, and goes on behind the helper itself.
 */
export function callCallback(env: Verification, callback: Callback): void {
  const { insn, state } = env
  const { subprogram, args } = callback
  subprogram.isCallback = subprogram.called = true
  if (callback.async) {
    subprogram.isAsyncCallback = true
    pushAsync(env, callback)
    return
  }
  const inside = env.push(subprogram.start, insn, false, ENOMEM)
  if (inside.frames.length >= MAX_FRAMES)
    throw new Rejection(E2BIG, `the call stack of ${state.frames.length + 1} frames is too deep`)
  inside.callbackUnrollDepth++
  inside.current.callbackDepth++
  const frame = freshFrame(inside.frames.length, insn, subprogram.index)
  args.forEach((argument, i) => {
    frame.registers[i + 1] = argument
  })
  frame.callback = callback
  env.log?.touchAll()
  // The helper's arguments stay: it is simulated again when the callback returns.
  inside.frames.push(frame)
  state.current.callbackDepth = 0
}

function pushAsync(env: Verification, callback: Callback): void {
  const { state, insn } = env
  const { subprogram, args, sleepable = false } = callback
  const later = new State()
  later.sleepable = sleepable
  const frame = freshFrame(0, -1, subprogram.index)
  args.forEach((argument, i) => {
    frame.registers[i + 1] = argument
  })
  frame.callback = callback
  env.log?.touchAll()
  frame.asyncEntries = state.current.asyncEntries + 1
  later.frames = [frame]
  env.queue(later, subprogram.start, insn)
}

/**
 * What ends the program where it fails (LD_ABS), or never comes back where it doesn't (tail calls), ends only the function in a function that
 * was called: the path forks.
 *
 * @returns the slot at which the caller goes on
 */
export function leaveEarly(env: Verification, packetMoves: boolean): number {
  env.push(env.insn + 1, env.insn)
  if (packetMoves) forgetPackets(env)
  env.registers[0] = UNKNOWN
  return returnFromFunction(env, false)
}

/** @param byExit by an instruction of its own. @returns the slot at which the caller goes on */
export function returnFromFunction(env: Verification, byExit = true): number {
  const { state } = env
  const callee = state.current
  const result = callee.registers[0] as Register
  if (result.kind === KIND.STACK)
    // It would point to a frame that is gone.
    invalid('cannot return stack pointer to the caller')
  const caller = state.frames[state.frames.length - 2] as Frame
  const { callback } = callee
  if (callback === undefined) {
    caller.registers[0] = result
  } else {
    if (result.kind !== KIND.SCALAR) denied('R0 not a scalar value')
    markPrecise(env, 0)
    checkCallbackResult(result, callback, 'At callback return')
    if (!env.code.callsCallback(callee.callSite))
      throw new Rejection(EINVAL, 'verifier bug: in callback at call site that calls none')
  }
  const insn = callback === undefined ? callee.callSite + 1 : callee.callSite
  env.log?.returned(state, byExit ? env.insn : undefined, insn)
  state.frames.pop()
  env.stackLiveness.reset()
  if (callback !== undefined) {
    const before = previousTurn(env, state, insn)
    if (before !== undefined) widen(before, state)
  }
  return insn
}

/**
 * Refuses a result outside of a range, as an exit or the end of a callback does.
 *
 * @param isOutside that it is outside is known
 * @param number    of the register
 */
export function checkCallbackResult(
  result: Register,
  { least, most }: { readonly least: number; readonly most: number },
  where: string,
  isOutside = false,
  number = 0,
): void {
  if (!isOutside && isWithin(result, least, most)) return
  let text = `${where} the register R${number} has`
  let unknown = true
  if (result.sminHi !== S64_MIN_HI || result.sminLo !== 0) {
    text += ` smin=${signedText(result.sminHi, result.sminLo)}`
    unknown = false
  }
  if (result.smaxHi !== S64_MAX_HI || result.smaxLo !== -1) {
    text += ` smax=${signedText(result.smaxHi, result.smaxLo)}`
    unknown = false
  }
  if (unknown) text += ' unknown scalar value'
  invalid(`${text} should have been in [${least}, ${most}]`)
}

function isWithin(result: Register, least: number, most: number): boolean {
  return sminNumber(result) >= least && smaxNumber(result) <= most
}
