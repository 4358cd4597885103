/** The functions of a program: where they start, what can be reached from there, and which registers they take. */
import { ATOMIC, CLASS, OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../../isa/opcodes.js'
import { TAIL_CALL_HELPER } from '../predecode.js'
import { MAX_CALL_FRAMES } from '../frames.js'
import { NONE } from './edges.js'
import { FlowGraphs } from './flow-graph.js'
import type { FlowGraph } from './flow-graph.js'
import { ARGUMENTS } from './locals.js'
import { CALL_REGISTER_OPCODE, FLOW, isCall, isPacketLoad } from '../slots.js'
import type { Slots } from '../slots.js'

export interface ProgramFunction {
  readonly start: number
  readonly graph: FlowGraph
  /** Mask of r1…r5 that it takes from its caller. */
  parameters: number
  /** Slots of all blocks, for fuel and sizes. */
  readonly length: number
  /** Some instruction writes r10, which no verifier lets pass. */
  readonly writesFramePointer: boolean
  readonly usesMayGoto: boolean
  /** Some instruction names r10. */
  readonly usesFrame: boolean
  /** A few computations and nothing else: written in place of a call. */
  readonly isLeaf: boolean
  /** It calls nothing, and has no loop but such as are known to end: it counts as `length` instructions. */
  readonly isStraight: boolean
  /** Its loops are known to end: only what it calls may go on. */
  readonly endsByItself: boolean
  /** It may call JavaScript, itself or through the functions that it calls: for a helper, or for an access that is not as it seemed. */
  callsOut: boolean
  /** Frames that it and what it calls may need; Infinity: there is a recursion, or more than there may be. */
  frames: number
  /** There may be too many frames below it: what it calls is entered only if there is room for one more. */
  mayBeDeep: boolean
}

/** What is called and used in a program. */
export interface ProgramShape {
  /** The entry first. */
  readonly functions: readonly ProgramFunction[]
  readonly byStart: ReadonlyMap<number, number>
  /** Ids of helpers, in the order of their first calls. */
  readonly helpers: readonly number[]
}

/** Instructions of a leaf, at most. */
const LONGEST_LEAF = 24

/** Code that several functions share is compiled for each; beyond this many times the program's length it is too much. */
export const MOST_COPIES = 8

/**
 * @param loopsEnd a verifier has walked all loops to their ends
 * @returns undefined if functions share so much code that compiling it for each would not end well
 */
export function shapeOf(
  slots: Slots,
  known: readonly number[],
  arityOf: (helper: number) => number,
  loopsEnd: boolean,
): ProgramShape | undefined {
  const graphs = new FlowGraphs(slots)
  const functions: ProgramFunction[] = []
  const byStart = new Map<number, number>()
  const helpers = new Set<number>()
  const starts: number[] = []
  const add = (start: number): void => {
    if (start < 0 || (start >= slots.count && start > 0) || byStart.has(start)) return
    byStart.set(start, starts.length)
    starts.push(start)
  }
  add(0)
  for (const start of known) add(start)
  let copied = 0
  // `starts` grows as calls are found.
  for (let i = 0; i < starts.length; i++) {
    const start = starts[i] ?? 0
    const found = inspect(slots, start, graphs.build(start), add, helpers, arityOf, loopsEnd)
    copied += found.length
    if (copied > MOST_COPIES * slots.count + 64) return undefined
    functions.push(found)
  }
  passOn(slots, functions, byStart)
  return { functions, byStart, helpers: [...helpers] }
}

function inspect(
  slots: Slots,
  start: number,
  graph: FlowGraph,
  add: (start: number) => void,
  helpers: Set<number>,
  arityOf: (helper: number) => number,
  loopsEnd: boolean,
): ProgramFunction {
  let parameters = 0
  let length = 0
  let writesFramePointer = false
  let usesMayGoto = false
  let usesFrame = false
  let loops = false
  let calls = false
  let callsOut = false
  let computes = graph.count === 1 && graph.flow[0] === FLOW.EXIT
  for (let b = 0; b < graph.count; b++) {
    const end = graph.end[b] ?? 0
    let written = 0
    if (isRetreating(graph.next[b] ?? 0, b) || isRetreating(graph.target[b] ?? 0, b)) loops = true
    for (let slot = graph.start[b] ?? 0; slot < end; slot += slots.length(slot)) {
      length += slots.length(slot)
      if (graph.flow[b] === FLOW.TRAP && slot === end - 1) break
      parameters |= readBy(slots, slot, arityOf) & ~written
      const opcode = slots.opcode(slot)
      const dst = slots.dst(slot)
      if (dst === 10 || slots.src(slot) === 10) usesFrame = true
      if (isCall(opcode) || isPacketLoad(opcode)) {
        calls = true
        if (opcode !== OP.CALL || slots.src(slot) !== PSEUDO_CALL.LOCAL) callsOut = true
      }
      if (slots.writesDestination(slot)) {
        written |= 1 << dst
        if (dst === 10) writesFramePointer = true
      } else if ((opcode & 7) === CLASS.STX && (opcode & 0xe0) === 0xc0) {
        const operation = slots.imm(slot)
        if (
          operation === ATOMIC.LOAD_ACQUIRE
            ? dst === 10
            : (operation & ATOMIC.FETCH) !== 0 && slots.src(slot) === 10
        )
          writesFramePointer = true
      }
      if (accessesMemory(opcode)) callsOut = true
      if (!isArithmetic(opcode) && opcode !== OP.EXIT) computes = false
      if (opcode === OP.MAY_GOTO) usesMayGoto = true
      else if (opcode === OP.LDDW && slots.src(slot) === PSEUDO_LDDW.FUNC) add(slots.callee(slot))
      else if (opcode === OP.CALL && slots.src(slot) === PSEUDO_CALL.LOCAL) add(slots.callee(slot))
      else if (opcode === OP.CALL && slots.imm(slot) !== TAIL_CALL_HELPER) helpers.add(slots.imm(slot))
    }
  }
  const endsByItself = loopsEnd && !usesMayGoto
  return {
    start,
    graph,
    parameters: parameters & ARGUMENTS,
    length,
    writesFramePointer,
    usesMayGoto,
    usesFrame,
    isLeaf: computes && !usesFrame && (parameters & ~ARGUMENTS) === 0 && length <= LONGEST_LEAF,
    isStraight: !calls && (!loops || endsByItself),
    endsByItself,
    callsOut,
    frames: 1,
    mayBeDeep: false,
  }
}

function isArithmetic(opcode: number): boolean {
  const klass = opcode & 7
  return klass === CLASS.ALU || klass === CLASS.ALU64
}

/** Whether an instruction loads or stores. */
export function accessesMemory(opcode: number): boolean {
  const klass = opcode & 7
  return klass === CLASS.LDX || klass === CLASS.ST || klass === CLASS.STX
}

function isRetreating(to: number, from: number): boolean {
  return to !== NONE && to <= from
}

/** Mask of the registers that an instruction reads, save what a local call passes on. */
function readBy(slots: Slots, slot: number, arityOf: (helper: number) => number): number {
  const opcode = slots.opcode(slot)
  const dst = 1 << slots.dst(slot)
  const src = 1 << slots.src(slot)
  const isRegister = (opcode & 8) !== 0
  switch (opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64:
      return ((opcode & 0xf0) === 0xb0 ? 0 : dst) | (isRegister && (opcode & 0xf0) !== 0xd0 ? src : 0)
    case CLASS.LDX:
      return src
    case CLASS.ST:
      return dst
    case CLASS.STX:
      return dst | src
    case CLASS.LD:
      return opcode === OP.LDDW ? 0 : src
    default:
      if (opcode === OP.CALL) {
        if (slots.src(slot) !== PSEUDO_CALL.HELPER) return 0
        const id = slots.imm(slot)
        return (1 << ((id === TAIL_CALL_HELPER ? 3 : arityOf(id)) + 1)) - 2
      }
      if (opcode === CALL_REGISTER_OPCODE) return dst | ARGUMENTS
      return dst | (isRegister ? src : 0)
  }
}

/** What callees take, call and need, their callers do too. */
function passOn(
  slots: Slots,
  functions: readonly ProgramFunction[],
  byStart: ReadonlyMap<number, number>,
): void {
  // Without calls there is nothing to pass on.
  if (functions.length === 1 && functions[0]?.isStraight === true) return
  const callsOf = functions.map((fn) => localCalls(slots, fn, functions, byStart))
  // Callees mostly lie behind their callers: one round from the back is enough for these.
  for (let changed = true; changed;) {
    changed = false
    for (let i = functions.length - 1; i >= 0; i--) {
      const fn = functions[i]
      if (fn === undefined) continue
      for (const { callee, set } of callsOf[i] ?? []) {
        const parameters = fn.parameters | (callee.parameters & ~set)
        const callsOut = fn.callsOut || callee.callsOut
        const frames = callee.frames + 1 > MAX_CALL_FRAMES ? Infinity : Math.max(fn.frames, callee.frames + 1)
        if (parameters === fn.parameters && callsOut === fn.callsOut && frames === fn.frames) continue
        fn.parameters = parameters
        fn.callsOut = callsOut
        fn.frames = frames
        changed = true
      }
    }
  }
  const deep = functions.filter((fn) => fn.frames === Infinity)
  for (let fn = deep.pop(); fn !== undefined; fn = deep.pop()) {
    if (fn.mayBeDeep) continue
    fn.mayBeDeep = true
    for (const { callee } of callsOf[byStart.get(fn.start) ?? -1] ?? []) deep.push(callee)
  }
}

interface LocalCall {
  readonly callee: ProgramFunction
  /** Mask of the registers that the block sets before. */
  readonly set: number
}

function localCalls(
  slots: Slots,
  { graph }: ProgramFunction,
  functions: readonly ProgramFunction[],
  byStart: ReadonlyMap<number, number>,
): readonly LocalCall[] {
  const calls: LocalCall[] = []
  for (let b = 0; b < graph.count; b++) {
    const end = graph.end[b] ?? 0
    let set = 0
    for (let slot = graph.start[b] ?? 0; slot < end; slot += slots.length(slot)) {
      if (slots.opcode(slot) === OP.CALL && slots.src(slot) === PSEUDO_CALL.LOCAL) {
        const callee = functions[byStart.get(slots.callee(slot)) ?? -1]
        if (callee !== undefined) calls.push({ callee, set })
      } else if (slots.opcode(slot) === OP.LDDW && slots.src(slot) === PSEUDO_LDDW.FUNC) {
        // A callback: whoever calls it passes what it takes.
        const callee = functions[byStart.get(slots.callee(slot)) ?? -1]
        if (callee !== undefined) calls.push({ callee, set: ARGUMENTS })
        set |= 1 << slots.dst(slot)
      } else if (slots.writesDestination(slot)) set |= 1 << slots.dst(slot)
    }
  }
  return calls
}
