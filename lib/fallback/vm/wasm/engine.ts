/**
 * The compiler to WebAssembly as an engine: what the interpreter does, at the speed of machine code.
 *
 * A program becomes a module on the kernel's memory; what it can't do itself, it asks of this class. Numbers cross the border as
 * 32-bit halves only. Accesses that no verifier has proven are checked, and loops of programs that none has seen are counted: see
 * checks.ts and compile-function.ts.
 */
import { BpfError, unsupported } from '../../../errors.js'
import { helperById } from '../../../linux/helpers.js'
import { OP } from '../../../isa/opcodes.js'
import { Access, KERNEL_HI } from '../../memory.js'
import type { Memory } from '../../memory.js'
import { compileWasm, instantiateWasm, isWasmTrap } from '../../web-assembly.js'
import type { WasmFunction, WasmImports, WasmMemory } from '../../web-assembly.js'
import { Faults } from '../faults.js'
import { Frames, MAX_CALL_FRAMES } from '../frames.js'
import { createInterpreter } from '../interpreter.js'
import type { Interpreter } from '../interpreter.js'
import { read, write } from '../memory-access.js'
import type { Engine, EngineEnvironment, ExecutableProgram, Registers } from '../types.js'
import { createBridge } from './bridge.js'
import { MUST_BE_ALIGNED } from './checks.js'
import { arityOf, IMPORT, MOST_ARGUMENTS } from './imports.js'
import { compileProgram, entryName, surelyCompiles } from './module.js'
import type { CompiledProgram } from './module.js'
import { STATE, STATE_SIZE } from './state.js'

const REGISTERS = 11
const TWO_32 = 4294967296
const IDLE = -1
/** Registers that come back after a helper has run other code: r1…r5, in both halves. */
const KEPT = 5

/**
 * Makes a program ready to run.
 *
 * @returns undefined if it can't be compiled: a function of it is larger than WebAssembly engines take
 * @throws BpfError as createInterpreter does
 */
export function createWasmEngine(
  program: ExecutableProgram,
  environment: EngineEnvironment,
): Engine | undefined {
  const { memory, helpers, proof, intrinsics } = environment
  const known = proof?.(program)
  const compile = (): CompiledProgram | undefined =>
    compileProgram(program, {
      state,
      helpers: new Set(helpers.keys()),
      intrinsics,
      arityOf: arityIn(environment),
      isProven: (slot) => known?.isProven(slot) === true,
      usesShadow: known?.provesAll !== true,
      isUnbounded: known?.terminates !== true,
      loopsEnd: known?.loopsEnd === true,
    })
  const frames = new Frames(memory, program.name)
  const state = memory.alloc(STATE_SIZE, Access.none, 16, `state of program '${program.name}'`)
  const giveUp = (): undefined => {
    frames.free()
    memory.free(state)
    return undefined
  }
  try {
    if (surelyCompiles(program, helpers))
      return new WasmEngine(program, environment, { state, frames }, compile)
    const compiled = compile()
    if (compiled === undefined) return giveUp()
    for (const id of compiled.called) {
      const helper = helperById(id)
      // Unknown ids are what libbpf leaves in place of CO-RE accesses that can't be resolved: dead code, or a trap.
      if (helper !== undefined && !helpers.has(id))
        throw unsupported(`helper bpf_${helper.name}#${id}`, `Program '${program.name}' calls it`)
    }
    return new WasmEngine(program, environment, { state, frames }, () => compiled)
  } catch (error) {
    giveUp()
    throw error
  }
}

/** A program that was compiled. */
interface Ready {
  readonly compiled: Pick<CompiledProgram, 'functions' | 'traps'>
  /** By start slot. */
  readonly entries: ReadonlyMap<number, WasmFunction | undefined>
}

class WasmEngine implements Engine {
  readonly program: ExecutableProgram
  readonly memory: Memory
  readonly registers: Registers = { lo: new Int32Array(REGISTERS), hi: new Int32Array(REGISTERS) }
  readonly #environment: EngineEnvironment
  readonly #faults: Faults
  readonly #frames: Frames
  readonly #compile: () => CompiledProgram | undefined
  /** Made for the first run: of most objects few programs run. */
  #ready: Ready | undefined
  readonly #functions: ReadonlySet<number>
  /** Index of the first word of the engine's block in `memory.i32`. */
  readonly #words: number
  readonly #state: number
  /** r1…r5 of helpers that run other code, one after the other. */
  readonly #kept: number[] = []
  /** Made when a function can't go on. */
  #interpreter: Interpreter | undefined
  #framesInPlace = 0
  #closed = false

  constructor(
    program: ExecutableProgram,
    environment: EngineEnvironment,
    { state, frames }: { readonly state: number; readonly frames: Frames },
    compile: () => CompiledProgram | undefined,
  ) {
    this.program = program
    this.memory = environment.memory
    this.#environment = environment
    this.#state = state
    this.#words = state >>> 2
    this.#faults = new Faults(program, environment.memory, environment.fuel)
    this.#functions = new Set(program.functions.map((f) => f.start))
    this.#compile = compile
    this.#frames = frames
    this.#word(STATE.DEPTH, IDLE)
  }

  run(context: number, second = 0): void {
    if (this.#closed) throw new BpfError('CLOSED', `program '${this.program.name}' was closed`)
    const outer = this.#wordAt(STATE.DEPTH)
    const outerDeepest = this.#wordAt(STATE.DEEPEST)
    if (outer === IDLE) this.#fill(this.#environment.fuel)
    else this.#keep()
    try {
      this.#reserve(outer + 1)
      this.#word(STATE.DEEPEST, outer + MAX_CALL_FRAMES)
      this.#enter(0, outer + 1, context, KERNEL_HI, second, 0, 0, 0, 0, 0, 0, 0)
    } finally {
      this.#word(STATE.DEPTH, outer)
      this.#word(STATE.DEEPEST, outerDeepest)
      if (outer !== IDLE) this.#restore()
    }
  }

  call(functionAddress: number, args: readonly number[]): void {
    const caller = this.#wordAt(STATE.DEPTH)
    if (caller === IDLE)
      throw new BpfError(
        'BAD_PHASE',
        `program '${this.program.name}' isn't running: only helpers call its functions`,
      )
    if (!this.#functions.has(functionAddress))
      throw new BpfError(
        'TRAP',
        `program '${this.program.name}': no function starts at slot ${functionAddress}`,
      )
    const {
      frames = 1,
      isStraight = false,
      length = 0,
    } = this.#prepared.compiled.functions.get(functionAddress) ?? {}
    if (caller + (Number.isFinite(frames) ? frames : 1) > this.#wordAt(STATE.DEEPEST))
      throw this.#faults.tooDeep(this.#wordAt(STATE.POSITION))
    if (isStraight) this.#takeFuel(length)
    if (this.#wordAt(STATE.FUEL + 4) < 0) throw this.#faults.outOfFuel(functionAddress)
    const position = this.#wordAt(STATE.POSITION)
    this.#keep()
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0, j = 0] = args
    try {
      this.#enter(functionAddress, caller + 1, a, b, c, d, e, f, g, h, i, j)
    } finally {
      this.#word(STATE.DEPTH, caller)
      this.#word(STATE.POSITION, position)
      this.#restore()
    }
  }

  position(): number | undefined {
    return this.#wordAt(STATE.DEPTH) === IDLE ? undefined : this.#wordAt(STATE.POSITION)
  }

  close(): void {
    if (this.#closed) return
    if (this.#wordAt(STATE.DEPTH) !== IDLE)
      throw new BpfError('EBUSY', `program '${this.program.name}' is running and can't be closed`, {
        errno: 16,
      })
    this.#closed = true
    this.#frames.free()
    this.#interpreter?.close()
    this.memory.free(this.#state)
  }

  /** Calls a function of the module and takes r0. */
  #enter(
    start: number,
    depth: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
    g: number,
    h: number,
    i: number,
    j: number,
  ): void {
    const { lo, hi } = this.registers
    try {
      this.#prepared.entries.get(start)?.(depth, a, b, c, d, e, f, g, h, i, j)
    } catch (error) {
      throw isWasmTrap(error) ? this.#unexpected(error) : error
    }
    lo[0] = this.#wordAt(STATE.RESULT)
    hi[0] = this.#wordAt(STATE.RESULT + 4)
  }

  get #prepared(): Ready {
    return (this.#ready ??= this.#prepare())
  }

  #prepare(): Ready {
    const compiled = this.#compile()
    if (compiled === undefined) throw new Error(`program '${this.program.name}' should have compiled`)
    const exports = instantiateWasm(compileWasm(compiled.bytes), this.#imports(compiled.helpers))
    const entries = [...compiled.functions.keys()].map((start) => [start, exports[entryName(start)]] as const)
    const { functions, traps } = compiled
    return { compiled: { functions, traps }, entries: new Map(entries) }
  }

  /** WebAssembly stopped the program itself: what was proven of it was wrong. */
  #unexpected(error: Error): BpfError {
    const slot = this.#prepared.compiled.traps.slotOf(error)
    const problem = `an access outside of the kernel's memory (${error.message})`
    return slot === undefined
      ? new BpfError('TRAP', `program '${this.program.name}': ${problem}`, { cause: error })
      : this.#faults.trap(slot, problem)
  }

  /** Room for a run's frames, and their addresses where compiled code finds them. */
  #reserve(depth: number): void {
    this.#frames.reserve(depth)
    const needed = depth + MAX_CALL_FRAMES
    for (; this.#framesInPlace < needed; this.#framesInPlace++)
      this.#word(STATE.TOPS + 4 * this.#framesInPlace, this.#frames.topOf(this.#framesInPlace))
  }

  #fill(fuel: number): void {
    this.#word(STATE.FUEL, fuel | 0)
    this.#word(STATE.FUEL + 4, Math.floor(fuel / TWO_32))
  }

  #takeFuel(instructions: number): void {
    const low = (this.#wordAt(STATE.FUEL) >>> 0) - instructions
    this.#word(STATE.FUEL, low)
    if (low < 0) this.#word(STATE.FUEL + 4, this.#wordAt(STATE.FUEL + 4) - 1)
  }

  #wordAt(offset: number): number {
    return this.memory.i32[this.#words + (offset >> 2)] ?? 0
  }

  #word(offset: number, value: number): void {
    this.memory.i32[this.#words + (offset >> 2)] = value
  }

  #keep(): void {
    const { lo, hi } = this.registers
    for (let r = 1; r <= KEPT; r++) this.#kept.push(lo[r] ?? 0, hi[r] ?? 0)
  }

  #restore(): void {
    const { lo, hi } = this.registers
    for (let r = KEPT; r >= 1; r--) {
      hi[r] = this.#kept.pop() ?? 0
      lo[r] = this.#kept.pop() ?? 0
    }
  }

  #imports(helpers: readonly number[]): WasmImports {
    const faults = this.#faults
    const functions: Record<string, WasmFunction | WasmMemory> = { memory: this.memory.wasm }
    const define = (index: number, called: WasmFunction): void => {
      functions[`i${index}`] = called
    }
    define(IMPORT.FAULT, (slot = 0, low = 0, high = 0, size = 0, rights = 0) =>
      this.#checkSlowly(slot, low >>> 0, high, size, rights),
    )
    define(IMPORT.STOP, (slot = 0) => {
      const insn = faults.instructions[slot]
      throw insn?.opcode === OP.CALL && insn.src === 0
        ? faults.helperMissing(slot, insn.imm)
        : faults.stopped(slot)
    })
    define(IMPORT.OUT_OF_FUEL, (slot = 0) => {
      throw faults.outOfFuel(slot)
    })
    define(IMPORT.TOO_DEEP, (slot = 0) => {
      throw faults.tooDeep(slot)
    })
    define(IMPORT.BAD_ATOMIC, (slot = 0, size = 0) => {
      throw faults.badAtomic(slot, size)
    })
    define(IMPORT.TAIL_CALL, (a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) => this.#tailCall(a, b, c, d, e, f))
    define(IMPORT.PACKET, (slot = 0, low = 0, high = 0, offset = 0, size = 0) =>
      this.#packet(slot, low >>> 0, high, offset, size),
    )
    define(IMPORT.CALL_BY_ID, (slot = 0, id = 0, high = 0, ...args) => {
      const helper = high === 0 ? this.#environment.helpers.get(id) : undefined
      if (helper === undefined) throw faults.helperMissing(slot, high === 0 ? id : -1)
      return createBridge(id, args.length / 2, this, helper, this.#words)(...args)
    })
    define(IMPORT.GO_ON, (slot = 0) => this.#goOn(slot))
    define(IMPORT.BAD_CALLBACK, (slot = 0, low = 0, high = 0) => {
      throw faults.badCallback(slot, low, high)
    })
    const arity = arityIn(this.#environment)
    for (const id of helpers) {
      const helper = this.#environment.helpers.get(id)
      if (helper !== undefined) functions[`h${id}`] = createBridge(id, arity(id), this, helper, this.#words)
    }
    return { k: functions }
  }

  /**
   * Runs the rest of a function in the interpreter: an access of it isn't where its address was made for. Mostly that is a fault, of which the
   * interpreter has the words; code for all else that it may be would make each loop slower.
   */
  #goOn(slot: number): void {
    this.#interpreter ??= createInterpreter(this.program, this.#environment)
    const depth = this.#wordAt(STATE.DEPTH)
    const first = this.#words + (STATE.REGISTERS >> 2)
    const left = this.#interpreter.resume(slot, this.memory.i32.slice(first, first + 2 * REGISTERS), {
      frames: this.#wordAt(STATE.DEEPEST) - depth,
      fuel: (this.#wordAt(STATE.FUEL) >>> 0) + this.#wordAt(STATE.FUEL + 4) * TWO_32,
    })
    this.#fill(left)
    const { lo, hi } = this.#interpreter.registers
    this.#word(STATE.RESULT, lo[0] ?? 0)
    this.#word(STATE.RESULT + 4, hi[0] ?? 0)
  }

  /** What the checks in the module don't let pass: rules that only the shadow's own code knows, and faults. */
  #checkSlowly(slot: number, low: number, high: number, size: number, rights: number): number {
    const access = (rights & Access.readWrite) as Access
    const isMisaligned = rights >= MUST_BE_ALIGNED && low % size !== 0
    if (high === KERNEL_HI && !isMisaligned && this.memory.accessible(low, size, access)) return 0
    if (this.#isElsewhere(slot, low, high, size, access)) return 1
    const isHelper = this.#faults.instructions[slot]?.opcode === OP.CALL
    throw this.#faults.badAccess(slot, high, low, size, access, isHelper ? 'r2' : undefined)
  }

  /** A load or store that isn't to be done in place. @returns whether it was done: a store's value was in RESULT, a load's is there now */
  #isElsewhere(slot: number, low: number, high: number, size: number, access: Access): boolean {
    const { lo, hi } = this.registers
    const place = this.#faults.placeOf(slot, high, low, size)
    if (place === undefined) {
      if (!this.#faults.readsZero(slot, high, low)) return false
      lo[0] = hi[0] = 0
    } else if (access === Access.write) {
      lo[0] = this.#wordAt(STATE.RESULT)
      hi[0] = this.#wordAt(STATE.RESULT + 4)
      write(this.memory, this.registers, 0, place.address, place.size)
    } else read(this.memory, this.registers, 0, place.address, place.size, place.signed)
    this.#word(STATE.RESULT, lo[0] ?? 0)
    this.#word(STATE.RESULT + 4, hi[0] ?? 0)
    return true
  }

  #tailCall(a: number, b: number, c: number, d: number, e: number, f: number): number {
    const { tailCall } = this.#environment
    if (tailCall === undefined) throw unsupported(`bpf_tail_call#12 (program '${this.program.name}')`)
    const { lo, hi } = this.registers
    lo[1] = a
    hi[1] = b
    lo[2] = c
    hi[2] = d
    lo[3] = e
    hi[3] = f
    if (!tailCall(this.registers, this)) return 0
    this.#word(STATE.RESULT, lo[0] ?? 0)
    this.#word(STATE.RESULT + 4, hi[0] ?? 0)
    return 1
  }

  #packet(slot: number, low: number, high: number, offset: number, size: number): number {
    const { packetAt } = this.#environment
    if (packetAt === undefined) throw this.#faults.packetsMissing(slot)
    const at = high === KERNEL_HI ? packetAt(low, offset, size) : undefined
    if (at === undefined) throw this.#faults.noPacket(slot)
    if (at < 0) return 0
    let value = 0
    for (let i = 0; i < size; i++) value = (value << 8) | (this.memory.u8[at + i] ?? 0)
    this.#word(STATE.RESULT, value)
    this.#word(STATE.RESULT + 4, 0)
    return 1
  }
}

/** A machine's helpers are Linux's; of others nothing is known. */
function arityIn({ intrinsics }: EngineEnvironment): (helper: number) => number {
  return intrinsics === undefined ? () => MOST_ARGUMENTS : arityOf
}
