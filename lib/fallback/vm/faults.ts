/** The errors of a running program, as every engine words them. */
import { unsupported } from '../../errors.js'
import type { BpfError } from '../../errors.js'
import { decode, SLOT } from '../../isa/instruction.js'
import type { Instruction } from '../../isa/instruction.js'
import { CLASS } from '../../isa/opcodes.js'
import { helperById } from '../../linux/helpers.js'
import { Access, KERNEL_HI, USER_HI } from '../memory.js'
import type { Memory } from '../memory.js'
import { MAX_CALL_FRAMES } from './frames.js'
import { predecode } from './predecode.js'
import { Slots } from './slots.js'
import { describeFault, pointerOf, trap, whereIs } from './trap.js'
import type { TrapDetails } from './trap.js'
import type { ExecutableProgram, HiddenPlace } from './types.js'

/** Of opcodes of loads and stores: those of memory, and loads that extend the sign. */
const MODE = 0xe0
const PLAIN_MODE = 0x60
const SIGNED_MODE = 0x80

export class Faults {
  readonly #program: ExecutableProgram
  readonly #memory: Memory
  readonly #fuel: number
  #instructions: readonly Instruction[] | undefined

  constructor(program: ExecutableProgram, memory: Memory, fuel: number) {
    this.#program = program
    this.#memory = memory
    this.#fuel = fuel
  }

  /** Decoded when an error asks for them: most programs run without. */
  get instructions(): readonly Instruction[] {
    return (this.#instructions ??= decode(this.#program.code))
  }

  trap(slot: number, problem: string, details?: TrapDetails): BpfError {
    return trap(this.#program, this.instructions, slot, problem, details)
  }

  outOfFuel(slot: number): BpfError {
    return this.trap(slot, `ran out of fuel after ${this.#fuel} instructions`, {
      hint: 'It loops for longer than the kernel was made to allow, or forever',
    })
  }

  tooDeep(slot: number): BpfError {
    return this.trap(slot, `more than ${MAX_CALL_FRAMES} call frames`)
  }

  badAtomic(slot: number, size: number): BpfError {
    const imm = this.instructions[slot]?.imm ?? 0
    return this.trap(slot, `there is no ${size}-byte atomic operation 0x${imm.toString(16)}`)
  }

  /** Helper ids that the environment doesn't know, and those that come in a register. */
  helperMissing(slot: number, id: number): BpfError {
    const known = helperById(id)
    if (known === undefined) return this.trap(slot, `invalid func unknown#${id}`)
    return unsupported(`helper bpf_${known.name}#${id}`, `Program '${this.#program.name}' calls it`)
  }

  /** An instruction that no engine runs. */
  stopped(slot: number): BpfError {
    const { words, reasons } = predecode(new Slots(this.#program.code, this.#program.casts))
    const reason = reasons[words[slot * 4 + 3] ?? 0]
    const text = reason?.text ?? 'invalid instruction'
    if (reason?.kind === 'unsupported')
      return unsupported(`${text}: ${whereIs(this.#program, this.instructions, slot)}`)
    return this.trap(slot, text)
  }

  packetsMissing(slot: number): BpfError {
    return unsupported(`BPF_LD_[ABS|IND] packet access: ${whereIs(this.#program, this.instructions, slot)}`)
  }

  noPacket(slot: number): BpfError {
    return this.trap(slot, 'r6 is no context of a packet (struct __sk_buff)')
  }

  badCallback(slot: number, low: number, high: number): BpfError {
    return this.trap(slot, badCallbackAnswer(low, high))
  }

  /** A bad address. @param argument the register that a helper was given it in, if a helper was */
  badAccess(
    slot: number,
    high: number,
    low: number,
    size: number,
    access: Access,
    argument?: string,
  ): BpfError {
    const isWrite = (access & Access.write) !== 0
    const inContext = high === KERNEL_HI ? this.#program.contexts?.describe(low, size, isWrite) : undefined
    const problem = describeFault(this.#memory, high, low, size, access, inContext)
    const address = pointerOf(high, low)
    return this.trap(slot, argument === undefined ? problem : `${argument}: ${problem}`, { address })
  }

  /** Where a load or store goes that may not be done in place, as it is to a hidden context. Undefined: nowhere. */
  placeOf(slot: number, high: number, low: number, size: number): HiddenPlace | undefined {
    const { contexts } = this.#program
    if (contexts === undefined || high !== KERNEL_HI) return undefined
    const opcode = this.#program.code[slot * SLOT] ?? 0
    const klass = opcode & 7
    const mode = opcode & MODE
    const write = klass === CLASS.ST || klass === CLASS.STX
    if (!write && klass !== CLASS.LDX) return undefined
    const signed = !write && mode === SIGNED_MODE
    if (mode !== PLAIN_MODE && !signed) return undefined
    return contexts.placeOf(low, { size, write, signed })
  }

  /**
   * Whether a load from a bad address gives 0, as Linux has it for typed pointers: not beside something that isn't a kernel object,
   * for no typed pointer leads there, and not from user memory.
   */
  readsZero(slot: number, high: number, low: number): boolean {
    const opcode = this.instructions[slot]?.opcode ?? 0
    if (!this.#program.faultingLoadsReadZero || (opcode & 7) !== CLASS.LDX || high === USER_HI) return false
    if (high !== KERNEL_HI || this.#memory.isFreed(low)) return true
    return this.#memory.nearestAllocation(low)?.label.startsWith('struct ') !== false
  }
}

/** What is wrong with a callback's answer that is neither 0 nor 1. */
export function badCallbackAnswer(low: number, high: number): string {
  const value = BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low >>> 0))
  return `at callback return the register R0 is ${value}, should have been in [0, 1]`
}
