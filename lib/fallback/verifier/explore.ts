/** The walk along all paths: one instruction after the other, until each path has ended or is covered by another one. */
import { CLASS, OP, PSEUDO_LDDW } from '../../isa/opcodes.js'
import { BPF_MAP_TYPE as M } from '../../linux/map-types.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { simulateAlu } from './alu.js'
import { simulateAtomic } from './atomics.js'
import { callFunction, clearArguments, freshFrame, leaveEarly, subprogramAt } from './calls.js'
import { simulateExit } from './exits.js'
import { globalEntry } from './global-functions.js'
import { callHelper } from './helper-call.js'
import { callKfunc } from './kfunc-call.js'
import { simulateJump } from './jumps.js'
import { accessMemory } from './memory-access.js'
import { checkNoOffset } from './pointer-offsets.js'
import { checkWritable, readRegister } from './operands.js'
import { endPath, isCovered } from './prune.js'
import type { KernelSymbol } from './program.js'
import { E2BIG, invalid, Rejection, Unmodelled } from './rejection.js'
import { checkNoLeak } from './references.js'
import { type Frame, State } from './state.js'
import type { Subprogram } from './subprograms.js'
import { constantScalar, FLAG, KIND, pointer, type Register, UNKNOWN } from './values/register.js'
import type { Verification } from './verification.js'

const LOAD_BYTES: readonly number[] = [4, 2, 1, 8]
/** Instructions between looks at the clock. */
const CLOCK_INTERVAL = 4096

/** Verifies the program, and each global function that it reaches. */
export function explore(env: Verification): void {
  exploreFunction(env, env.subprograms[0] as Subprogram)
  const done = new Set<Subprogram>()
  for (let again = true; again;) {
    again = false
    for (const subprogram of env.subprograms) {
      if (!subprogram.global || !subprogram.called || done.has(subprogram)) continue
      done.add(subprogram)
      again = true
      exploreFunction(env, subprogram)
      env.log?.remark(
        `Func#${subprogram.index} ('${subprogram.name}') is safe for any args that match its prototype`,
      )
    }
  }
}

function exploreFunction(env: Verification, subprogram: Subprogram): void {
  const state = new State()
  const frame = freshFrame(0, -1, subprogram.index)
  env.log?.restart()
  if (subprogram.index !== 0 || env.program.replaces !== undefined)
    env.log?.remark(`Validating ${subprogram.name}() func#${subprogram.index}...`)
  // An extension is entered as the function is whose place it takes.
  if (subprogram.index === 0 && env.program.replaces === undefined) enterProgram(env, frame)
  else
    globalEntry(env, subprogram).forEach((argument, i) => {
      frame.registers[i + 1] = argument
    })
  state.frames = [frame]
  state.branches = 1
  state.sleepable = env.sleepable
  state.firstInsn = subprogram.start
  env.explored.fill(undefined)
  env.visits.clear()
  env.state = state
  env.insn = subprogram.start
  env.previous = -1
  env.stackLiveness.clear()
  run(env)
}

function enterProgram({ program }: Verification, { registers }: Frame): void {
  const { memory: size } = program
  if (size === undefined) {
    registers[1] = pointer(KIND.CTX)
    return
  }
  const memory = pointer(KIND.MEM)
  memory.range = size
  registers[1] = memory
  registers[2] = constantScalar(0, size)
}

function run(env: Verification): void {
  const started = performance.now()
  for (;;) {
    if (follow(env, started)) continue
    endPath(env, env.state)
    if (env.pop()) continue
    env.log?.restart()
    return
  }
}

/** Simulates the instruction at hand. @returns false: the path has ended */
function follow(env: Verification, started: number): boolean {
  const { state, insn, marks, limits } = env
  env.entry = undefined
  if (++env.insnsProcessed > limits.instructions)
    throw new Rejection(E2BIG, `BPF program is too large. Processed ${env.insnsProcessed} insn`)
  if (env.insnsProcessed % CLOCK_INTERVAL === 0) checkClock(env, started)
  state.lastInsn = env.previous
  state.insn = insn
  if (marks.prunePoint[insn] === 1 && isCovered(env)) {
    env.log?.covered(env)
    return false
  }
  if (marks.jumpPoint[insn] === 1) env.remember(-1)
  env.simulated = insn
  env.log?.instruction(env)
  env.stackLiveness.begin()
  const depth = state.frames.length
  const next = state.speculative ? speculate(env) : simulate(env)
  if (state.frames.length === depth) env.stackLiveness.commit(state, insn)
  if (next < 0) return false
  env.previous = insn
  env.insn = next
  return true
}

function checkClock({ limits, insnsProcessed }: Verification, started: number): void {
  const { milliseconds } = limits
  if (milliseconds !== undefined && performance.now() - started > milliseconds)
    throw new Rejection(
      E2BIG,
      `verification took more than ${milliseconds} ms: stopped after ${insnsProcessed} insns`,
    )
}

/** On a path that a processor alone may come along. */
function speculate(env: Verification): number {
  const { speculation, insn } = env
  if (speculation === undefined) return simulate(env)
  if (speculation.barrierBefore[insn] === 1) return -1
  try {
    const next = simulate(env)
    return speculation.barrierBehind[insn] === 1 ? -1 : next
  } catch (error) {
    if (error instanceof Rejection && speculation.mend(insn, error)) return -1
    throw error
  }
}

/** @returns the slot at which the path goes on; -1: it ends */
function simulate(env: Verification): number {
  const { code, insn } = env
  const opcode = code.opcodeAt(insn)
  switch (opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64:
      simulateAlu(env)
      return insn + 1
    case CLASS.LDX:
      load(env, opcode)
      return insn + 1
    case CLASS.STX:
      if ((opcode & 0xe0) === 0xc0) simulateAtomic(env, LOAD_BYTES[(opcode >> 3) & 3] as number)
      else storeRegister(env, opcode)
      return insn + 1
    case CLASS.ST:
      storeConstant(env, opcode)
      return insn + 1
    case CLASS.LD:
      if (opcode === OP.LDDW) {
        loadWide(env)
        return insn + 2
      }
      return loadPacket(env, opcode)
    default:
      return flow(env, opcode)
  }
}

function bytesOf(opcode: number): number {
  return LOAD_BYTES[(opcode >> 3) & 3] as number
}

function load(env: Verification, opcode: number): void {
  const { code, insn, registers } = env
  const dst = code.dstAt(insn)
  const src = code.srcAt(insn)
  readRegister(env, src)
  checkWritable(dst)
  registers[dst] = accessMemory(env, {
    number: src,
    offset: code.offset[insn] as number,
    size: bytesOf(opcode),
    write: false,
    signExtends: (opcode & 0xe0) === 0x80,
  })
}

function storeRegister(env: Verification, opcode: number): void {
  const { code, insn } = env
  const dst = code.dstAt(insn)
  const src = code.srcAt(insn)
  if ((opcode & 0xe0) !== 0x60 || code.imm[insn] !== 0) invalid('BPF_STX uses reserved fields')
  readRegister(env, src)
  readRegister(env, dst)
  accessMemory(env, {
    number: dst,
    offset: code.offset[insn] as number,
    size: bytesOf(opcode),
    write: true,
    stored: { register: src },
  })
}

function storeConstant(env: Verification, opcode: number): void {
  const { code, insn } = env
  const dst = code.dstAt(insn)
  if ((opcode & 0xe0) !== 0x60 || code.src[insn] !== 0) invalid('BPF_ST uses reserved fields')
  readRegister(env, dst)
  accessMemory(env, {
    number: dst,
    offset: code.offset[insn] as number,
    size: bytesOf(opcode),
    write: true,
    stored: { constant: code.immAt(insn) },
  })
}

function loadWide(env: Verification): void {
  const { code, insn, registers, program } = env
  const dst = code.dstAt(insn)
  const src = code.srcAt(insn)
  if (code.offset[insn] !== 0) invalid('BPF_LD_IMM64 uses reserved fields')
  checkWritable(dst)
  if (src === PSEUDO_LDDW.IMM) {
    registers[dst] = constantScalar(code.immAt(insn + 1), code.immAt(insn))
    return
  }
  if (src === PSEUDO_LDDW.FUNC) {
    const subprogram = subprogramAt(env, insn + 1 + code.immAt(insn))
    if (program.functions.length === 0) invalid('missing btf func_info')
    if (subprogram.global) invalid('callback function not static')
    const address = pointer(KIND.FUNC)
    address.frame = subprogram.index
    registers[dst] = address
    return
  }
  if (src === PSEUDO_LDDW.BTF_ID) {
    registers[dst] = symbolAddress(program.symbols?.get(insn))
    return
  }
  const reference = program.mapReferences.get(insn)
  if (reference === undefined) return invalid('unrecognized bpf_ld_imm64 insn')
  const { map, valueOffset } = reference
  if (map.type === M.ARENA && valueOffset !== undefined) {
    registers[dst] = UNKNOWN
    return
  }
  const result = pointer(valueOffset === undefined ? KIND.MAP_PTR : KIND.MAP_VALUE)
  result.map = map
  if (valueOffset !== undefined) result.offset = valueOffset
  registers[dst] = result
}

/** What the address of a symbol of the kernel may be used for. */
function symbolAddress(symbol: KernelSymbol | undefined): Register {
  if (symbol === undefined) throw new Unmodelled('addresses of kernel symbols')
  if (symbol.kind === 'address') return UNKNOWN
  const { struct, size, perCpu } = symbol
  const isMemory = struct === undefined && !perCpu
  const address = isMemory ? pointer(KIND.MEM, FLAG.RDONLY) : pointer(KIND.BTF_ID, perCpu ? FLAG.PERCPU : 0)
  address.struct = struct
  if (struct === undefined) address.range = size
  return address
}

const PACKET_LOADERS: ReadonlySet<number> = new Set([P.SOCKET_FILTER, P.SCHED_CLS, P.SCHED_ACT])

/** LD_ABS and LD_IND: as in classic BPF, of the packet in r6; out of bounds ends the program. */
function loadPacket(env: Verification, opcode: number): number {
  const { code, insn, registers, program } = env
  if (!PACKET_LOADERS.has(program.type))
    invalid('BPF_LD_[ABS|IND] instructions not allowed for this program type')
  const indirect = (opcode & 0xe0) === 0x40
  if (code.dst[insn] !== 0 || code.offset[insn] !== 0 || (!indirect && code.src[insn] !== 0))
    invalid('BPF_LD_[ABS|IND] uses reserved fields')
  const packet = readRegister(env, 6)
  checkNoLeak(env, 'BPF_LD_[ABS|IND]', true)
  if (packet.kind !== KIND.CTX) invalid('at the time of BPF_LD_ABS|IND R6 != pointer to skb')
  if (indirect) readRegister(env, code.srcAt(insn))
  checkNoOffset(6, packet)
  clearArguments(registers)
  registers[0] = UNKNOWN
  return env.state.frames.length > 1 ? leaveEarly(env, false) : insn + 1
}

function flow(env: Verification, opcode: number): number {
  const { code, insn } = env
  env.jumpsProcessed++
  const reserved = code.dst[insn] !== 0
  if (opcode === OP.CALL) {
    const isKfunc = code.isKfuncCall(insn)
    if (reserved || (!isKfunc && code.offset[insn] !== 0) || code.srcAt(insn) > 2)
      invalid('BPF_CALL uses reserved fields')
    if (code.isLocalCall(insn)) return callFunction(env)
    if (isKfunc) return callKfunc(env)
    return callHelper(env)
  }
  if (opcode === OP.EXIT) {
    if (reserved || code.src[insn] !== 0 || code.imm[insn] !== 0) invalid('BPF_EXIT uses reserved fields')
    return simulateExit(env)
  }
  if (!code.isGoto(insn)) return simulateJump(env)
  const unused = opcode === OP.JA32 ? code.offset[insn] : code.imm[insn]
  if (reserved || code.src[insn] !== 0 || unused !== 0) invalid('BPF_JA uses reserved fields')
  return insn + 1 + code.jumpOffset(insn)
}
