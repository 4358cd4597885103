/** The lines of `run --raw`: programs in, results out, as JSON. */
import { BpfError } from '../errors.js'
import type { RawProgram, RawResult, RawRunner } from '../fallback/raw-runner.js'
import type { HelperFunction } from '../fallback/vm/types.js'
import { helperByName } from '../linux/helpers.js'

/** A line that asks for a run. Bytes are hex digits, two each. */
interface RawLine {
  readonly id: unknown
  readonly insns: unknown
  readonly memory: unknown
  readonly helpers: unknown
}

/** What a line is answered with; absent members are not written. */
export interface RawAnswer {
  readonly id?: unknown
  /** Number of a line that is no request. */
  readonly line?: number
  /** Hex digits. */
  readonly r0?: string
  readonly memory?: string
  readonly error?: string
  readonly code?: string
  /** Index of the instruction (8-byte slots) that is to blame. */
  readonly insn?: number
}

/** Runs what one line asks for. Never throws: what is wrong is in the answer. */
export function answerLine(runner: RawRunner, text: string, number: number): RawAnswer {
  let id: unknown
  let program: RawProgram
  let hasMemory = false
  try {
    const line = parseLine(text)
    id = line.id
    hasMemory = line.memory !== undefined
    program = {
      code: bytes('insns', line.insns),
      ...(hasMemory && { memory: bytes('memory', line.memory) }),
      ...(line.helpers !== undefined && { helpers: helpersOf(runner, line.helpers) }),
    }
  } catch (error) {
    return { ...named(id), line: number, error: `line ${number}: ${messageOf(error)}` }
  }
  try {
    return { ...named(id), ...resultOf(runner.run(program), hasMemory) }
  } catch (error) {
    const insn = error instanceof BpfError ? (error.trap?.insn ?? error.verifier?.insn) : undefined
    return {
      ...named(id),
      error: messageOf(error),
      ...(error instanceof BpfError && { code: error.code }),
      ...(insn !== undefined && { insn }),
    }
  }
}

function named(id: unknown): { readonly id?: unknown } {
  return id === undefined ? {} : { id }
}

function resultOf({ r0, memory }: RawResult, hasMemory: boolean): RawAnswer {
  return { r0: r0.toString(16), ...(hasMemory && { memory: hex(memory) }) }
}

function parseLine(text: string): RawLine {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new BpfError('BAD_VALUE', 'a line is an object: { "id": 1, "insns": "b700000001000000…" }')
  const { id, insns, memory, helpers } = value as Partial<RawLine>
  return { id, insns, memory, helpers }
}

function bytes(name: string, value: unknown): Uint8Array {
  const digits = typeof value === 'string' ? value.replace(/^0x/i, '').replace(/\s+/g, '') : undefined
  if (digits === undefined || digits.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(digits))
    throw new BpfError(
      'BAD_VALUE',
      `'${name}' is ${value === undefined ? 'missing' : 'no hex string with two digits a byte'}`,
    )
  const result = new Uint8Array(digits.length / 2)
  for (let i = 0; i < result.length; i++) result[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
  return result
}

function hex(values: Uint8Array): string {
  let text = ''
  for (const value of values) text += value.toString(16).padStart(2, '0')
  return text
}

/**
 * A list of numbers or names: the fallback kernel's helpers, and no others. An object: numbers or names, and the number (or hex string) that each
 * answers whatever it is asked.
 */
function helpersOf(runner: RawRunner, value: unknown): ReadonlyMap<number, HelperFunction> {
  if (Array.isArray(value)) {
    return new Map(
      value.map((each: unknown) => {
        const id = helperId(each)
        const helper = runner.helpers.get(id)
        if (helper === undefined) throw new BpfError('BAD_VALUE', `there is no helper ${String(each)} here`)
        return [id, helper]
      }),
    )
  }
  if (typeof value !== 'object' || value === null)
    throw new BpfError(
      'BAD_VALUE',
      `'helpers' is a list such as [5, "bpf_get_prandom_u32"], or an object such as { "5": "0x2a" }`,
    )
  return new Map(Object.entries(value).map(([name, result]) => [helperId(name), constant(name, result)]))
}

function helperId(value: unknown): number {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  const id = typeof number === 'string' ? helperByName(number)?.id : number
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < 2 ** 31) return id
  throw new BpfError('BAD_VALUE', `'helpers': ${JSON.stringify(value)} is no number or name of a helper`)
}

function constant(name: string, value: unknown): HelperFunction {
  const isHex = typeof value === 'string' && /^(0x)?[0-9a-f]{1,16}$/i.test(value)
  if (!isHex && !Number.isSafeInteger(value))
    throw new BpfError('BAD_VALUE', `'helpers': ${name} answers a number or a hex string`)
  const result = isHex ? BigInt(`0x${value.replace(/^0x/i, '')}`) : BigInt(value as number)
  const low = Number(BigInt.asIntN(32, result))
  const high = Number(BigInt.asIntN(32, result >> 32n))
  return ({ lo, hi }) => {
    lo[0] = low
    hi[0] = high
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
