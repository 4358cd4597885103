/** A whole program as a WebAssembly module. */
import { SLOT } from '../../../isa/instruction.js'
import { OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../../isa/opcodes.js'
import { TAIL_CALL_HELPER } from '../predecode.js'
import type { ExecutableProgram } from '../types.js'
import { emitSlowCheck } from './checks.js'
import { CodeBuffer } from './code-buffer.js'
import { compileFunction, compileSplitFunction } from './compile-function.js'
import { MOST_COPIES, shapeOf } from './functions.js'
import type { ProgramFunction } from './functions.js'
import { IMPORT, importTypesOf } from './imports.js'
import type { IntrinsicTables } from './intrinsic-tables.js'
import { countOf } from './locals.js'
import { TYPE, WASM } from './opcodes.js'
import { Routines } from './routines.js'
import { Slots } from '../slots.js'
import { split, SLOTS_OF_PART } from './split.js'
import { GLOBALS, STATE } from './state.js'
import { TrapMap } from './trap-map.js'

/** Largest body of a function that V8 takes: kV8MaxWasmFunctionSize. Other engines take as much. */
const LARGEST_FUNCTION = 7_654_321
/** Bytes of code that an instruction becomes, about: what to make room for. */
const BYTES_PER_SLOT = 16

export interface CompileOptions {
  /** Address of the engine's block: see state.ts. */
  readonly state: number
  /** Ids that the environment has. */
  readonly helpers: ReadonlySet<number>
  readonly intrinsics: IntrinsicTables | undefined
  /** Arguments that are passed to a helper. */
  readonly arityOf: (helper: number) => number
  readonly isProven: (slot: number) => boolean
  readonly usesShadow: boolean
  readonly isUnbounded: boolean
  /** Loops inside functions were walked to their ends. */
  readonly loopsEnd: boolean
}

export interface CompiledProgram {
  readonly bytes: Uint8Array
  readonly traps: TrapMap
  /** Ids of the helpers that it imports, as `h<id>`. */
  readonly helpers: readonly number[]
  /** By start slot. */
  readonly functions: ReadonlyMap<number, ProgramFunction>
  /** Ids that it calls, whether the environment has them or not. */
  readonly called: readonly number[]
}

/** Section ids. */
const SECTION = { TYPE: 1, IMPORT: 2, FUNCTION: 3, GLOBAL: 6, EXPORT: 7, CODE: 10 } as const
const FUNCTION_KIND = 0
const MEMORY_KIND = 2
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
/** Largest memory that an import may have, in pages: that is what the limits say, not what is taken. */
const MOST_PAGES = 65536

/**
 * Whether a program can be compiled, and all that it calls is there: found at a glance, so that compiling it can wait until it runs. Most
 * programs are such.
 *
 * @param helpers by id
 */
export function surelyCompiles(
  { code, functions }: ExecutableProgram,
  helpers: ReadonlyMap<number, unknown>,
): boolean {
  if (functions.length > MOST_COPIES || code.length > SLOTS_OF_PART * SLOT || code.length % SLOT !== 0)
    return false
  const slots = new Slots(code)
  const starts = new Set(functions.map(({ start }) => start))
  for (let slot = 0; slot < slots.count; slot += slots.length(slot)) {
    const opcode = slots.opcode(slot)
    const src = slots.src(slot)
    const leadsToFunction =
      (opcode === OP.CALL && src === PSEUDO_CALL.LOCAL) || (opcode === OP.LDDW && src === PSEUDO_LDDW.FUNC)
    if (leadsToFunction && !starts.has(slots.callee(slot))) return false
    const callsHelper = opcode === OP.CALL && src === PSEUDO_CALL.HELPER
    if (callsHelper && slots.imm(slot) !== TAIL_CALL_HELPER && !helpers.has(slots.imm(slot))) return false
  }
  return true
}

/** @returns undefined if the program can't be compiled: a function is too large, or functions share too much code */
export function compileProgram(
  program: ExecutableProgram,
  options: CompileOptions,
): CompiledProgram | undefined {
  const slots = new Slots(program.code, program.casts)
  const shape = shapeOf(
    slots,
    program.functions.map(({ start }) => start),
    options.arityOf,
    options.loopsEnd,
  )
  if (shape === undefined) return undefined
  const { functions } = shape
  const types = new Types()
  const helpers = shape.helpers.filter((id) => options.helpers.has(id))
  const importTypes = importTypesOf(slots)
  const imports = importTypes.length + helpers.length
  // Behind the imports: the slow check, the functions, their entries for JavaScript, look-ups.
  const slowCheck = imports
  const firstFunction = slowCheck + 1
  const parts = functions.map((fn) => split(fn.graph, fn.length))
  const partCount = parts.reduce((sum, list) => sum + (list?.length ?? 0), 0)
  const firstPart = firstFunction + functions.length
  const firstEntry = firstPart + partCount
  const routines = new Routines(firstEntry + functions.length)
  const out = new CodeBuffer(1024 + BYTES_PER_SLOT * slots.count)
  const traps = new TrapMap()
  const context = {
    slots,
    out,
    state: options.state,
    targets: {
      arityOf: options.arityOf,
      helpers: new Map(helpers.map((id, i) => [id, importTypes.length + i])),
      functions: new Map(functions.map((fn, i) => [fn.start, { index: firstFunction + i, fn }])),
    },
    checkFunctions: { slowCheck },
    routines,
    intrinsics: options.intrinsics,
    traps,
    isProven: options.isProven,
    usesShadow: options.usesShadow,
    isUnbounded: options.isUnbounded,
    elsewhere: {
      loads: program.faultingLoadsReadZero || program.contexts !== undefined,
      stores: program.contexts !== undefined,
    },
    casts: program.casts,
  }
  emitSlowCheck(out, IMPORT.FAULT)
  const fits = (compile: () => void): boolean => {
    const before = out.position
    compile()
    return out.position - before <= LARGEST_FUNCTION
  }
  let nextPart = firstPart
  for (const [i, fn] of functions.entries()) {
    const list = parts[i]
    if (list !== undefined) {
      compileSplitFunction(context, fn, list, nextPart)
      nextPart += list.length
    } else if (!fits(() => compileFunction(context, fn))) return undefined
  }
  for (const [i, fn] of functions.entries())
    for (const part of parts[i] ?? []) if (!fits(() => compileFunction(context, fn, part))) return undefined
  functions.forEach((fn, i) => emitEntry(out, fn, firstFunction + i, options.state))
  routines.emit(out)

  const defined = [
    types.of([TYPE.I64, TYPE.I32, TYPE.I32, TYPE.I32], TYPE.I32),
    ...functions.map((fn) => types.of([...repeat(TYPE.I64, countOf(fn.parameters)), TYPE.I32], TYPE.I64)),
    ...repeat(0, partCount).map(() => types.of([TYPE.I32, TYPE.I32], TYPE.I32)),
    ...functions.map(() => types.of(repeat(TYPE.I32, ENTRY_PARAMETERS), undefined)),
    ...routines.parameters.map((count) => types.of(repeat(TYPE.I32, count), TYPE.I32)),
  ]
  const imported = [
    ...importTypes.map(([parameters, result]) =>
      types.of(repeat(TYPE.I32, parameters), result ? TYPE.I32 : undefined),
    ),
    ...helpers.map((id) => types.of(repeat(TYPE.I32, 2 * options.arityOf(id)), TYPE.I32)),
  ]
  const head = new CodeBuffer()
  head.raw(MAGIC)
  section(head, SECTION.TYPE, () => types.emit(head))
  section(head, SECTION.IMPORT, () => emitImports(head, imported, helpers))
  section(head, SECTION.FUNCTION, () => {
    head.unsigned(defined.length)
    for (const type of defined) head.unsigned(type)
  })
  if (partCount > 0) section(head, SECTION.GLOBAL, () => emitGlobals(head))
  section(head, SECTION.EXPORT, () => {
    head.unsigned(functions.length)
    functions.forEach((fn, i) => {
      head.text(entryName(fn.start))
      head.byte(FUNCTION_KIND)
      head.unsigned(firstEntry + i)
    })
  })
  const code = out.finish()
  section(head, SECTION.CODE, () => {
    head.unsigned(defined.length)
    traps.moveTo(head.position)
    head.raw(code)
  })
  return {
    bytes: head.finish(),
    traps,
    helpers,
    functions: new Map(functions.map((fn) => [fn.start, fn])),
    called: shape.helpers,
  }
}

/** The export that calls the function at a slot. */
export function entryName(start: number): string {
  return `f${start}`
}

/** Depth, and r1…r5 in halves. */
const ENTRY_PARAMETERS = 11

/** Writes the function that JavaScript calls another one by: (depth, r1 … r5 in halves) -> (), r0 in RESULT. */
function emitEntry(out: CodeBuffer, fn: ProgramFunction, index: number, state: number): void {
  const body = out.openSized()
  out.unsigned(0)
  out.i32(state)
  for (let r = 1; r <= 5; r++) {
    if (((fn.parameters >> r) & 1) === 0) continue
    out.get(2 * r)
    out.op(WASM.I64_EXTEND_I32_U)
    out.i64(32)
    out.op(WASM.I64_SHL)
    out.get(2 * r - 1)
    out.op(WASM.I64_EXTEND_I32_U)
    out.op(WASM.I64_OR)
  }
  out.get(0)
  out.opIndex(WASM.CALL, index)
  out.memory(WASM.I64_STORE, 3, STATE.RESULT)
  out.op(WASM.END)
  out.closeSized(body)
}

function emitImports(head: CodeBuffer, types: readonly number[], helpers: readonly number[]): void {
  head.unsigned(types.length + 1)
  types.forEach((type, i) => {
    head.text('k')
    const helper = helpers[i - types.length + helpers.length]
    head.text(helper === undefined ? `i${i}` : `h${helper}`)
    head.byte(FUNCTION_KIND)
    head.unsigned(type)
  })
  head.text('k')
  head.text('memory')
  head.byte(MEMORY_KIND)
  head.byte(1)
  head.unsigned(0)
  head.unsigned(MOST_PAGES)
}

/** Registers that wait between parts of a function: mutable, 0 at first. */
function emitGlobals(head: CodeBuffer): void {
  head.unsigned(GLOBALS.COUNT)
  for (let i = 0; i < GLOBALS.COUNT; i++) {
    head.byte(TYPE.I64)
    head.byte(1)
    head.i64(0)
    head.byte(WASM.END)
  }
}

function section(head: CodeBuffer, id: number, emit: () => void): void {
  head.byte(id)
  const start = head.openSized()
  emit()
  head.closeSized(start)
}

function repeat(value: number, count: number): number[] {
  return Array.from({ length: count }, () => value)
}

/** The types of functions, each once. */
class Types {
  readonly #index = new Map<string, number>()
  readonly #all: (readonly [readonly number[], number | undefined])[] = []

  of(parameters: readonly number[], result: number | undefined): number {
    const key = `${parameters.join()}:${result ?? ''}`
    let index = this.#index.get(key)
    if (index === undefined) {
      index = this.#all.push([parameters, result]) - 1
      this.#index.set(key, index)
    }
    return index
  }

  emit(head: CodeBuffer): void {
    head.unsigned(this.#all.length)
    for (const [parameters, result] of this.#all) {
      head.byte(TYPE.FUNCTION)
      head.unsigned(parameters.length)
      head.raw(parameters)
      head.unsigned(result === undefined ? 0 : 1)
      if (result !== undefined) head.byte(result)
    }
  }
}
