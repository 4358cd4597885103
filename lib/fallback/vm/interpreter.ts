/**
 * The interpreter: RFC 9669 whole, on registers of two signed 32-bit halves.
 *
 * Every access is checked against the memory's shadow, so it is safe with programs that no verifier has seen: what
 * goes wrong is a `TRAP` that says where and why. The hot loop allocates nothing and knows no BigInt.
 */
import { BpfError, unsupported } from '../../errors.js'
import { helperById } from '../../linux/helpers.js'
import { Access, KERNEL_HI } from '../memory.js'
import type { Memory } from '../memory.js'
import { execute } from './execute.js'
import type { Machine } from './execute.js'
import { Faults } from './faults.js'
import { Frames, MAX_CALL_FRAMES } from './frames.js'
import { atomicAccess, loadChecked, loadPacket, read, storeChecked, write } from './memory-access.js'
import { WORDS, predecode } from './predecode.js'
import type { PredecodedProgram } from './predecode.js'
import { Probes } from './probes.js'
import { Slots } from './slots.js'
import type { EngineEnvironment, ExecutableProgram, HelperFunction, Registers } from './types.js'

export { FUNC_HI } from './predecode.js'

/**
 * Makes a program ready to run.
 *
 * Instructions that no engine could run (unknown opcodes, jumps out of the program) trap when they are reached.
 *
 * @throws BpfError UNSUPPORTED if the program calls a helper that Linux has and `environment.helpers` lacks,
 *         BAD_OBJECT if the code is no multiple of 8 bytes, ENOMEM if there is no room for its stack
 */
export function createInterpreter(program: ExecutableProgram, environment: EngineEnvironment): Interpreter {
  return new Interpreter(program, environment)
}

/** What a run may take. */
interface RunLimits {
  /** Frames beside the first one. */
  readonly frames: number
  /** Instructions. */
  readonly fuel: number
}

export class Interpreter implements Machine {
  readonly program: ExecutableProgram
  readonly memory: Memory
  readonly registers: Registers
  words: Int32Array
  readonly #functions: ReadonlySet<number>
  readonly #code: PredecodedProgram
  readonly helpers: (HelperFunction | undefined)[] = []
  readonly frames: Frames
  readonly #environment: EngineEnvironment
  readonly #fuelPerRun: number
  readonly #faults: Faults
  #probes: Probes | undefined
  fuel = 0
  /** Frame of the function that runs, counted over nested runs; -1: idle. */
  depth = -1
  /** Word of the instruction that called what runs now: a helper, a tail call, a debugger. */
  callSite = 0
  /** Deepest frame that the current run may use. */
  deepest = 0
  #closed = false

  constructor(program: ExecutableProgram, environment: EngineEnvironment) {
    this.program = program
    this.memory = environment.memory
    this.#environment = environment
    this.#fuelPerRun = environment.fuel
    this.#functions = new Set(program.functions.map((f) => f.start))
    this.#faults = new Faults(program, environment.memory, environment.fuel)
    this.#code = predecode(new Slots(program.code, program.casts))
    this.words = this.#code.words
    this.registers = { lo: this.#code.lo, hi: this.#code.hi }
    // All of them, not only those with a constant id: a call by register may name any.
    for (const [id, helper] of environment.helpers) this.helpers[id] = helper
    for (const id of this.#code.helpers) {
      const known = helperById(id)
      // Unknown ids are what libbpf leaves in place of CO-RE accesses that can't be resolved: dead code, or a trap.
      if (known !== undefined && this.helpers[id] === undefined)
        throw unsupported(`helper bpf_${known.name}#${id}`, `Program '${program.name}' calls it`)
    }
    this.frames = new Frames(environment.memory, program.name)
  }

  run(context: number, second = 0): void {
    this.#start(
      0,
      { frames: MAX_CALL_FRAMES - 1, fuel: this.depth < 0 ? this.#fuelPerRun : this.fuel },
      () => {
        const { lo, hi } = this.registers
        lo[1] = context
        hi[1] = KERNEL_HI
        lo[2] = second
        hi[2] = 0
      },
    )
  }

  /**
   * Runs the rest of a function that another engine began, on the same memory. Leaves r0 in `registers`.
   *
   * @param values r0…r10 in halves, the low one first; r10 leads to the function's stack
   * @returns the fuel that is left
   */
  resume(slot: number, values: Int32Array, limits: RunLimits): number {
    const fuel = this.fuel
    this.#start(slot * WORDS, limits, (bottom) => {
      const { lo, hi } = this.registers
      for (let r = 0; r < values.length >> 1; r++) {
        lo[r] = values[2 * r] ?? 0
        hi[r] = values[2 * r + 1] ?? 0
      }
      const stack = this.frames.replace(bottom, values.at(-2) ?? 0)
      return () => this.frames.replace(bottom, stack)
    })
    const left = this.fuel
    this.fuel = fuel
    return left
  }

  /** @param prepare sets registers for the frame whose number it is given. @returns what is to be done in the end */
  #start(entry: number, limits: RunLimits, prepare: (bottom: number) => (() => void) | void): void {
    const outer = this.depth
    const outerDeepest = this.deepest
    const { callSite } = this
    const outermost = outer < 0
    if (this.#closed) throw new BpfError('CLOSED', `program '${this.program.name}' was closed`)
    if (!outermost) {
      this.frames.saveRegisters(outer, this.registers)
      this.frames.leave(outer, callSite + WORDS)
    }
    this.fuel = limits.fuel
    let after: (() => void) | void = undefined
    try {
      this.frames.reserve(outer + 1)
      this.deepest = outer + 1 + limits.frames
      after = prepare(outer + 1)
      execute(this, entry, outer + 1)
    } finally {
      after?.()
      this.depth = outer
      this.deepest = outerDeepest
      this.callSite = callSite
      if (!outermost) this.frames.restoreRegisters(outer, this.registers)
      else this.#probes?.ended()
    }
  }

  call(functionAddress: number, args: readonly number[]): void {
    const caller = this.depth
    if (caller < 0)
      throw new BpfError(
        'BAD_PHASE',
        `program '${this.program.name}' isn't running: only helpers call its functions`,
      )
    if (!this.#functions.has(functionAddress))
      throw new BpfError(
        'TRAP',
        `program '${this.program.name}': no function starts at slot ${functionAddress}`,
      )
    if (caller + 1 > this.deepest) throw this.tooDeep(this.callSite)
    this.frames.saveRegisters(caller, this.registers)
    const { callSite } = this
    this.frames.leave(caller, callSite + WORDS)
    const { lo, hi } = this.registers
    for (let i = 0; i < 5; i++) {
      lo[i + 1] = args[2 * i] ?? 0
      hi[i + 1] = args[2 * i + 1] ?? 0
    }
    try {
      execute(this, functionAddress * WORDS, caller + 1)
    } finally {
      this.depth = caller
      this.callSite = callSite
      this.frames.restoreRegisters(caller, this.registers)
    }
  }

  /** Where a debugger sets its probes; from the next run on they count. */
  get probes(): Probes {
    if (this.#probes === undefined) {
      this.#probes = new Probes(this.#code.words)
      this.words = this.#probes.words
    }
    return this.#probes
  }

  probe(pc: number): number {
    return this.probes.hit(pc)
  }

  position(): number | undefined {
    return this.depth < 0 ? undefined : this.#slotOf(this.callSite)
  }

  /** Slots to which the frames below the one that runs return, the outermost first. */
  get returns(): readonly number[] {
    return this.frames.returnsOf(0, this.depth).map((word) => this.#slotOf(word))
  }

  #slotOf(pc: number): number {
    return this.#probes?.slotOf(pc) ?? pc / WORDS
  }

  tailCall(): boolean {
    const { tailCall } = this.#environment
    if (tailCall === undefined) throw unsupported(`bpf_tail_call#12 (program '${this.program.name}')`)
    return tailCall(this.registers, this)
  }

  packetLoad(pc: number, size: number): boolean {
    const { packetAt } = this.#environment
    if (packetAt === undefined) throw this.#faults.packetsMissing(this.#slotOf(pc))
    const isThere = loadPacket(this.memory, this.registers, this.words, pc, size, packetAt)
    if (isThere === undefined) throw this.#faults.noPacket(this.#slotOf(pc))
    return isThere
  }

  close(): void {
    if (this.depth >= 0)
      throw new BpfError('EBUSY', `program '${this.program.name}' is running and can't be closed`, {
        errno: 16,
      })
    if (!this.#closed) this.frames.free()
    this.#closed = true
  }

  outOfFuel(pc: number): BpfError {
    return this.#faults.outOfFuel(this.#slotOf(pc))
  }

  tooDeep(pc: number): BpfError {
    return this.#faults.tooDeep(this.#slotOf(pc))
  }

  load(pc: number, size: number, signed: boolean): void {
    const bad = loadChecked(this.memory, this.registers, this.words, pc, size, signed)
    if (bad === undefined) return
    const slot = this.#slotOf(pc)
    const dst = this.words[pc + 1] ?? 0
    const place = this.#faults.placeOf(slot, bad.hi, bad.address, size)
    if (place !== undefined)
      return read(this.memory, this.registers, dst, place.address, place.size, place.signed)
    if (!this.#faults.readsZero(slot, bad.hi, bad.address))
      throw this.#faults.badAccess(slot, bad.hi, bad.address, size, Access.read)
    const { lo, hi } = this.registers
    lo[dst] = hi[dst] = 0
  }

  store(pc: number, size: number): void {
    const bad = storeChecked(this.memory, this.registers, this.words, pc, size)
    if (bad === undefined) return
    const slot = this.#slotOf(pc)
    const place = this.#faults.placeOf(slot, bad.hi, bad.address, size)
    if (place === undefined) throw this.#faults.badAccess(slot, bad.hi, bad.address, size, Access.write)
    write(this.memory, this.registers, this.words[pc + 2] ?? 0, place.address, place.size)
  }

  atomic(pc: number, size: number): void {
    const slot = this.#slotOf(pc)
    const imm = this.#faults.instructions[slot]?.imm ?? 0
    const bad = atomicAccess(this.memory, this.registers, this.words, pc, size, imm)
    if (bad === undefined) return
    if (bad === 'operation') throw this.#faults.badAtomic(slot, size)
    throw this.#faults.badAccess(slot, bad.hi, bad.address, size, bad.access)
  }

  helperMissing(pc: number, id: number): BpfError {
    return this.#faults.helperMissing(this.#slotOf(pc), id)
  }

  stopped(pc: number): BpfError {
    return this.#faults.stopped(this.#slotOf(pc))
  }
}
