/** One function of a program, as the body of a WebAssembly function: (arguments i64 …, depth i32) -> r0 i64. */
import { CLASS, OP, PSEUDO_CALL } from '../../../isa/opcodes.js'
import { KERNEL_HI } from '../../memory.js'
import { MAY_GOTO_ITERATIONS, STACK_SIZE } from '../frames.js'
import type { AddressCasts } from '../types.js'
import { FUNC_HI } from '../predecode.js'
import { Checks } from './checks.js'
import type { CheckFunctions, Elsewhere } from './checks.js'
import type { CodeBuffer } from './code-buffer.js'
import { dispatched } from './dispatch.js'
import type { ReducibleGraph } from './dispatch.js'
import { Facts } from './facts.js'
import type { KnownFacts } from './facts.js'
import { HANDOVER } from './flow-graph.js'
import type { FlowGraph } from './flow-graph.js'
import { accessesMemory } from './functions.js'
import type { ProgramFunction } from './functions.js'
import { IMPORT } from './imports.js'
import { Intrinsics, MAP_LOOKUP } from './intrinsics.js'
import type { IntrinsicTables } from './intrinsic-tables.js'
import { Locals } from './locals.js'
import { TYPE, WASM } from './opcodes.js'
import { Arithmetic } from './select-alu.js'
import { Calls } from './select-calls.js'
import type { CallTargets } from './select-calls.js'
import { MemoryAccess } from './select-memory.js'
import { FLOW, isCall, isPacketLoad } from '../slots.js'
import type { Routines } from './routines.js'
import type { Slots } from '../slots.js'
import type { Part } from './split.js'
import { stackSlots } from './stack-slots.js'
import { GLOBALS, STATE } from './state.js'
import { emitStructured } from './structure.js'
import type { BlockEmitter } from './structure.js'
import type { TrapMap } from './trap-map.js'

/** What all functions of a program share. */
export interface CompileContext {
  readonly slots: Slots
  readonly out: CodeBuffer
  readonly state: number
  readonly targets: CallTargets
  readonly checkFunctions: CheckFunctions
  readonly routines: Routines
  readonly intrinsics: IntrinsicTables | undefined
  readonly traps: TrapMap
  /** Accesses that need no check. */
  readonly isProven: (slot: number) => boolean
  /** Whether some access may need a check. */
  readonly usesShadow: boolean
  /** The program may run for ever, and call without end. */
  readonly isUnbounded: boolean
  readonly elsewhere: Elsewhere
  /** What address space casts do; undefined: there are none. */
  readonly casts: AddressCasts | undefined
}

const FRAME_POINTER = 10

/** @param part of a function that was split: (entry i32, depth i32) -> i32, see split.ts */
export function compileFunction(context: CompileContext, fn: ProgramFunction, part?: Part): void {
  new FunctionCompiler(context, fn, part).run()
}

/** A function that was split: calls one part after the other. @param firstPart index of the first one in the module */
export function compileSplitFunction(
  { out }: CompileContext,
  { parameters }: ProgramFunction,
  parts: readonly Part[],
  firstPart: number,
): void {
  const locals = new Locals(parameters, 0)
  const body = out.openSized()
  locals.declare(out)
  for (let r = 1; r <= 5; r++) {
    out.get(locals.registers[r] ?? 0)
    out.opIndex(WASM.GLOBAL_SET, r)
  }
  out.i64(MAY_GOTO_ITERATIONS)
  out.opIndex(WASM.GLOBAL_SET, GLOBALS.LOOPS)
  out.open(WASM.LOOP, TYPE.EMPTY)
  parts.forEach(({ firstEntry }, i) => {
    const behind = parts[i + 1]?.firstEntry
    if (behind !== undefined) {
      out.get(locals.index)
      out.i32(behind)
      out.op(WASM.I32_LT_S)
      out.open(WASM.IF, TYPE.EMPTY)
    }
    out.get(locals.index)
    out.i32(firstEntry)
    out.op(WASM.I32_SUB)
    out.get(locals.depth)
    out.opIndex(WASM.CALL, firstPart + i)
    out.tee(locals.index)
    out.i32(0)
    out.op(WASM.I32_GE_S)
    out.opIndex(WASM.BR_IF, behind === undefined ? 0 : 1)
    out.opIndex(WASM.GLOBAL_GET, 0)
    out.op(WASM.RETURN)
    if (behind !== undefined) out.op(WASM.END)
  })
  out.op(WASM.END)
  out.op(WASM.UNREACHABLE)
  out.op(WASM.END)
  out.closeSized(body)
}

class FunctionCompiler implements BlockEmitter {
  readonly #context: CompileContext
  readonly #fn: ProgramFunction
  readonly #reducible: ReducibleGraph
  readonly #graph: FlowGraph
  readonly #slots: Slots
  readonly #out: CodeBuffer
  readonly #locals: Locals
  readonly #facts: Facts
  readonly #checks: Checks
  readonly #arithmetic: Arithmetic
  readonly #memory: MemoryAccess
  readonly #calls: Calls
  /** What a straight function takes, its caller has paid. */
  readonly #countsFuel: boolean
  readonly #isPart: boolean
  /** Whether some access of the function is checked. */
  readonly #usesShadow: boolean
  /** By block, at its end. */
  readonly #known: KnownFacts[] = []

  constructor(context: CompileContext, fn: ProgramFunction, part: Part | undefined) {
    this.#isPart = part !== undefined
    const { slots, out, state, isUnbounded } = context
    this.#context = context
    this.#fn = fn
    this.#reducible = dispatched(part?.graph ?? fn.graph)
    this.#graph = this.#reducible.graph
    this.#slots = slots
    this.#out = out
    const dispatchers = this.#graph.dispatchers.size
    const usesShadow = context.usesShadow && this.#hasUnproven()
    this.#usesShadow = usesShadow
    // Where the interpreter may have to go on, what is in the stack must be there.
    const places = fn.usesFrame && !this.#isPart && !usesShadow ? stackSlots(slots, this.#graph) : new Map()
    this.#locals = this.#isPart
      ? Locals.ofPart(dispatchers)
      : new Locals(fn.parameters, dispatchers, places.size, this.#callsLeaves())
    this.#facts = new Facts(slots, !fn.writesFramePointer, (address) => context.intrinsics?.regionAt(address))
    this.#checks = new Checks(out, this.#locals, this.#facts, context)
    this.#arithmetic = new Arithmetic(slots, out, this.#locals, context.casts)
    const parts = { slots, out, locals: this.#locals, checks: this.#checks, facts: this.#facts }
    this.#memory = new MemoryAccess(parts, { badAtomic: IMPORT.BAD_ATOMIC, places })
    const intrinsics = new Intrinsics(parts, context.intrinsics, context.routines)
    this.#countsFuel = isUnbounded && !fn.isStraight
    const setup = {
      state,
      countsFuel: this.#countsFuel,
      countsCalls: fn.endsByItself,
      mayBeDeep: fn.mayBeDeep,
      isPart: this.#isPart,
      usesShadow,
      casts: context.casts,
    }
    this.#calls = new Calls(parts, context.targets, setup, intrinsics)
  }

  run(): void {
    const body = this.#out.openSized()
    this.#locals.declare(this.#out)
    this.#enter()
    const usesShadow = this.#usesShadow
    if (usesShadow) this.#out.open(WASM.BLOCK, TYPE.I32)
    emitStructured(this.#reducible, this.#out, this)
    if (usesShadow) {
      this.#out.op(WASM.END)
      if (this.#checks.goesOn) this.#calls.goOn()
      this.#out.op(WASM.UNREACHABLE)
    }
    this.#out.op(WASM.END)
    this.#out.closeSized(body)
  }

  body(block: number, isLoopHead: boolean, level: number): void {
    const { start, end, flow } = this.#graph
    const first = start[block] ?? 0
    const behind = end[block] ?? 0
    this.#facts.start(this.#inherited(block))
    this.#checks.level = level
    if (this.#countsFuel && !this.#fn.endsByItself) this.#takeFuel(first, behind - first, isLoopHead)
    const chosen = this.#graph.choices.get(block)
    if (chosen !== undefined) {
      this.#out.i32(chosen.choice)
      this.#out.set(this.#locals.choices + chosen.ordinal)
    }
    if (first === behind) return
    const kind = flow[block]
    const last = kind === FLOW.NEXT ? behind : behind - 1
    for (let slot = first; slot < last; slot += this.#slots.length(slot)) this.#select(slot)
    this.#context.traps.mark(this.#out.position, Math.max(first, behind - 1))
    this.#known[block] = this.#facts.end()
  }

  #callsLeaves(): boolean {
    const slots = this.#slots
    const { functions } = this.#context.targets
    const { count, start, end } = this.#graph
    for (let b = 0; b < count; b++)
      for (let slot = start[b] ?? 0; slot < (end[b] ?? 0); slot += slots.length(slot)) {
        const isLocal = slots.opcode(slot) === OP.CALL && slots.src(slot) === PSEUDO_CALL.LOCAL
        if (isLocal && functions.get(slots.callee(slot))?.fn.isLeaf === true) return true
      }
    return false
  }

  #hasUnproven(): boolean {
    const { isProven } = this.#context
    const { count, start, end } = this.#graph
    for (let b = 0; b < count; b++)
      for (let slot = start[b] ?? 0; slot < (end[b] ?? 0); slot += this.#slots.length(slot)) {
        const opcode = this.#slots.opcode(slot)
        if (
          (accessesMemory(opcode) || (this.#slots.imm(slot) === MAP_LOOKUP && opcode === OP.CALL)) &&
          !isProven(slot)
        )
          return true
      }
    return false
  }

  /** What the only block that leads to one knows at its end. */
  #inherited(block: number): KnownFacts {
    const { first, list } = this.#reducible.predecessors
    const from = first[block] ?? 0
    return (first[block + 1] ?? 0) - from === 1 ? this.#known[list[from] ?? 0] : undefined
  }

  condition(block: number, inverted: boolean): void {
    this.#arithmetic.condition((this.#graph.end[block] ?? 0) - 1, inverted)
  }

  leave(block: number): void {
    if (this.#graph.flow[block] === HANDOVER) return this.#handOver(this.#graph.start[block] ?? 0)
    if (this.#graph.flow[block] === FLOW.EXIT)
      return this.#calls.leave(() => this.#out.get(this.#locals.registers[0] ?? 0))
    this.#out.i32((this.#graph.end[block] ?? 0) - 1)
    this.#out.opIndex(WASM.CALL, IMPORT.STOP)
    this.#out.op(WASM.UNREACHABLE)
  }

  chosen(ordinal: number): void {
    // The first dispatcher of a part is where it starts.
    this.#out.get(this.#isPart && ordinal === 0 ? this.#locals.entry : this.#locals.choices + ordinal)
  }

  /** To another part: registers wait in globals. */
  #handOver(entry: number): void {
    const out = this.#out
    for (let r = 0; r < GLOBALS.REGISTERS; r++) {
      out.get(this.#locals.registers[r] ?? 0)
      out.opIndex(WASM.GLOBAL_SET, r)
    }
    if (this.#fn.usesMayGoto) {
      out.get(this.#locals.loops)
      out.op(WASM.I64_EXTEND_I32_S)
      out.opIndex(WASM.GLOBAL_SET, GLOBALS.LOOPS)
    }
    if (this.#countsFuel) {
      // A loop over several parts has no head in any.
      this.#calls.checkFuel(this.#fn.start)
      this.#calls.storeFuel()
    }
    out.i32(entry)
    out.op(WASM.RETURN)
  }

  #enter(): void {
    const out = this.#out
    const { stack, depth, registers, loops } = this.#locals
    if (this.#fn.usesFrame) {
      out.get(depth)
      out.i32(2)
      out.op(WASM.I32_SHL)
      out.memory(WASM.I32_LOAD, 2, this.#context.state + STATE.TOPS)
      out.i32(STACK_SIZE)
      out.op(WASM.I32_SUB)
      out.set(stack)
      out.get(stack)
      out.op(WASM.I64_EXTEND_I32_U)
      out.i64Halves(STACK_SIZE, KERNEL_HI)
      out.op(WASM.I64_ADD)
      out.set(registers[FRAME_POINTER] ?? 0)
    }
    if (this.#isPart) {
      for (let r = 0; r < GLOBALS.REGISTERS; r++) {
        out.opIndex(WASM.GLOBAL_GET, r)
        out.set(registers[r] ?? 0)
      }
    }
    if (this.#fn.usesMayGoto) {
      if (this.#isPart) {
        out.opIndex(WASM.GLOBAL_GET, GLOBALS.LOOPS)
        out.op(WASM.I32_WRAP_I64)
      } else out.i32(MAY_GOTO_ITERATIONS)
      out.set(loops)
    }
    if (this.#countsFuel) this.#calls.loadFuel()
    if (this.#countsFuel && this.#fn.endsByItself) this.#calls.takeFuel(this.#fn.length)
    if (this.#usesShadow) this.#checks.loadShadow()
  }

  /** Each block pays for its instructions; every loop passes its head. */
  #takeFuel(slot: number, instructions: number, isLoopHead: boolean): void {
    if (instructions > 0) this.#calls.takeFuel(instructions)
    if (isLoopHead) this.#calls.checkFuel(slot)
  }

  #select(slot: number): void {
    const slots = this.#slots
    const opcode = slots.opcode(slot)
    this.#context.traps.mark(this.#out.position, slot)
    switch (opcode & 7) {
      case CLASS.ALU:
      case CLASS.ALU64:
        this.#keepIndex(slot)
        this.#arithmetic.select(slot)
        break
      case CLASS.LDX:
        this.#memory.load(slot)
        break
      case CLASS.ST:
        this.#memory.store(slot, true)
        break
      case CLASS.STX:
        if ((opcode & 0xe0) === 0xc0) this.#memory.atomic(slot)
        else this.#memory.store(slot, false)
        break
      default:
        if (isCall(opcode)) return this.#calls.select(slot)
        if (isPacketLoad(opcode)) this.#calls.packet(slot)
        else if (opcode === OP.LDDW) this.#loadWide(slot)
    }
    this.#facts.follow(slot)
  }

  /** Before a sum of an address that is known and an index: accesses take them from where they are kept apart. */
  #keepIndex(slot: number): void {
    const index = this.#facts.indexOfSum(slot)
    if (index < 0) return
    const out = this.#out
    const { indices, registers } = this.#locals
    const dst = this.#slots.dst(slot)
    out.get(registers[index] ?? 0)
    if (this.#facts.isIndexed(dst)) {
      out.get(indices + this.#facts.indexLocal(dst))
      out.op(WASM.I64_ADD)
    }
    out.set(indices + dst)
  }

  #loadWide(slot: number): void {
    const slots = this.#slots
    const dst = slots.dst(slot)
    // The source register says that it is the address of a function: the loader left no other kind.
    if (slots.src(slot) !== 0) this.#arithmetic.loadWide(dst, slots.callee(slot), FUNC_HI)
    else this.#arithmetic.loadWide(dst, slots.imm(slot), slots.imm(slot + 1))
  }
}
