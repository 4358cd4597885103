/** The stack of all functions on a chain of calls together, and how long chains are. */
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import type { Code } from './code.js'
import { denied, E2BIG, invalid, Rejection } from './rejection.js'
import { MAX_FRAMES, STACK_SIZE } from './state.js'
import type { Subprogram } from './subprograms.js'

/** A function that tail-calls keeps its callers' stack: as much of it is allowed. */
const BEFORE_TAIL_CALL = 256
const ALIGNMENT = 16

/** Types whose functions have stacks of their own on x86-64: Linux 6.13. */
const PRIVATE_STACKS: ReadonlySet<number> = new Set([P.KPROBE, P.TRACEPOINT, P.PERF_EVENT, P.RAW_TRACEPOINT])

/** Also: that nothing throws that a callback calls. */
export function checkStackDepth(code: Code, subprograms: readonly Subprogram[], type: number): void {
  const roots = subprograms.filter(({ index, isAsyncCallback }) => index === 0 || isAsyncCallback)
  const isPrivate = PRIVATE_STACKS.has(type) && !subprograms.some(({ hasTailCall }) => hasTailCall)
  const calls = subprograms.map((subprogram) => callsOf(code, subprograms, subprogram))
  const throws = subprograms.map((subprogram) => throwIn(code, subprogram))
  for (const root of roots) walk(calls, throws, root, isPrivate)
}

/** The first bpf_throw() of a function; -1: it has none. */
function throwIn(code: Code, { start, end }: Subprogram): number {
  for (let slot = start; slot < end; slot++) if (code.kfuncAt(slot)?.name === 'bpf_throw') return slot
  return -1
}

/** The last one of a function first. */
function callsOf(
  code: Code,
  subprograms: readonly Subprogram[],
  { start, end }: Subprogram,
): readonly Subprogram[] {
  const called: Subprogram[] = []
  for (let slot = end - 1; slot >= start; slot--) {
    const isCall = code.isLocalCall(slot)
    if (!isCall && !code.isFunctionAddress(slot)) continue
    const target = slot + 1 + code.immAt(slot)
    const callee = subprograms.find((one) => one.start === target)
    if (callee !== undefined && (isCall || !callee.isAsyncCallback)) called.push(callee)
  }
  return called
}

interface Call {
  readonly subprogram: Subprogram
  /** Bytes of this function and of all before it. */
  readonly depth: number
  readonly frames: number
  readonly tailCalls: boolean
  /** It, or one before it, is a callback. */
  readonly inCallback: boolean
}

/** @param calls by the number of the function */
function walk(
  calls: readonly (readonly Subprogram[])[],
  throws: readonly number[],
  root: Subprogram,
  isPrivate: boolean,
): void {
  const pending: Call[] = [{ subprogram: root, depth: 0, frames: 1, tailCalls: false, inCallback: false }]
  const deepest = new Map<string, true>()
  for (let call = pending.pop(); call !== undefined; call = pending.pop()) {
    const { subprogram, frames } = call
    const tailCalls = call.tailCalls || subprogram.hasTailCall
    if (frames > 1 && subprogram.hasTailCall && call.depth >= BEFORE_TAIL_CALL)
      denied(
        `tail_calls are not allowed when call stack of previous frames is ${call.depth} bytes. Too large`,
      )
    const own = rounded(subprogram.stackDepth)
    const depth = isPrivate ? Math.max(call.depth, own) : call.depth + own
    if (depth > STACK_SIZE) denied(`combined stack size of ${frames} calls is ${depth}. Too large`)
    const inCallback = call.inCallback || subprogram.isCallback
    const thrown = throws[subprogram.index] ?? -1
    if (inCallback && thrown >= 0)
      invalid(`bpf_throw kfunc (insn ${thrown}) cannot be called from callback subprog ${subprogram.index}`)
    const key = `${subprogram.index} ${depth} ${frames} ${inCallback}`
    if (deepest.has(key)) continue
    deepest.set(key, true)
    for (const callee of calls[subprogram.index] ?? []) {
      if (frames >= MAX_FRAMES) throw new Rejection(E2BIG, `the call stack of ${frames} frames is too deep !`)
      pending.push({ subprogram: callee, depth, frames: frames + 1, tailCalls, inCallback })
    }
  }
}

function rounded(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}
