/** Calls: of helpers, of other functions of the program, of other programs; and what may end a function. */
import { PSEUDO_CALL } from '../../../isa/opcodes.js'
import { E2BIG, EINVAL } from '../../errors.js'
import { KERNEL_HI } from '../../memory.js'
import { TAIL_CALL_HELPER } from '../predecode.js'
import type { AddressCasts } from '../types.js'
import type { ProgramFunction } from './functions.js'
import { IMPORT, LOOP_HELPER } from './imports.js'
import type { Intrinsics } from './intrinsics.js'
import { TYPE, WASM } from './opcodes.js'
import { Arithmetic } from './select-alu.js'
import { Selector, type FunctionParts } from './selector.js'
import { CALL_REGISTER_OPCODE } from '../slots.js'
import { RETURNED, STATE } from './state.js'

/** BPF_MAX_LOOPS */
const MAX_LOOPS = 8 << 20

/** Where calls lead, by index in the module. */
export interface CallTargets {
  /** By helper id; a missing one traps. */
  readonly helpers: ReadonlyMap<number, number>
  /** Arguments that are passed to a helper. */
  readonly arityOf: (helper: number) => number
  /** By start slot. */
  readonly functions: ReadonlyMap<number, CallTarget>
}

export interface CallTarget {
  readonly index: number
  readonly fn: ProgramFunction
}

export interface CallSetup {
  /** Address of the engine's block: see state.ts. */
  readonly state: number
  readonly countsFuel: boolean
  /** Only calls of the function and rounds of helpers are counted, so seldom that the count stays in memory. */
  readonly countsCalls: boolean
  /** There may be too many frames below the function. */
  readonly mayBeDeep: boolean
  /** The function is a part of one that was split. */
  readonly isPart: boolean
  /** Whether the function looks at the shadow. */
  readonly usesShadow: boolean
  readonly casts: AddressCasts | undefined
}

export class Calls extends Selector {
  readonly #targets: CallTargets
  readonly #setup: CallSetup
  readonly #intrinsics: Intrinsics
  readonly #leaf: Arithmetic

  constructor(parts: FunctionParts, targets: CallTargets, setup: CallSetup, intrinsics: Intrinsics) {
    super(parts)
    this.#leaf = new Arithmetic(parts.slots, parts.out, parts.locals.ofLeaf(), setup.casts)
    this.#targets = targets
    this.#setup = setup
    this.#intrinsics = intrinsics
  }

  /** An instruction of CALL, or a call by register. */
  select(slot: number): void {
    const slots = this.slots
    const calls = slots.opcode(slot) !== CALL_REGISTER_OPCODE
    if (calls && slots.src(slot) !== PSEUDO_CALL.LOCAL && slots.imm(slot) === TAIL_CALL_HELPER)
      return this.#tailCall(slot)
    this.facts.forget(0)
    if (!calls) this.#callById(slot)
    else if (slots.src(slot) === PSEUDO_CALL.LOCAL) this.#callLocal(slot)
    else this.#callHelper(slot, slots.imm(slot))
  }

  /** LD_ABS and LD_IND. */
  packet(slot: number): void {
    const slots = this.slots
    const out = this.out
    this.#beforeJavaScript(slot)
    out.i32(slot)
    this.#halves(6)
    out.i32(slots.imm(slot))
    const opcode = slots.opcode(slot)
    if ((opcode & 0x40) !== 0) {
      out.get(this.register(slots.src(slot)))
      out.op(WASM.I32_WRAP_I64)
      out.op(WASM.I32_ADD)
    }
    out.i32([4, 2, 1, 0][(opcode >> 3) & 3] ?? 0)
    out.opIndex(WASM.CALL, IMPORT.PACKET)
    out.op(WASM.I32_EQZ)
    out.open(WASM.IF, TYPE.EMPTY)
    this.leave(() => out.i64(0))
    out.op(WASM.END)
    this.#takeResult()
    this.#afterJavaScript()
  }

  /** Has the interpreter run the rest of the function, from the slot on the stack, and returns what it gives. */
  goOn(): void {
    const out = this.out
    const { state, countsFuel } = this.#setup
    const { address, depth, registers } = this.locals
    out.set(address)
    registers.forEach((local, r) => {
      out.i32(state)
      out.get(local)
      out.memory(WASM.I64_STORE, 3, STATE.REGISTERS + 8 * r)
    })
    out.i32(state)
    out.get(depth)
    out.memory(WASM.I32_STORE, 2, STATE.DEPTH)
    if (countsFuel) this.storeFuel()
    out.get(address)
    out.opIndex(WASM.CALL, IMPORT.GO_ON)
    if (countsFuel) this.loadFuel()
    this.leave(() => this.#result())
  }

  /** Returns from the function with the i64 on the stack; `value` leaves it there. */
  leave(value: () => void): void {
    const out = this.out
    if (this.#setup.countsFuel) this.storeFuel()
    value()
    if (this.#setup.isPart) {
      out.opIndex(WASM.GLOBAL_SET, 0)
      out.i32(RETURNED)
    }
    out.op(WASM.RETURN)
  }

  loadFuel(): void {
    if (this.#setup.countsCalls) return
    this.out.i32(this.#setup.state)
    this.out.memory(WASM.I64_LOAD, 3, STATE.FUEL)
    this.out.set(this.locals.fuel)
  }

  storeFuel(): void {
    if (this.#setup.countsCalls) return
    this.out.i32(this.#setup.state)
    this.out.get(this.locals.fuel)
    this.out.memory(WASM.I64_STORE, 3, STATE.FUEL)
  }

  takeFuel(instructions: number): void {
    const out = this.out
    const { fuel } = this.locals
    const { state, countsCalls } = this.#setup
    if (countsCalls) out.i32(state)
    this.#fuel()
    out.i64(instructions)
    out.op(WASM.I64_SUB)
    if (countsCalls) out.memory(WASM.I64_STORE, 3, STATE.FUEL)
    else out.set(fuel)
  }

  /** Leaves what is left. */
  #fuel(): void {
    const out = this.out
    if (!this.#setup.countsCalls) return out.get(this.locals.fuel)
    out.i32(this.#setup.state)
    out.memory(WASM.I64_LOAD, 3, STATE.FUEL)
  }

  /** Stops the program where fuel has run out. */
  checkFuel(slot: number): void {
    const out = this.out
    this.#fuel()
    out.i64(0)
    out.op(WASM.I64_LT_S)
    out.open(WASM.IF, TYPE.EMPTY)
    out.i32(slot)
    this.#throw(IMPORT.OUT_OF_FUEL)
    out.op(WASM.END)
  }

  /** Calls an import that never returns, which compilers are to know: what is in registers needn't be kept for afterwards. */
  #throw(index: number): void {
    this.out.opIndex(WASM.CALL, index)
    this.out.op(WASM.UNREACHABLE)
  }

  #callHelper(slot: number, id: number): void {
    const call = (): void => this.#callJavaScript(slot, id)
    if (this.#intrinsics.select(slot, id, call) || (id === LOOP_HELPER && this.#loop(slot))) return
    call()
  }

  #callJavaScript(slot: number, id: number): void {
    const out = this.out
    const index = this.#targets.helpers.get(id)
    if (index === undefined) {
      out.i32(slot)
      return out.opIndex(WASM.CALL, IMPORT.STOP)
    }
    this.#beforeJavaScript(slot)
    for (let r = 1; r <= this.#targets.arityOf(id); r++) this.#halves(r)
    out.opIndex(WASM.CALL, index)
    this.#takeAnswer()
    this.#afterJavaScript()
  }

  #callById(slot: number): void {
    const out = this.out
    this.#beforeJavaScript(slot)
    out.i32(slot)
    this.#halves(this.slots.dst(slot))
    for (let r = 1; r <= 5; r++) this.#halves(r)
    out.opIndex(WASM.CALL, IMPORT.CALL_BY_ID)
    this.#takeAnswer()
    this.#afterJavaScript()
  }

  #callLocal(slot: number): void {
    const callee = this.#targets.functions.get(this.slots.callee(slot))
    if (callee === undefined) throw new Error('a call leads to no function that was found')
    if (callee.fn.isLeaf && this.locals.leaf.length > 0 && !this.#setup.mayBeDeep)
      return this.#writeLeaf(callee.fn)
    this.#enter(slot, callee, (r) => this.out.get(this.register(r)), false)
    this.out.set(this.register(0))
    this.#afterCall(callee)
    this.facts.forgetRights()
  }

  /** Writes the instructions of a leaf, on registers of its own, in place of the call. */
  #writeLeaf({ start, length, parameters }: ProgramFunction): void {
    const out = this.out
    const { leaf } = this.locals
    const { countsFuel, countsCalls } = this.#setup
    if (countsFuel && !countsCalls) this.takeFuel(length)
    for (let r = 1; r <= 5; r++) {
      if (((parameters >> r) & 1) === 0) continue
      out.get(this.register(r))
      out.set(leaf[r] ?? 0)
    }
    // The last one is the exit.
    for (let slot = start; slot < start + length - 1; slot++) this.#leaf.select(slot)
    out.get(leaf[0] ?? 0)
    out.set(this.register(0))
  }

  /**
   * Writes a call, which leaves r0.
   *
   * @param argument leaves the value of an argument register
   * @param isRepeated a helper calls, round after round
   */
  #enter(
    slot: number,
    { index, fn }: CallTarget,
    argument: (register: number) => void,
    isRepeated: boolean,
  ): void {
    const out = this.out
    const { depth } = this.locals
    const { state, countsFuel, countsCalls, mayBeDeep } = this.#setup
    if (countsFuel && mayBeDeep) {
      out.get(depth)
      out.i32(state)
      out.memory(WASM.I32_LOAD, 2, STATE.DEEPEST)
      out.op(WASM.I32_GE_S)
      out.open(WASM.IF, TYPE.EMPTY)
      out.i32(slot)
      this.#throw(IMPORT.TOO_DEEP)
      out.op(WASM.END)
    }
    if (countsFuel) {
      // What a straight function takes is known, and its caller takes it.
      if (!fn.isStraight) this.storeFuel()
      else if (!countsCalls || isRepeated) this.takeFuel(fn.length)
    }
    for (let r = 1; r <= 5; r++) if (((fn.parameters >> r) & 1) === 1) argument(r)
    out.get(depth)
    out.i32(1)
    out.op(WASM.I32_ADD)
    out.opIndex(WASM.CALL, index)
  }

  #afterCall({ fn }: CallTarget): void {
    if (this.#setup.countsFuel && !fn.isStraight) this.loadFuel()
    if (this.#setup.usesShadow && fn.callsOut) this.checks.loadShadow()
  }

  /** bpf_loop(r1 count, r2 function, r3 context, r4 flags) with a function that is known: Linux writes the loop into the program too. */
  #loop(slot: number): boolean {
    const callee = this.#targets.functions.get(this.facts.functionIn(2))
    if (callee === undefined || !this.#intrinsics.areLinuxs) return false
    const out = this.out
    const { index, count, registers, wide } = this.locals
    const result = registers[0] ?? 0
    out.open(WASM.BLOCK, TYPE.EMPTY)
    out.i64(EINVAL)
    out.set(result)
    out.get(registers[4] ?? 0)
    out.op(WASM.I64_EQZ)
    out.op(WASM.I32_EQZ)
    out.opIndex(WASM.BR_IF, 0)
    out.i64Halves(E2BIG, 0)
    out.set(result)
    // All 64 bits: so does the loop that Linux writes, where the helper would see 32.
    out.get(registers[1] ?? 0)
    out.i64(MAX_LOOPS)
    out.op(WASM.I64_GT_U)
    out.opIndex(WASM.BR_IF, 0)
    out.get(registers[1] ?? 0)
    out.op(WASM.I32_WRAP_I64)
    out.set(count)
    out.i32(0)
    out.set(index)
    out.open(WASM.BLOCK, TYPE.EMPTY)
    out.get(count)
    out.op(WASM.I32_EQZ)
    out.opIndex(WASM.BR_IF, 0)
    out.open(WASM.LOOP, TYPE.EMPTY)
    if (this.#setup.countsFuel) this.checkFuel(slot)
    this.#enter(slot, callee, (r) => this.#loopArgument(r), true)
    out.set(wide)
    this.#afterCall(callee)
    out.get(index)
    out.i32(1)
    out.op(WASM.I32_ADD)
    out.set(index)
    out.get(wide)
    out.op(WASM.I64_EQZ)
    out.open(WASM.IF, TYPE.EMPTY)
    out.get(index)
    out.get(count)
    out.op(WASM.I32_LT_U)
    out.opIndex(WASM.BR_IF, 1)
    out.opIndex(WASM.BR, 2)
    out.op(WASM.END)
    out.get(wide)
    out.i64(1)
    out.op(WASM.I64_EQ)
    out.opIndex(WASM.BR_IF, 1)
    out.i32(slot)
    this.#localHalves(wide)
    this.#throw(IMPORT.BAD_CALLBACK)
    out.op(WASM.END)
    out.op(WASM.END)
    out.get(index)
    out.op(WASM.I64_EXTEND_I32_U)
    out.set(result)
    out.op(WASM.END)
    this.facts.forgetRights()
    return true
  }

  /** r1 is the number of the pass, r2 the context. */
  #loopArgument(register: number): void {
    const out = this.out
    if (register === 1) {
      out.get(this.locals.index)
      out.op(WASM.I64_EXTEND_I32_U)
    } else if (register === 2) out.get(this.register(3))
    else out.i64(0)
  }

  #tailCall(slot: number): void {
    const out = this.out
    this.#beforeJavaScript(slot)
    for (let r = 1; r <= 3; r++) this.#halves(r)
    out.opIndex(WASM.CALL, IMPORT.TAIL_CALL)
    this.#afterJavaScript()
    out.open(WASM.IF, TYPE.EMPTY)
    this.leave(() => this.#result())
    out.op(WASM.END)
  }

  /** Says where the program is: helpers may call back, and errors name the place. */
  #beforeJavaScript(slot: number): void {
    const out = this.out
    const { state, countsFuel } = this.#setup
    out.i32(state)
    out.get(this.locals.depth)
    out.memory(WASM.I32_STORE, 2, STATE.DEPTH)
    out.i32(state)
    out.i32(slot)
    out.memory(WASM.I32_STORE, 2, STATE.POSITION)
    if (countsFuel) this.storeFuel()
  }

  /** Functions called back have taken fuel, and the memory may have grown. */
  #afterJavaScript(): void {
    const { countsFuel, usesShadow } = this.#setup
    if (countsFuel) this.loadFuel()
    if (usesShadow) this.checks.loadShadow()
    this.facts.forgetRights()
  }

  #takeResult(): void {
    this.#result()
    this.out.set(this.register(0))
  }

  /** Takes r0 of a helper, whose low half is on the stack. */
  #takeAnswer(): void {
    this.out.op(WASM.I64_EXTEND_I32_U)
    this.#withHighHalf()
    this.out.set(this.register(0))
  }

  /** Leaves what JavaScript answered. It wrote halves: a processor waits if they are loaded as one. */
  #result(): void {
    this.out.i32(this.#setup.state)
    this.out.memory(WASM.I64_LOAD32_U, 2, STATE.RESULT)
    this.#withHighHalf()
  }

  #withHighHalf(): void {
    const out = this.out
    out.i32(this.#setup.state)
    out.memory(WASM.I64_LOAD32_U, 2, STATE.RESULT + 4)
    out.i64(32)
    out.op(WASM.I64_SHL)
    out.op(WASM.I64_OR)
  }

  /** Leaves a register as two i32, the low half first. */
  #halves(register: number): void {
    const out = this.out
    const local = this.register(register)
    if (!this.facts.isKernelPointer(register)) return this.#localHalves(local)
    out.get(local)
    out.op(WASM.I32_WRAP_I64)
    out.i32(KERNEL_HI)
  }

  #localHalves(local: number): void {
    const out = this.out
    out.get(local)
    out.op(WASM.I32_WRAP_I64)
    out.get(local)
    out.i64(32)
    out.op(WASM.I64_SHR_U)
    out.op(WASM.I32_WRAP_I64)
  }
}
