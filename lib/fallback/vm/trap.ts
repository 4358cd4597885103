/** What went wrong, for people: the messages of traps. */
import { BpfError } from '../../errors.js'
import type { SourcePosition } from '../../errors.js'
import { disassemble } from '../../isa/disassemble.js'
import type { Instruction } from '../../isa/instruction.js'
import { SLOT } from '../../isa/instruction.js'
import type { LineInfo } from '../../object-file/types.js'
import { KERNEL_HI, NULL_PAGE, USER_HI, Access } from '../memory.js'
import type { Memory } from '../memory.js'
import { FUNC_HI } from './predecode.js'
import type { ExecutableProgram } from './types.js'

/** The source line of an instruction: the last one that starts at or before it. */
export function lineOf(lines: readonly LineInfo[], slot: number): LineInfo | undefined {
  let found: LineInfo | undefined
  for (const line of lines) {
    if (line.offset > slot * SLOT) break
    found = line
  }
  return found
}

export interface TrapDetails {
  readonly hint?: string
  /** What was accessed. */
  readonly address?: bigint
}

/** The error for a program that did at `slot` what only an unverified program can do. */
export function trap(
  program: ExecutableProgram,
  instructions: readonly Instruction[],
  slot: number,
  problem: string,
  { hint, address }: TrapDetails = {},
): BpfError {
  const source = lineOf(program.lines, slot)
  return new BpfError('TRAP', `${whereIs(program, instructions, slot)}: ${problem}`, {
    ...(hint !== undefined && { hint }),
    trap: {
      program: program.name,
      insn: slot,
      ...(source !== undefined && { source: positionOf(source) }),
      ...(address !== undefined && { address }),
    },
  })
}

export function positionOf({ file, line, column, text }: LineInfo): SourcePosition {
  return { file, line, column, text: text.trim() }
}

/** A pointer of its halves, unsigned. */
export function pointerOf(hi: number, lo: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
}

/** `program 'x' insn 3 (x.bpf.c:12: return *p;): r0 = *(u32 *)(r1 +0)` */
export function whereIs(
  program: ExecutableProgram,
  instructions: readonly Instruction[],
  slot: number,
): string {
  const line = lineOf(program.lines, slot)
  const source = line === undefined ? '' : ` (${line.file}:${line.line}: ${line.text.trim()})`
  const insn = instructions[slot]
  const text = insn === undefined ? 'end of program' : disassemble(insn, instructions[slot + 1])
  return `program '${program.name}' insn ${slot}${source}: ${text}`
}

/**
 * What is wrong with an access.
 *
 * @param hi      high half of the address
 * @param address low half, unsigned
 * @param special what is wrong, if it isn't what the memory says
 */
export function describeFault(
  memory: Memory,
  hi: number,
  address: number,
  size: number,
  access: Access,
  special?: string,
): string {
  const pointer = `0x${(hi >>> 0).toString(16).padStart(8, '0')}${address.toString(16).padStart(8, '0')}`
  const what = `${access === Access.read ? 'read' : 'write'} of ${size} bytes at ${pointer}`
  if (special !== undefined) return `${what}: ${special}`
  if (hi === 0 && address < NULL_PAGE)
    return `${what}: null pointer${address === 0 ? '' : ` with an offset of ${address}`}`
  if (hi === USER_HI) return `${what}: user address`
  if (hi === FUNC_HI) return `${what}: the address of a function is no data`
  if (hi !== KERNEL_HI) return `${what}: not a pointer into the kernel's memory`
  const bad = memory.firstForbidden(address, size, access)
  if (bad < 0) return `${what}: misaligned`
  const rights = memory.accessAt(bad)
  if (rights === Access.read) return `${what}: read-only memory`
  if (rights === Access.write) return `${what}: write-only memory`
  if ((rights & 4) !== 0) return `${what}: user memory at a kernel address`
  if (memory.isFreed(bad)) return `${what}: use after free`
  return `${what}: ${whereOutside(memory, address, size, bad)}`
}

function whereOutside(memory: Memory, address: number, size: number, bad: number): string {
  const below = memory.nearestAllocation(bad)
  const above = memory.nextAllocation(bad)
  if (below !== undefined && bad < below.address + below.size)
    return `inaccessible part of a ${below.label} of ${below.size} bytes, ${bad - below.address} bytes from its start`
  const behind = below === undefined ? Infinity : address + size - (below.address + below.size)
  const before = above === undefined ? Infinity : above.address - address
  if (below !== undefined && behind <= before)
    return `out of bounds by ${behind} bytes behind a ${below.label} of ${below.size} bytes`
  if (above !== undefined)
    return `out of bounds by ${before} bytes before a ${above.label} of ${above.size} bytes`
  return 'out of bounds: nothing was allocated near'
}
