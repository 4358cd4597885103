/** The engines that run programs, by name. */
import { unsupported } from '../../errors.js'
import { canCompileWasm } from '../web-assembly.js'
import { createInterpreter } from './interpreter.js'
import type { Engine, EngineEnvironment, EngineName, ExecutableProgram } from './types.js'
import { createTieredEngine } from './tiered.js'
import { createWasmEngine } from './wasm/engine.js'

type EngineMaker = (program: ExecutableProgram, environment: EngineEnvironment) => Engine

const ENGINES: Readonly<Record<EngineName, EngineMaker>> = {
  auto: (program, environment) =>
    (canCompileWasm()
      ? (createTieredEngine(program, environment) ?? createWasmEngine(program, environment))
      : undefined) ?? createInterpreter(program, environment),
  interpreter: createInterpreter,
  wasm: (program, environment) => {
    const engine = createWasmEngine(program, environment)
    if (engine !== undefined) return engine
    throw unsupported(
      `compiling program '${program.name}' to WebAssembly: a function is larger than a module may have`,
      "engine: 'auto' runs such programs in the interpreter",
    )
  },
}

export const ENGINE_NAMES: readonly string[] = Object.keys(ENGINES)

/** @throws BpfError as {@link createInterpreter} does */
export function createEngine(program: ExecutableProgram, environment: EngineEnvironment): Engine {
  return ENGINES[environment.engine](program, environment)
}
