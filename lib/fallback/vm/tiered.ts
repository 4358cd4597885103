/**
 * Runs a program in the interpreter until that has taken about as long as compiling it will, and in WebAssembly from then on: a test runs
 * most of its programs a few times.
 *
 * Only for programs of which each run is short: nothing leaves the interpreter in the middle of a run.
 */
import { OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../isa/opcodes.js'
import { createInterpreter } from './interpreter.js'
import type { Interpreter } from './interpreter.js'
import type { Memory } from '../memory.js'
import type { Engine, EngineEnvironment, ExecutableProgram, Proof, Registers } from './types.js'
import { createWasmEngine } from './wasm/engine.js'
import { FLOW, Slots } from './slots.js'

/** Instructions that the interpreter runs in the time that compiling takes: for any program, and for each of its own. */
const COMPILES_AS = 20_000
const COMPILES_EACH_AS = 40

/** @returns undefined where a run may be long */
export function createTieredEngine(
  program: ExecutableProgram,
  environment: EngineEnvironment,
): Engine | undefined {
  const slots = new Slots(program.code, program.casts)
  const budget = COMPILES_AS + COMPILES_EACH_AS * slots.count
  const longest = longestRun(slots, environment.proof?.(program))
  if (longest > budget || longest > environment.fuel) return undefined
  return new TieredEngine(createInterpreter(program, environment), environment, budget)
}

/** Instructions that a run takes at most; Infinity: that isn't known. */
function longestRun(slots: Slots, proof: Proof | undefined): number {
  if (proof?.longestRun !== undefined) return proof.longestRun
  // Nothing is run twice where nothing leads back, and nothing is called.
  for (let slot = 0; slot < slots.count; slot += slots.length(slot)) {
    const opcode = slots.opcode(slot)
    const src = slots.src(slot)
    if (opcode === OP.LDDW ? src === PSEUDO_LDDW.FUNC : opcode === OP.CALL && src === PSEUDO_CALL.LOCAL)
      return Infinity
    const flow = slots.flow(slot)
    if ((flow === FLOW.BRANCH || flow === FLOW.JUMP) && slots.target(slot) <= slot) return Infinity
  }
  return slots.count
}

class TieredEngine implements Engine {
  readonly program: ExecutableProgram
  readonly memory: Memory
  readonly #environment: EngineEnvironment
  #engine: Engine
  /** What it starts with; undefined: it was compiled, or can't be. */
  #interpreter: Interpreter | undefined
  /** Instructions that are left to interpret. */
  #budget: number

  constructor(interpreter: Interpreter, environment: EngineEnvironment, budget: number) {
    this.program = interpreter.program
    this.memory = interpreter.memory
    this.#environment = environment
    this.#engine = this.#interpreter = interpreter
    this.#budget = budget
  }

  get registers(): Registers {
    return this.#engine.registers
  }

  run(context: number, second?: number): void {
    const interpreter = this.#interpreter
    if (interpreter === undefined) return this.#engine.run(context, second)
    // Runs inside of another one take of its fuel, and are counted with it.
    const isOutermost = interpreter.depth < 0
    if (isOutermost && this.#budget <= 0) {
      this.#compile(interpreter)
      return this.#engine.run(context, second)
    }
    interpreter.run(context, second)
    if (isOutermost) this.#budget -= this.#environment.fuel - interpreter.fuel
  }

  /** What can't be compiled stays in the interpreter. */
  #compile(interpreter: Interpreter): void {
    this.#interpreter = undefined
    const compiled = createWasmEngine(this.program, this.#environment)
    if (compiled === undefined) return
    this.#engine = compiled
    interpreter.close()
  }

  call(functionAddress: number, args: readonly number[]): void {
    this.#engine.call(functionAddress, args)
  }

  position(): number | undefined {
    return this.#engine.position?.()
  }

  close(): void {
    this.#engine.close()
  }
}
