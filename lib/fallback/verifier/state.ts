/**
 * What is known at one point of one path: registers and stack of each frame, references, locks, and how the path came there.
 *
 * Registers and stack slots are shared between states and never changed; frames and states belong to one path. A state that is kept for
 * pruning learns later which of its numbers had to be precise: in masks beside the registers, so that sharing stays possible.
 */
import type { Register } from './values/register.js'
import { KIND, NOT_INIT } from './values/register.js'

export const REGISTERS = 11
export const FRAME_POINTER = 10
export const MAX_FRAMES = 8
/** Bytes of a frame's stack. */
export const STACK_SIZE = 512
export const SLOTS = STACK_SIZE / 8

/** What is known of a byte of the stack. */
export const BYTE = { INVALID: 0, SPILL: 1, MISC: 2, ZERO: 3, DYNPTR: 4, ITER: 5, IRQ: 6 } as const

/** Eight bytes of stack. */
export class StackSlot {
  constructor(
    /** {@link BYTE} of each byte, 4 bits each; the lowest bits are of the byte at the highest address. */
    readonly types: number,
    /** What was stored there: meaning only where bytes are SPILL or DYNPTR. */
    readonly spilled: Register,
  ) {}
}

const ALL = 0x1111_1111
export const ALL_SPILL = ALL * BYTE.SPILL
export const ALL_MISC = ALL * BYTE.MISC
export const ALL_ZERO = ALL * BYTE.ZERO
export const ALL_DYNPTR = ALL * BYTE.DYNPTR
export const ALL_ITER = ALL * BYTE.ITER
export const ALL_IRQ = ALL * BYTE.IRQ

export const EMPTY_SLOT = new StackSlot(0, NOT_INIT)
export const MISC_SLOT = new StackSlot(ALL_MISC, NOT_INIT)

/** @param index 0: the byte at the highest address */
export function byteType(types: number, index: number): number {
  return (types >>> (index << 2)) & 15
}

export function withByte(types: number, index: number, type: number): number {
  const shift = index << 2
  return (types & ~(15 << shift)) | (type << shift)
}

/** Whether a register was stored there: its byte at the lowest address tells. */
export function isSpilled(slot: StackSlot): boolean {
  return slot.types >>> 28 === BYTE.SPILL
}

export function isSpilledScalar(slot: StackSlot): boolean {
  return slot.types >>> 28 === BYTE.SPILL && slot.spilled.kind === KIND.SCALAR
}

export function isDynptrSlot(slot: StackSlot): boolean {
  return slot.types >>> 28 === BYTE.DYNPTR
}

/** What isn't bytes of the program: a dynptr, an iterator, saved flags. */
export function isSpecialSlot(slot: StackSlot): boolean {
  return slot.types >>> 28 >= BYTE.DYNPTR
}

export function isIteratorSlot(slot: StackSlot): boolean {
  return slot.types >>> 28 === BYTE.ITER
}

/** How a frame was called by a helper. */
export interface CallbackFrame {
  /** Name of the helper: `loop`. */
  readonly helper: string
  /** What it may return. */
  readonly least: number
  readonly most: number
  /** It runs later, on its own: a timer's. */
  readonly async: boolean
}

export class Frame {
  registers: Register[] = []
  /** Slot i is at r10 - 8 * (i + 1); those past the end were never touched. */
  stack: StackSlot[] = []
  /** Numbers that must be precise; of kept states. Bit i: register i. */
  preciseRegisters = 0
  /** Slots 0…31 and 32…63. */
  preciseSlotsLow = 0
  preciseSlotsHigh = 0
  callback: CallbackFrame | undefined = undefined
  /** How often the callback was entered on this path, of the frame that calls it. */
  callbackDepth = 0
  asyncEntries = 0

  constructor(
    readonly index: number,
    /** Slot of the call, or -1 for the first frame. */
    readonly callSite: number,
    /** Number of the function. */
    readonly subprogram: number,
  ) {}
}

export function copyFrame(from: Frame): Frame {
  const to = new Frame(from.index, from.callSite, from.subprogram)
  to.registers = from.registers.slice()
  to.stack = from.stack.slice()
  to.callback = from.callback
  to.callbackDepth = from.callbackDepth
  to.asyncEntries = from.asyncEntries
  return to
}

/** Something acquired that must be released, a lock that is held, or interrupts that are off. */
export interface Reference {
  readonly kind: 'pointer' | 'lock' | 'res_lock' | 'res_lock_irq' | 'irq'
  readonly id: number
  /** Slot that acquired it. */
  readonly insn: number
  /** Of a lock: what it protects. */
  readonly owner: unknown
}

/** How a path came to an instruction: kept where that isn't the one before, or where more must be known of it. A list from the last one on. */
export class HistoryEntry {
  readonly count: number

  constructor(
    readonly before: HistoryEntry | undefined,
    readonly insn: number,
    readonly previous: number,
    /** Frame and slot of the stack that was accessed: `frame << 6 | slot`; -1: none. */
    readonly stackAccess: number,
    /** Registers and slots that have the same id: see linked.ts. */
    readonly linked: readonly number[] | undefined,
  ) {
    this.count = before === undefined ? 1 : before.count + 1
  }
}

export class State {
  frames: Frame[] = []
  references: readonly Reference[] = []
  /** Locks among them. */
  activeLocks = 0
  /** Sections that read what RCU protects, and sections without preemption, around this place. */
  rcuLocks = 0
  preemptLocks = 0
  /** What came before: the state at which this path left one that is kept. */
  parent: State | undefined = undefined
  /** Paths that start here and haven't ended. */
  branches = 0
  insn = 0
  firstInsn = 0
  lastInsn = 0
  history: HistoryEntry | undefined = undefined
  sleepable = false
  /** A processor may come here, the program doesn't. */
  speculative = false
  mayGotoDepth = 0
  callbackUnrollDepth = 0
  /** Only what is alive is left in it. */
  cleaned = false
  /** It isn't compared with any more. */
  dropped = false
  hits = 0
  misses = 0
  /** Number of kept states before it on its path. */
  depth = 0

  get current(): Frame {
    return this.frames[this.frames.length - 1] as Frame
  }
}

export function copyState(from: State): State {
  const to = new State()
  to.frames = from.frames.map(copyFrame)
  to.references = from.references
  to.activeLocks = from.activeLocks
  to.rcuLocks = from.rcuLocks
  to.preemptLocks = from.preemptLocks
  to.parent = from.parent
  to.insn = from.insn
  to.firstInsn = from.firstInsn
  to.lastInsn = from.lastInsn
  to.history = from.history
  to.sleepable = from.sleepable
  to.speculative = from.speculative
  to.mayGotoDepth = from.mayGotoDepth
  to.callbackUnrollDepth = from.callbackUnrollDepth
  to.depth = from.depth
  return to
}

/** Instruction at which a frame stands: that of the call for all but the last one. */
export function frameInsn(state: State, frame: number): number {
  return frame === state.frames.length - 1 ? state.insn : (state.frames[frame + 1]?.callSite ?? 0)
}

/** Changes each register that `change` answers something new for: registers and spilled ones of all frames. */
export function mapRegisters(state: State, change: (register: Register) => Register): void {
  for (const frame of state.frames) {
    const { registers, stack } = frame
    for (let i = 0; i < FRAME_POINTER; i++) {
      const register = registers[i] as Register
      if (register.kind === KIND.NOT_INIT) continue
      const changed = change(register)
      if (changed !== register) registers[i] = changed
    }
    for (let i = 0; i < stack.length; i++) {
      const slot = stack[i] as StackSlot
      if (!isSpilled(slot)) continue
      const changed = change(slot.spilled)
      if (changed !== slot.spilled) stack[i] = new StackSlot(slot.types, changed)
    }
  }
}
