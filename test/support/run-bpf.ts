/** Runs instructions in an engine: for tests of the VM. */
import { createEngine } from '../../lib/fallback/vm/engine.js'
import type {
  Engine,
  EngineEnvironment,
  EngineName,
  ExecutableProgram,
  HelperFunction,
} from '../../lib/fallback/vm/types.js'
import { Access, KERNEL_HI, Memory } from '../../lib/fallback/memory.js'
import { encode } from '../../lib/isa/instruction.js'
import type { Instruction } from '../../lib/isa/instruction.js'

export interface RunSetup {
  readonly memory?: Memory
  readonly helpers?: ReadonlyMap<number, HelperFunction>
  readonly fuel?: number
  readonly functions?: ExecutableProgram['functions']
  readonly lines?: ExecutableProgram['lines']
  readonly faultingLoadsReadZero?: boolean
  /** Default: that of {@link useEngine}. */
  readonly engine?: EngineName
  /** Anything else that the environment has. */
  readonly environment?: Partial<EngineEnvironment>
}

export const ENGINES = ['interpreter', 'wasm'] as const

let defaultEngine: EngineName = 'interpreter'

/** What runs programs from now on in this test file. */
export function useEngine(engine: EngineName): void {
  defaultEngine = engine
}

export function engineOf(instructions: readonly Instruction[], setup: RunSetup = {}): Engine {
  return createEngine(
    {
      name: 'test',
      code: encode(instructions),
      functions: setup.functions ?? [{ name: 'test', start: 0 }],
      lines: setup.lines ?? [],
      faultingLoadsReadZero: setup.faultingLoadsReadZero ?? false,
    },
    {
      memory: setup.memory ?? new Memory(),
      helpers: setup.helpers ?? new Map(),
      fuel: setup.fuel ?? 1_000_000,
      sandboxed: true,
      engine: setup.engine ?? defaultEngine,
      ...setup.environment,
    },
  )
}

/** r0, unsigned. */
export function resultOf(engine: Engine): bigint {
  return registerOf(engine, 0)
}

export function registerOf(engine: Engine, index: number): bigint {
  const { lo, hi } = engine.registers
  return BigInt.asUintN(64, (BigInt(hi[index] ?? 0) << 32n) | BigInt((lo[index] ?? 0) >>> 0))
}

export interface RunOutcome {
  readonly r0: bigint
  readonly memory: Uint8Array
}

/** Runs with r1 = a context that holds these bytes. */
export function runBpf(
  instructions: readonly Instruction[],
  bytes: Uint8Array = new Uint8Array(),
  setup: RunSetup = {},
): RunOutcome {
  const memory = setup.memory ?? new Memory()
  const engine = engineOf(instructions, { ...setup, memory })
  const context = memory.alloc(bytes.length, Access.readWrite, 16, 'context')
  memory.u8.set(bytes, context)
  engine.run(context)
  return { r0: resultOf(engine), memory: memory.u8.slice(context, context + bytes.length) }
}

/** The address of a byte of the memory, as a program sees it. */
export function kernelAddress(low: number): bigint {
  return BigInt.asUintN(64, (BigInt(KERNEL_HI) << 32n) | BigInt(low))
}
