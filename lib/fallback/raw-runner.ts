/** Runs instructions without an object, in the manner of user-space VMs: r1 points to a memory, r2 is its length. */
import { decode, encode } from '../isa/instruction.js'
import type { Instruction } from '../isa/instruction.js'
import { mov64 } from '../isa/build.js'
import { OP, opcodeInfo, PSEUDO_CALL, PSEUDO_LDDW } from '../isa/opcodes.js'
import { BPF_PROG_TYPE } from '../linux/program-types.js'
import { BpfError } from '../errors.js'
import { createHelpers } from './helpers/index.js'
import { Machine } from './machine.js'
import { Access } from './memory.js'
import { contextRules } from './verifier/context-rules.js'
import { checkPointers } from './verifier/pointers.js'
import { verifyStructure } from './verifier/structure.js'
import { createEngine } from './vm/engine.js'
import { pointerOf } from './vm/trap.js'
import type { EngineName, HelperFunction } from './vm/types.js'

export interface RawRunnerOptions {
  readonly engine: EngineName
  /** Refuse what a verifier refuses; else run it in the sandbox. Programs are taken for ones of type `syscall`. */
  readonly verify: boolean
  /** Instructions after which a program is stopped. */
  readonly fuel: number
}

export interface RawProgram {
  readonly code: Uint8Array
  readonly memory?: Uint8Array
  /** Helpers that it may call, by id: ours by default. */
  readonly helpers?: ReadonlyMap<number, HelperFunction>
}

export interface RawResult {
  /** Unsigned. */
  readonly r0: bigint
  /** The memory after the run. */
  readonly memory: Uint8Array
}

const NAME = 'raw'
const LICENSE = 'GPL'
const EMPTY = new Uint8Array()

export class RawRunner {
  readonly #options: RawRunnerOptions
  readonly #machine: Machine
  /** The fallback kernel's helpers. */
  readonly helpers: ReadonlyMap<number, HelperFunction>

  constructor(options: RawRunnerOptions) {
    this.#options = options
    const { fuel } = options
    this.#machine = new Machine({
      cpus: 1,
      clock: 'manual',
      seed: 1,
      fuel,
      memoryBytes: undefined,
      fire: () => undefined,
    })
    this.helpers = createHelpers(this.#machine)
  }

  /** @throws BpfError `TRAP`, `VERIFIER_REJECTED`, `UNSUPPORTED`, `BAD_OBJECT` for code that is no multiple of 8 bytes, `ENOMEM` */
  run({ code, memory: input = EMPTY, helpers = this.helpers }: RawProgram): RawResult {
    const { engine: name, verify, fuel } = this.#options
    const { memory } = this.#machine
    if (verify) check(code, input.length)
    const program = {
      name: NAME,
      code,
      functions: functionsOf(code),
      lines: [],
      faultingLoadsReadZero: false,
    }
    const context = memory.alloc(input.length, Access.readWrite, 16, 'memory')
    const engine = createEngine(program, {
      engine: name,
      memory,
      helpers,
      fuel,
      sandboxed: !verify,
      tailCall: () => false,
      packetAt: (at, offset, size) =>
        offset >= 0 && at === context && offset + size <= input.length ? at + offset : -1,
    })
    try {
      memory.u8.set(input, context)
      engine.run(context, input.length)
      const { lo, hi } = engine.registers
      return {
        r0: pointerOf(hi[0] ?? 0, lo[0] ?? 0),
        memory: memory.u8.slice(context, context + input.length),
      }
    } finally {
      engine.close()
      memory.free(context)
    }
  }
}

/** Where functions start: at the entry, and where calls and addresses of functions lead. */
function functionsOf(code: Uint8Array): readonly { readonly name: string; readonly start: number }[] {
  const instructions = decode(code)
  const starts = new Set([0])
  instructions.forEach(({ opcode, src, imm }, slot) => {
    const isCall = opcode === OP.CALL && src === PSEUDO_CALL.LOCAL
    const isAddress = opcode === OP.LDDW && src === PSEUDO_LDDW.FUNC
    const target = slot + 1 + imm
    if ((isCall || isAddress) && target >= 0 && target < instructions.length) starts.add(target)
  })
  return [...starts]
    .sort((a, b) => a - b)
    .map((start) => ({ name: start === 0 ? NAME : `sub${start}`, start }))
}

/** Verifies a program whose r2 is known, which no program type of Linux has: by an instruction in front. */
function check(code: Uint8Array, length: number): void {
  const own = decode(code)
  own.forEach((insn, slot) => {
    // The only place outside of the program that the one in front makes a place inside.
    if (leadsTo(insn, slot) === -1) throw outOfRange(insn, slot)
  })
  const instructions = [mov64(2, length), ...own]
  const input = {
    name: NAME,
    functions: [{ name: NAME, start: 0 }],
    programType: BPF_PROG_TYPE.SYSCALL,
    license: LICENSE,
    lines: [],
  }
  try {
    verifyStructure({ ...input, code: encode(instructions) })
    const accessed = checkPointers({
      ...input,
      instructions,
      sleepable: true,
      reached: new Uint8Array(instructions.length).fill(1),
      context: contextRules(BPF_PROG_TYPE.SYSCALL, 0, undefined),
      resolve: () => undefined,
    })
    if (accessed > length)
      throw new BpfError(
        'VERIFIER_REJECTED',
        `it accesses ${accessed} bytes of its memory, which has ${length}`,
      )
  } catch (error) {
    throw error instanceof BpfError && error.verifier?.insn !== undefined
      ? shifted(error, error.verifier.insn)
      : error
  }
}

/** The slot of a jump, call or function's address; undefined: it is none of these. */
function leadsTo({ opcode, src, offset, imm }: Instruction, slot: number): number | undefined {
  const isFunction =
    (opcode === OP.CALL && src === PSEUDO_CALL.LOCAL) || (opcode === OP.LDDW && src === PSEUDO_LDDW.FUNC)
  if (isFunction || opcode === OP.JA32) return slot + 1 + imm
  const kind = opcodeInfo(opcode)?.kind
  return kind === 'jump' || kind === 'may_goto' || kind === 'ja' ? slot + 1 + offset : undefined
}

/** In Linux's words. */
function outOfRange({ opcode }: Instruction, slot: number): BpfError {
  const isFunction = opcode === OP.CALL || opcode === OP.LDDW
  const summary = isFunction ? 'call to invalid destination' : `jump out of range from insn ${slot} to -1`
  return new BpfError('VERIFIER_REJECTED', summary, { verifier: { summary, log: summary, insn: slot } })
}

/** The same refusal, without the instruction in front. */
function shifted({ code, verifier }: BpfError, insn: number): BpfError {
  const summary = (verifier?.summary ?? '').replace(
    /\b(insn|to) (-?\d+)/g,
    (_text, word: string, slot: string) => `${word} ${Number(slot) - 1}`,
  )
  return new BpfError(code, summary, { verifier: { summary, log: summary, insn: Math.max(0, insn - 1) } })
}
