/**
 * Instructions as text, in the syntax of Linux's verifier log (and so of bpftool): `r0 = *(u32 *)(r1 +16)`.
 *
 * Linux has no words for some things that raw instructions can say; for these the syntax has a few of its own: `btf[id:5]` for the address of a
 * kernel variable, and the BTF of a module behind a kfunc, `call kernel-function#5 of 2`.
 */
import { helperById } from '../linux/helpers.js'
import type { Instruction } from './instruction.js'
import { ATOMIC, ATOMIC_OPERATIONS, MOV_OFFSET, PSEUDO_CALL, PSEUDO_LDDW, opcodeInfo } from './opcodes.js'
import type { OpcodeInfo } from './opcodes.js'

const SIGN_EXTENSIONS: ReadonlySet<number> = new Set([8, 16, 32])

/**
 * One instruction as text, without index and opcode.
 *
 * @param second the next slot: needed for 64-bit immediate loads only
 */
export function disassemble(insn: Instruction, second?: Instruction): string {
  const info = opcodeInfo(insn.opcode)
  if (info === undefined) return `BUG_${hexByte(insn.opcode)}`
  const { dst, src, offset, imm } = insn
  const r = info.bits === 32 ? 'w' : 'r'
  const operand = info.register ? `${r}${src}` : String(imm)
  switch (info.kind) {
    case 'alu':
      return `${r}${dst} ${offset === 1 && (info.name === 'div' || info.name === 'mod') ? 's' : ''}${info.symbol} ${operand}`
    case 'mov':
      return `${r}${dst} = ${info.register ? moved(insn, r) : imm}`
    case 'neg':
      return `${r}${dst} = -${r}${dst}`
    case 'end':
    case 'bswap':
      return `r${dst} = ${info.name}${imm} r${dst}`
    case 'ja':
      return `${info.symbol} pc${signed(info.bits === 32 ? imm : offset)}`
    case 'may_goto':
      return `may_goto pc${signed(offset)}`
    case 'jump':
      return `if ${r}${dst} ${info.symbol} ${info.register ? operand : `0x${(imm >>> 0).toString(16)}`} goto pc${signed(offset)}`
    case 'call':
      return `call ${callee(insn)}`
    case 'exit':
      return 'exit'
    case 'lddw':
      return `r${dst} = ${wideImmediate(src, imm, second?.imm ?? 0)}`
    case 'packet':
      return `r0 = *(u${info.bits} *)skb[${info.register ? `r${src} + ` : ''}${imm}]`
    case 'load':
      return `r${dst} = *(${info.signed ? 's' : 'u'}${info.bits} *)(r${src} ${signed(offset)})`
    case 'store':
      return `${memory(info, insn, dst)} = ${info.register ? `r${src}` : imm}`
    case 'atomic':
      return atomicText(info, insn)
  }
}

/**
 * A whole program, one line an instruction, as the verifier log numbers them: `3: (07) r1 += 8`.
 * The second slot of a 64-bit immediate load has no line.
 */
export function disassembleProgram(instructions: readonly Instruction[]): string[] {
  const lines: string[] = []
  for (let slot = 0; slot < instructions.length; slot++) {
    const insn = instructions[slot]
    if (insn === undefined) break
    lines.push(`${slot}: (${hexByte(insn.opcode)}) ${disassemble(insn, instructions[slot + 1])}`)
    if (opcodeInfo(insn.opcode)?.kind === 'lddw') slot++
  }
  return lines
}

function moved({ src, offset, imm }: Instruction, r: string): string {
  if (r === 'r' && offset === MOV_OFFSET.PERCPU) return `&(void __percpu *)(r${src})`
  if (r === 'r' && offset === MOV_OFFSET.ADDR_SPACE_CAST)
    return `addr_space_cast(r${src}, ${imm >>> 16}, ${imm & 0xffff})`
  return SIGN_EXTENSIONS.has(offset) ? `(s${offset})${r}${src}` : `${r}${src}`
}

/** What a 64-bit immediate load loads, by its source register. */
function wideImmediate(source: number, low: number, high: number): string {
  switch (source) {
    case PSEUDO_LDDW.MAP_FD:
      return `map[id:${low}]`
    case PSEUDO_LDDW.MAP_VALUE:
      return `map[id:${low}][0]+${high >>> 0}`
    case PSEUDO_LDDW.BTF_ID:
      return `btf[id:${low}]${high === 0 ? '' : ` of ${high}`}`
    case PSEUDO_LDDW.FUNC:
      return `subprog[${signed(low)}]`
    case PSEUDO_LDDW.MAP_IDX:
      return `map[idx:${low}]`
    case PSEUDO_LDDW.MAP_IDX_VALUE:
      return `map[idx:${low}]+${high >>> 0}`
    default:
      return `0x${wide(low, high)}`
  }
}

function callee({ src, offset, imm }: Instruction): string {
  if (src === PSEUDO_CALL.LOCAL) return `pc${signed(imm)}`
  if (src === PSEUDO_CALL.KFUNC) return `kernel-function#${imm}${offset === 0 ? '' : ` of ${offset}`}`
  const helper = src === PSEUDO_CALL.HELPER ? helperById(imm) : undefined
  const name = src === PSEUDO_CALL.HELPER && imm === 0 ? 'unspec' : helper?.name
  return `${name === undefined ? 'unknown' : `bpf_${name}`}#${imm}`
}

function atomicText(info: OpcodeInfo, insn: Instruction): string {
  const operation = ATOMIC_OPERATIONS.get(insn.imm)
  const { dst, src } = insn
  if (operation === undefined) return `BUG_${hexByte(insn.opcode)}`
  const wide = info.bits === 64 ? '64' : ''
  const pointer = (register: number): string => `(u${info.bits} *)(r${register} ${signed(insn.offset)})`
  if (insn.imm === ATOMIC.LOAD_ACQUIRE) return `r${dst} = load_acquire(${pointer(src)})`
  if (insn.imm === ATOMIC.STORE_RELEASE) return `store_release(${pointer(dst)}, r${src})`
  if (insn.imm === ATOMIC.CMPXCHG) return `r0 = atomic${wide}_cmpxchg(${pointer(dst)}, r0, r${src})`
  if (operation.fetch) return `r${src} = atomic${wide}_${operation.symbol}(${pointer(dst)}, r${src})`
  return `lock *${pointer(dst)} ${operation.symbol} r${src}`
}

function memory(info: OpcodeInfo, insn: Instruction, base: number): string {
  return `*(u${info.bits} *)(r${base} ${signed(insn.offset)})`
}

function signed(value: number): string {
  return value < 0 ? String(value) : `+${value}`
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0')
}

function wide(low: number, high: number): string {
  const upper = (high >>> 0).toString(16)
  const lower = (low >>> 0).toString(16)
  return upper === '0' ? lower : upper + lower.padStart(8, '0')
}
