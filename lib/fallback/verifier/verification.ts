/** A verification under way: the program, what was found out about it, and the path at hand. */
import type { Privileges } from '../../linux/capabilities.js'
import { isGplCompatible } from '../../linux/license.js'
import { BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import { attachTarget, type AttachTarget } from './attach-target.js'
import { Speculation } from './barriers.js'
import type { FlowMarks } from './cfg.js'
import type { Code } from './code.js'
import { type KernelTypes, NO_KERNEL_TYPES } from './kernel-types.js'
import { LocalTypes } from './local-types.js'
import type { VerifierProgram } from './program.js'
import type { VerifierLog } from './log.js'
import { PrecisionRemarks } from './precision-remarks.js'
import { EFAULT, Rejection } from './rejection.js'
import { StackLiveness } from './stack-liveness.js'
import type { Reference } from './state.js'
import { copyState, type Frame, HistoryEntry, State } from './state.js'
import type { Subprogram } from './subprograms.js'
import { KIND, NOT_INIT, type Register, UNKNOWN } from './values/register.js'

/** Branches that wait to be followed. */
const MAX_PENDING = 8192

export interface Limits {
  /** Instructions that may be processed. */
  readonly instructions: number
  /** Milliseconds; undefined: none but the instructions. */
  readonly milliseconds: number | undefined
}

interface Pending {
  readonly state: State
  readonly insn: number
  readonly previous: number
  /** Of the log, when the branch was left. */
  readonly logPosition: number
}

export class Verification {
  readonly gpl: boolean
  readonly sleepable: boolean
  readonly strictAlignment: boolean
  /** Programs may know addresses, and read stack that nobody has written. */
  readonly mayLeak: boolean
  /** CAP_BPF: numbers may be imprecise, functions called, loops walked. */
  readonly capable: boolean
  /** Undefined: who loads the program needn't be kept from speculation. */
  readonly speculation: Speculation | undefined
  /** Keep a state at every point: what tests ask for. */
  readonly alwaysCheckpoint: boolean
  readonly stackLiveness: StackLiveness
  /** Undefined: nobody reads them. */
  readonly remarks: PrecisionRemarks | undefined
  readonly kernel: KernelTypes
  /** Types of objects that the program makes. */
  readonly locals: LocalTypes
  /** Number of the function that exceptions run. */
  exceptionCallback: number | undefined = undefined
  /** What isn't known, and was taken for right: nothing is accepted then. */
  assumed: string | undefined = undefined
  /** What its context is, if BTF says that. */
  readonly target: AttachTarget | undefined

  state = new State()
  insn = 0
  /** Instruction before it on this path; -1: none. */
  previous = -1
  /** The instruction that is or was simulated last. */
  simulated: number | undefined = undefined
  /** What the instruction at hand has remembered of itself. */
  entry: HistoryEntry | undefined = undefined
  insnsProcessed = 0
  jumpsProcessed = 0
  previousInsns = 0
  previousJumps = 0
  totalStates = 0
  heldStates = 0
  peakStates = 0
  /** States that one more was compared with, at most. */
  statesAtInsn = 0
  /** Kept states by instruction and call site: see `placeOf()`. Most instructions have none. */
  readonly explored: (State[] | undefined)[] = []
  private readonly pending: Pending[] = []
  private lastId = 0
  /** What kinds of pointers each memory instruction used, as a mask: some may not be mixed. */
  readonly pointerKinds: Int32Array
  /** Bytes of the context up to the last one that was accessed. */
  contextSize = 0
  /** A stack pointer was taken for one of another frame: nothing is proven of the stack. */
  framesAreMixed = false
  /** Flags of the kernel objects that each instruction stores to. */
  readonly storeFlags = new Map<number, number>()
  /** A number was taken for what it was before a pointer was added: nothing is proven. */
  numbersAreWrong = false
  /** Callbacks of bpf_loop() calls that can be inlined, by slot; -1: it can't. */
  readonly inlinedLoops = new Map<number, number>()
  /** Lets loops be told from loops: visits of strongly connected components by chain of calls. */
  readonly visits = new Map<string, { entry: State | undefined; backEdges: BackEdge[] | undefined }>()

  constructor(
    readonly program: VerifierProgram,
    readonly code: Code,
    readonly subprograms: readonly Subprogram[],
    readonly marks: FlowMarks,
    readonly liveRegisters: Uint16Array,
    readonly component: Int32Array,
    readonly limits: Limits,
    readonly log: VerifierLog | undefined,
    readonly privileges: Privileges = 'all',
  ) {
    const flag = (bit: number): boolean => (program.flags & bit) !== 0
    this.gpl = isGplCompatible(program.license)
    this.mayLeak = privileges === 'all'
    this.capable = privileges !== 'none'
    this.speculation = this.mayLeak ? undefined : new Speculation(code.length)
    this.sleepable = flag(BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE)
    this.strictAlignment =
      flag(BPF_PROGRAM_FLAGS.BPF_F_STRICT_ALIGNMENT) && !flag(BPF_PROGRAM_FLAGS.BPF_F_ANY_ALIGNMENT)
    this.alwaysCheckpoint = flag(BPF_PROGRAM_FLAGS.BPF_F_TEST_STATE_FREQ)
    this.remarks = this.capable && log?.detailed ? new PrecisionRemarks(log) : undefined
    this.kernel = program.kernel ?? NO_KERNEL_TYPES
    this.locals = new LocalTypes(program.types)
    this.target = attachTarget(program, this.kernel)
    this.stackLiveness = new StackLiveness(code, subprograms)
    this.explored.length = code.length
    this.pointerKinds = new Int32Array(code.length)
  }

  get frame(): Frame {
    return this.state.current
  }

  get registers(): Register[] {
    return this.state.current.registers
  }

  /** Whether a register holds an address that nobody may learn. */
  isSecret(register: Register): boolean {
    return !this.mayLeak && register.kind !== KIND.SCALAR
  }

  /** What is left of a pointer to what is gone: a number, for those who may know addresses. */
  get remains(): Register {
    return this.mayLeak ? UNKNOWN : NOT_INIT
  }

  register(number: number): Register {
    return this.state.current.registers[number] as Register
  }

  /** Where states at an instruction are kept, as Linux hashes them. */
  placeOf(state: State, insn: number): number {
    return ((insn ^ state.current.callSite) >>> 0) % this.code.length
  }

  /** Goes on as if what isn't known were right. */
  assume(what: string): void {
    this.assumed ??= what
  }

  newId(): number {
    return ++this.lastId
  }

  /**
   * The path forks: another one goes on at `insn`.
   *
   * @param overflow the error number if too many are left to be followed: each kind of fork has its own
   * @returns its state, which the caller may change
   */
  push(insn: number, previous: number, speculative = false, overflow = EFAULT): State {
    const state = copyState(this.state)
    if (speculative) state.speculative = true
    this.queue(state, insn, previous, overflow)
    return state
  }

  /** A path of its own starts: a callback that runs later. */
  queue(state: State, insn: number, previous: number, overflow = EFAULT): void {
    state.branches = 1
    if (state.parent !== undefined) state.parent.branches++
    this.pending.push({ state, insn, previous, logPosition: this.log?.position ?? 0 })
    if (this.pending.length > MAX_PENDING)
      throw new Rejection(overflow, `The sequence of ${MAX_PENDING + 1} jumps is too complex.`)
  }

  /** Goes on with the branch that was pushed last. @returns false: there is none left */
  pop(): boolean {
    const next = this.pending.pop()
    if (next === undefined) return false
    this.state = next.state
    this.insn = next.insn
    this.previous = next.previous
    this.log?.branch(next.previous, next.logPosition)
    this.stackLiveness.reset()
    return true
  }

  /** Remembers that the path came by the instruction at hand, and what it did to the stack or to linked numbers. */
  remember(stackAccess: number, linked?: readonly number[]): void {
    const { state, entry } = this
    const combined =
      entry === undefined
        ? new HistoryEntry(state.history, this.insn, this.previous, stackAccess, linked)
        : new HistoryEntry(
            entry.before,
            entry.insn,
            entry.previous,
            stackAccess >= 0 ? stackAccess : entry.stackAccess,
            linked ?? entry.linked,
          )
    this.entry = combined
    state.history = combined
  }

  addReference(kind: Reference['kind'], id: number, owner: unknown): void {
    const { state } = this
    state.references = [...state.references, { kind, id, insn: this.insn, owner }]
    if (kind !== 'pointer' && kind !== 'irq') state.activeLocks++
  }

  /** @returns false: there is no such reference */
  dropReference(id: number): boolean {
    const { references } = this.state
    const kept = references.filter((reference) => reference.kind !== 'pointer' || reference.id !== id)
    this.state.references = kept
    return kept.length < references.length
  }
}

/** A path that ended at a state of a loop that isn't finished: what that state turns out to need, the path needs too. */
export interface BackEdge {
  readonly state: State
  readonly equal: State
}
