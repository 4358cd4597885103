/**
 * The imports that call helpers. r1 … r5 come in halves and go into the registers. Of r0 the low half is the result, and the high half goes
 * into the engine's block.
 *
 * Each helper has a function of its own, made of source text: functions that share their text share what a JIT learns of them, so that
 * one text for all would make each call a call of something unknown, which costs as much as the helper. Where text may not become
 * code, they share.
 */
import type { Memory } from '../../memory.js'
import type { WasmFunction } from '../../web-assembly.js'
import type { Engine, HelperFunction, Registers } from '../types.js'

/** @param words index of the engine's block in `memory.i32` */
type BridgeMaker = (
  helper: HelperFunction,
  engine: Engine,
  registers: Registers,
  memory: Memory,
  words: number,
) => WasmFunction

/** By helper and count of arguments: kept, as compiling text takes longer than a short program runs. */
const makers = new Map<number, BridgeMaker>()
const MOST_ARGUMENTS = 5

/**
 * @param arity how many arguments the function is passed
 * @param words index of the engine's block in `memory.i32`
 */
export function createBridge(
  id: number,
  arity: number,
  engine: Engine,
  helper: HelperFunction,
  words: number,
): WasmFunction {
  const key = id * (MOST_ARGUMENTS + 1) + arity
  let maker = makers.get(key)
  if (maker === undefined) {
    maker = makerOf(arity)
    makers.set(key, maker)
  }
  return maker(helper, engine, engine.registers, engine.memory, words)
}

function makerOf(arity: number): BridgeMaker {
  const registers = Array.from({ length: arity }, (_, i) => i + 1)
  const text = `
    const { lo, hi } = registers
    return (${registers.map((r) => `l${r}, h${r}`).join(', ')}) => {
      ${registers.map((r) => `lo[${r}] = l${r}; hi[${r}] = h${r}`).join('\n')}
      helper(registers, engine)
      memory.i32[words + 1] = hi[0]
      return lo[0]
    }`
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- the text is made of numbers alone
    return new Function('helper', 'engine', 'registers', 'memory', 'words', text) as BridgeMaker
  } catch {
    // A page's Content-Security-Policy, or Node's --disallow-code-generation-from-strings.
    return sharedBridge
  }
}

const sharedBridge: BridgeMaker = (helper, engine, registers, memory, words) => {
  const { lo, hi } = registers
  return (...halves) => {
    for (let i = 0; i < halves.length; i++) (i % 2 === 0 ? lo : hi)[(i >> 1) + 1] = halves[i] ?? 0
    helper(registers, engine)
    memory.i32[words + 1] = hi[0] ?? 0
    return lo[0] ?? 0
  }
}
