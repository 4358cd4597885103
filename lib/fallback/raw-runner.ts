/** Runs instructions without an object, in the manner of user-space VMs: r1 points to a memory, r2 is its length. */
import { decode } from '../isa/instruction.js'
import { OP, PSEUDO_CALL, PSEUDO_LDDW } from '../isa/opcodes.js'
import { BPF_PROG_TYPE, BPF_PROGRAM_FLAGS } from '../linux/program-types.js'
import { BpfError, unsupported } from '../errors.js'
import { createHelpers } from './helpers/index.js'
import { proofOf } from './loader/proof.js'
import { Machine } from './machine.js'
import { Access } from './memory.js'
import { UNMODELLED, type Verdict, type VerifierProgram, verifyProgram } from './verifier/index.js'
import { createEngine } from './vm/engine.js'
import { pointerOf } from './vm/trap.js'
import type { EngineName, HelperFunction, Proof } from './vm/types.js'

export interface RawRunnerOptions {
  readonly engine: EngineName
  /** Refuse what the verifier refuses; else run it in the sandbox. Programs may do what ones of type `syscall` may. */
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
      variables: {},
      fire: () => undefined,
    })
    this.helpers = createHelpers(this.#machine)
  }

  /** @throws BpfError `TRAP`, `VERIFIER_REJECTED`, `UNSUPPORTED`, `BAD_OBJECT` for code that is no multiple of 8 bytes, `ENOMEM` */
  run({ code, memory: input = EMPTY, helpers = this.helpers }: RawProgram): RawResult {
    const { engine: name, verify, fuel } = this.#options
    const { memory } = this.#machine
    const proof = verify ? verified(code, input.length, fuel) : undefined
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
      ...(proof !== undefined && { proof: () => proof }),
      tailCall: () => false,
      packetAt(at, offset, size) {
        if (at !== context) return undefined
        return offset >= 0 && offset + size <= input.length ? at + offset : -1
      },
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

/**
 * What the verifier has proven of it.
 *
 * @throws BpfError `VERIFIER_REJECTED`; `UNSUPPORTED` for what the verifier doesn't model
 */
function verified(code: Uint8Array, length: number, fuel: number): Proof {
  const verdict = verifyProgram(rawProgram(code, length))
  if (!verdict.accepted) throw refusal(verdict)
  return proofOf(code, verdict, fuel)
}

/** A program of the type that may do most, with a memory instead of the context: see decision 13. */
function rawProgram(code: Uint8Array, length: number): VerifierProgram {
  return {
    code,
    type: BPF_PROG_TYPE.SYSCALL,
    attachType: 0,
    flags: BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE,
    license: LICENSE,
    mapReferences: new Map(),
    functions: [],
    kfuncs: new Map(),
    attachTarget: undefined,
    memory: length,
  }
}

function refusal(verdict: Verdict): BpfError {
  const { reason: summary = '', details, errno } = verdict
  const insn = verdict.insn ?? verdict.malformed
  if (summary.startsWith(UNMODELLED)) return unsupported(summary.slice(UNMODELLED.length))
  const log = `${[...details, summary].join('\n')}\n`
  return new BpfError('VERIFIER_REJECTED', summary, {
    errno,
    verifier: { summary, log, program: NAME, ...(insn !== undefined && { insn }) },
  })
}
