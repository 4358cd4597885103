/** Programs that were loaded, and what runs them. */
import type { AttachRequest } from '../attach-request.js'
import { BpfError, unsupported } from '../errors.js'
import type { KernelLink, KernelProgram, ProgramInfo, RunOptions, RunResult } from '../kernel.js'
import type { ProgramDefinition } from '../object-file/types.js'
import type { Debuggee } from './debug/debugger.js'
import { attachToTracepoint } from './attach.js'
import type { ListedProgram, RunCount } from './listed-program.js'
import type { ObjectSpace } from './hooks/layout.js'
import type { Tracepoints } from './hooks/tracepoints.js'
import type { Machine } from './machine.js'
import type { HeldProgram } from './maps/types.js'
import type { Memory } from './memory.js'
import { runOnDemand } from './run-on-demand.js'
import type { PreparedProgram } from './loader/load-program.js'
import { createInterpreter, Interpreter } from './vm/interpreter.js'
import type { Registers } from './vm/types.js'

/** A program in the kernel. It lives as long as its object or a link holds it. */
export class LoadedProgram implements HeldProgram, Debuggee, ListedProgram {
  readonly id: number
  readonly definition: ProgramDefinition
  readonly space: SharedSpace
  readonly loadTime: bigint
  readonly runs: RunCount = { count: 0, nanoseconds: 0 }
  readonly #machine: Machine
  readonly #prepared: PreparedProgram
  #holders = 1
  /** Runs the program while a debugger looks. */
  #interpreter: Interpreter | undefined
  #isDebugged = false

  /** Takes a hold on the maps that the program refers to. */
  constructor(
    machine: Machine,
    definition: ProgramDefinition,
    prepared: PreparedProgram,
    space: SharedSpace,
  ) {
    this.id = machine.newProgramId()
    this.definition = definition
    this.space = space.retain()
    this.loadTime = machine.clock.now()
    this.#machine = machine
    this.#prepared = prepared
    for (const map of prepared.maps) map.retain()
    machine.programs.set(this.id, this)
  }

  get name(): string {
    return this.definition.name
  }

  get license(): string {
    return this.#prepared.license
  }

  get instructions(): Uint8Array {
    return this.#prepared.code
  }

  get mapIds(): readonly number[] {
    return Array.from(this.#prepared.maps, ({ id }) => id)
  }

  /**
   * Runs it once.
   *
   * @param context low half of the context's address
   * @returns r0 as an unsigned 32-bit number
   * @throws BpfError `TRAP`
   */
  execute(context: number): number {
    const machine = this.#machine
    const outerTailCalls = machine.tailCalls
    machine.tailCalls = 0
    try {
      return (this.#run(context).lo[0] ?? 0) >>> 0
    } finally {
      machine.tailCalls = outerTailCalls
    }
  }

  continueWith(context: number, registers: Registers): void {
    const { lo, hi } = this.#run(context)
    registers.lo[0] = lo[0] ?? 0
    registers.hi[0] = hi[0] ?? 0
  }

  /** @throws BpfError `EBUSY` while another debugger looks */
  interpret(): Interpreter {
    if (this.#isDebugged)
      throw new BpfError('EBUSY', `program '${this.name}' has a debugger already`, {
        errno: 16,
        hint: 'Close that first',
      })
    this.#isDebugged = true
    this.retain()
    return this.#runner
  }

  stopInterpreting(): void {
    this.#isDebugged = false
    this.release()
  }

  get #runner(): Interpreter {
    const { engine, environment } = this.#prepared
    this.#interpreter ??=
      engine instanceof Interpreter ? engine : createInterpreter(engine.program, environment)
    return this.#interpreter
  }

  get kind(): string {
    const { type, expectedAttachType } = this.definition
    return `${type} ${expectedAttachType}`
  }

  /** @returns the registers as it left them */
  #run(context: number): Registers {
    const machine = this.#machine
    const engine = this.#isDebugged ? this.#runner : this.#prepared.engine
    const outer = machine.objects
    const { space } = this.space
    machine.objects = space
    // Its objects have the addresses that it may hold from now on: nothing changes them before it ends.
    space.refresh(machine.changes.value)
    machine.running++
    this.retain()
    const { reservations } = machine
    const reservedBefore = reservations.count
    const start = machine.runTimeCounters > 0 ? performance.now() : undefined
    try {
      engine.run(context)
      if (reservations.count > reservedBefore) throw this.#leak(reservations.newest)
      return engine.registers
    } finally {
      // Whatever ended the program: a record that stays reserved would hold up the ring buffer for ever.
      reservations.discardDownTo(reservedBefore)
      if (start !== undefined) {
        this.runs.count++
        this.runs.nanoseconds += Math.round((performance.now() - start) * 1e6)
      }
      machine.running--
      machine.objects = outer
      this.release()
    }
  }

  /** Bytes of the context that it accesses. */
  get contextSize(): number {
    return this.#prepared.contextSize
  }

  get isSandboxed(): boolean {
    return this.#prepared.environment.sandboxed
  }

  #leak(ring: string): BpfError {
    return new BpfError(
      'TRAP',
      `program '${this.name}' ended with a record of ring buffer '${ring}' still reserved`,
      {
        hint: 'Linux refuses it (BPF_EXIT instruction in main prog would lead to reference leak): submit or discard the record on every path. It was discarded here',
      },
    )
  }

  retain(): this {
    this.#holders++
    return this
  }

  release(): void {
    if (--this.#holders > 0) return
    this.#machine.programs.delete(this.id)
    this.#prepared.engine.close()
    this.#interpreter?.close()
    for (const map of this.#prepared.maps) map.release()
    this.space.release()
  }
}

/** The laid-out objects of one target BTF, shared by an object's programs. */
export class SharedSpace {
  #holders = 1

  constructor(readonly space: ObjectSpace) {}

  retain(): this {
    this.#holders++
    return this
  }

  release(): void {
    if (--this.#holders === 0) this.space.close()
  }
}

/** A program as the seam wants it. */
export class FallbackProgram implements KernelProgram {
  readonly info: ProgramInfo
  readonly fd = undefined
  readonly #machine: Machine
  readonly #tracepoints: Tracepoints<LoadedProgram>
  readonly #program: LoadedProgram
  #closed = false

  /** Takes over one hold on the program. */
  constructor(machine: Machine, tracepoints: Tracepoints<LoadedProgram>, program: LoadedProgram) {
    this.#machine = machine
    this.#tracepoints = tracepoints
    this.#program = program
    const { name, section, type = 0, expectedAttachType } = program.definition
    this.info = { name, section, id: program.id, type, expectedAttachType, tag: '', log: '' }
  }

  readStream(): number {
    throw unsupported(`streams of program '${this.info.name}' in the fallback kernel`)
  }

  attach(request?: AttachRequest): KernelLink {
    this.#assertOpen()
    return attachToTracepoint(this.#machine, this.#tracepoints, this.#program, this.info, request)
  }

  run(options: RunOptions): RunResult {
    this.#assertOpen()
    return runOnDemand(this.#machine, this.#program, this.info, options)
  }

  /** The program itself, with a hold on it for the caller; undefined if it lies in another kernel's memory. */
  share(memory: Memory): LoadedProgram | undefined {
    this.#assertOpen()
    return memory === this.#machine.memory ? this.#program.retain() : undefined
  }

  // eslint-disable-next-line typescript/require-await -- what it throws is a rejection
  async runAsync(options: RunOptions): Promise<RunResult> {
    return this.run(options)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#program.release()
  }

  #assertOpen(): void {
    if (this.#closed) throw new BpfError('CLOSED', `program '${this.info.name}' is closed`)
  }
}
