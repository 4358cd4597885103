/** A debugger for programs in the interpreter: breakpoints, steps, traces and coverage. */
import { BpfError, type SourcePosition } from '../../errors.js'
import { describe } from '../describe.js'
import type { Interpreter } from '../vm/interpreter.js'
import type { ProbeListener } from '../vm/probes.js'
import { trap } from '../vm/trap.js'
import { decode } from '../../isa/instruction.js'
import { Coverage } from './coverage.js'
import { Listing, type ListedInstruction, type Place } from './listing.js'
import { registersOf, Stop } from './stop.js'

/**
 * How a program goes on: to the next breakpoint; by one instruction (`'step'`); to the next source line, into functions (`'line'`) or over them (`'over'`); until the
 * function has returned (`'out'`); or not at all (`'end'`: the run throws a `TRAP`).
 */
export type StopAction = 'continue' | 'step' | 'line' | 'over' | 'out' | 'end'

/** Called with a program that stands still. Nothing returned is `'continue'`. */
export type StopHandler = (stop: Stop) => StopAction | undefined | void

/** An instruction that is about to run, and the registers before it. */
export interface TracedInstruction extends ListedInstruction {
  /** Frames below: 0 in the program's own function. */
  readonly depth: number
  /** r0 to r10, unsigned. */
  readonly registers: readonly bigint[]
}

/** A source line that is about to run. */
export interface TracedLine {
  readonly source: SourcePosition
  readonly function: string
  readonly depth: number
}

export type TraceSink<T> = (entry: T) => void

/** Undoes what gave it. */
export interface Removable extends Disposable {
  remove(): void
}

interface Breakpoint {
  readonly slots: ReadonlySet<number>
  readonly handler: StopHandler
}

interface Stepping {
  readonly action: Exclude<StopAction, 'continue' | 'end'>
  readonly handler: StopHandler
  readonly depth: number
}

/** What a debugger needs of a loaded program. */
export interface Debuggee {
  readonly name: string
  /** Runs in an interpreter from now on, until it is released. */
  interpret(): Interpreter
  stopInterpreting(): void
}

const ACTIONS: readonly unknown[] = ['continue', 'step', 'line', 'over', 'out', 'end', undefined]

/**
 * A debugger of one program, wherever it is run from: `run()`, a tracepoint that fires, a tail call. While it is open, the program runs in the
 * interpreter. Handlers are called in the middle of the run, and the program stands still until they return: also in callbacks of helpers.
 */
export class Debugger implements ProbeListener {
  readonly #debuggee: Debuggee
  readonly #interpreter: Interpreter
  readonly #listing: Listing
  readonly #breakpoints = new Set<Breakpoint>()
  readonly #instructionSinks = new Set<TraceSink<TracedInstruction>>()
  readonly #lineSinks = new Set<TraceSink<TracedLine>>()
  #coverage: Coverage | undefined
  #stepping: Stepping | undefined
  #isOpen = true

  /** @internal */
  constructor(debuggee: Debuggee) {
    this.#debuggee = debuggee
    this.#interpreter = debuggee.interpret()
    this.#listing = new Listing(this.#interpreter.program)
    this.#interpreter.probes.listen(this)
  }

  /** The program as it runs, one entry an instruction. */
  get instructions(): readonly ListedInstruction[] {
    return this.#listing.instructions
  }

  /**
   * Stops before the instructions of a place.
   *
   * @throws BpfError `BAD_VALUE` where there is nothing: the message says what there is
   */
  breakpoint(place: Place, handler: StopHandler): Removable {
    this.#assertOpen()
    if (typeof place !== 'object' || place === null || typeof handler !== 'function')
      throw new BpfError(
        'BAD_VALUE',
        `breakpoint() takes a place and a function: breakpoint({ line: 12 }, (stop) => …)`,
      )
    const breakpoint: Breakpoint = { slots: new Set(this.#listing.find(place)), handler }
    return this.#add(this.#breakpoints, breakpoint)
  }

  /** Stops before the first instruction of the next run: for going on from there by steps. */
  pause(handler: StopHandler): void {
    this.#assertOpen()
    this.#stepping = { action: 'step', handler, depth: 0 }
    this.#arm()
  }

  /** Tells of each instruction before it runs. */
  traceInstructions(sink: TraceSink<TracedInstruction>): Removable {
    this.#assertOpen()
    return this.#add(this.#instructionSinks, sink)
  }

  /** Tells of each source line before it runs. */
  traceLines(sink: TraceSink<TracedLine>): Removable {
    this.#assertOpen()
    return this.#add(this.#lineSinks, sink)
  }

  /** Starts to count, or gives the counts that were started. */
  coverage(): Coverage {
    this.#assertOpen()
    this.#coverage ??= new Coverage(this.#interpreter.program.name, this.#listing)
    this.#arm()
    return this.#coverage
  }

  /** The program runs in its own engine again. What was counted stays. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#breakpoints.clear()
    this.#interpreter.probes.arm(() => false)
    this.#interpreter.probes.listen(undefined)
    this.#debuggee.stopInterpreting()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal */
  reached(slot: number): void {
    this.#coverage?.count(slot)
    const listed = this.#listing.at(slot)
    const { depth } = this.#interpreter
    this.#trace(listed, depth)
    const stepping = this.#stepping
    if (stepping !== undefined && isDue(stepping, listed, depth))
      return this.#stop(slot, 'step', [stepping.handler])
    const handlers = [...this.#breakpoints]
      .filter(({ slots }) => slots.has(slot))
      .map(({ handler }) => handler)
    if (handlers.length > 0) this.#stop(slot, 'breakpoint', handlers)
  }

  /** @internal */
  ended(): void {
    if (this.#stepping === undefined) return
    this.#stepping = undefined
    this.#arm()
  }

  #trace(listed: ListedInstruction, depth: number): void {
    for (const sink of this.#instructionSinks)
      sink({ ...listed, depth, registers: registersOf(this.#interpreter) })
    const { source, startsLine, function: name } = listed
    if (source === undefined || !startsLine) return
    for (const sink of this.#lineSinks) sink({ source, function: name, depth })
  }

  #stop(slot: number, reason: 'breakpoint' | 'step', handlers: readonly StopHandler[]): void {
    this.#stepping = undefined
    const { depth, program } = this.#interpreter
    for (const handler of handlers) {
      const action: unknown = handler(new Stop(this.#interpreter, this.#listing, slot, reason)) ?? undefined
      if (!ACTIONS.includes(action))
        throw new BpfError(
          'BAD_VALUE',
          `a handler of stops returns 'continue', 'step', 'line', 'over', 'out' or 'end', not ${describe(action)}`,
        )
      if (action === 'end') throw trap(program, decode(program.code), slot, 'ended by the debugger')
      if (action !== undefined && action !== 'continue')
        this.#stepping = { action: action as Stepping['action'], handler, depth }
    }
    this.#arm()
  }

  #add<T>(set: Set<T>, item: T): Removable {
    set.add(item)
    this.#arm()
    const remove = (): void => {
      if (set.delete(item) && this.#isOpen) this.#arm()
    }
    return { remove, [Symbol.dispose]: remove }
  }

  /** Everything is looked at where anything asks for it; else breakpoints alone. */
  #arm(): void {
    const all =
      this.#coverage !== undefined ||
      this.#stepping !== undefined ||
      this.#instructionSinks.size + this.#lineSinks.size > 0
    const breakpoints = [...this.#breakpoints]
    const { probes } = this.#interpreter
    if (all) probes.arm(() => true)
    else probes.arm((slot) => breakpoints.some(({ slots }) => slots.has(slot)))
  }

  #assertOpen(): void {
    if (!this.#isOpen)
      throw new BpfError('CLOSED', `the debugger of program '${this.#interpreter.program.name}' is closed`)
  }
}

function isDue(
  { action, depth: asked }: Stepping,
  { startsLine }: ListedInstruction,
  depth: number,
): boolean {
  switch (action) {
    case 'step':
      return true
    case 'line':
      return startsLine
    case 'over':
      return startsLine && depth <= asked
    case 'out':
      return depth < asked
  }
}
