/** A loaded program's instructions and machine code, with functions and source lines, as `bpftool prog dump` shows them. */
import { parseBtf } from '../btf/parse.js'
import { typeById, typeName } from '../btf/query.js'
import type { Btf } from '../btf/types.js'
import type { SourcePosition } from '../errors.js'
import { decode, type Instruction } from '../isa/instruction.js'
import { disassemble } from '../isa/disassemble.js'
import { opcodeInfo, PSEUDO_CALL, PSEUDO_LDDW } from '../isa/opcodes.js'
import type { KernelIntrospection, ProgramCode, Reference } from '../kernel-introspection.js'
import { structView } from '../linux/struct-view.js'

export interface ListedFunction {
  /** Whole, where the program has BTF; else empty. */
  readonly name: string
  /** `int handle_exec(struct bpf_raw_tracepoint_args * ctx)`; empty without BTF. */
  readonly proto: string
  /** First instruction: 8-byte slots. */
  readonly insn: number
}

export interface ListedInstruction {
  /** 8-byte slots from the start. The second slot of a 64-bit immediate load has no entry. */
  readonly insn: number
  /** `(18) r6 = map[id:11304][0]+0`. */
  readonly disasm: string
  /** The function that starts here. */
  readonly function?: ListedFunction
  /** The source line that starts here. */
  readonly source?: SourcePosition
}

export interface MachineCode {
  readonly function: ListedFunction | undefined
  /** 0 where kernel.kptr_restrict hides it. */
  readonly address: bigint
  readonly bytes: Uint8Array
  /** Source lines by offset in `bytes`. */
  readonly lines: readonly { readonly offset: number; readonly source: SourcePosition }[]
}

export interface ProgramListing {
  /** undefined: this process may not see them (`CAP_PERFMON`; net.core.bpf_jit_harden). */
  readonly xlated: readonly ListedInstruction[] | undefined
  /** By function; undefined: not compiled, or hidden. */
  readonly jited: readonly MachineCode[] | undefined
}

interface PlacedLine {
  readonly insn: number
  readonly source: SourcePosition
}

/** @param kernelFunction name of the kernel's function at a distance from `__bpf_call_base`: what a helper's call holds */
export function programListing(
  kernel: KernelIntrospection,
  program: Reference,
  kernelFunction: (offset: number) => string | undefined,
): ProgramListing {
  const code = kernel.programCode(program)
  const btf = code.btfId === 0 ? undefined : parseBtf(kernel.btfBytes(code.btfId))
  const functions = btf === undefined ? [] : functionsOf(btf, code)
  const lines = btf === undefined ? [] : linesOf(btf, code)
  return {
    xlated: code.xlated && instructionsOf(code.xlated, functions, lines, kernelFunction),
    jited: code.jited && machineCodeOf(code, code.jited, functions, lines),
  }
}

function instructionsOf(
  xlated: Uint8Array,
  functions: readonly ListedFunction[],
  lines: readonly PlacedLine[],
  kernelFunction: (offset: number) => string | undefined,
): readonly ListedInstruction[] {
  const instructions = decode(xlated)
  const functionAt = new Map(functions.map((one) => [one.insn, one]))
  const lineAt = new Map(lines.map(({ insn, source }) => [insn, source]))
  const listed: ListedInstruction[] = []
  instructions.forEach((instruction, insn) => {
    const previous = instructions[insn - 1]
    if (previous !== undefined && isWide(previous)) return
    const function_ = functionAt.get(insn)
    const source = lineAt.get(insn)
    const opcode = instruction.opcode.toString(16).padStart(2, '0')
    listed.push({
      insn,
      disasm: `(${opcode}) ${textOf(instruction, instructions[insn + 1], kernelFunction)}`,
      ...(function_ !== undefined && { function: function_ }),
      ...(source !== undefined && { source }),
    })
  })
  return listed
}

function textOf(
  instruction: Instruction,
  second: Instruction | undefined,
  kernelFunction: (offset: number) => string | undefined,
): string {
  const { dst, src, imm } = instruction
  // In a loaded program, the number is the map's id.
  if (isWide(instruction) && src === PSEUDO_LDDW.MAP_FD) return `r${dst} = map[id:${imm}]`
  if (isWide(instruction) && src === PSEUDO_LDDW.MAP_VALUE)
    return `r${dst} = map[id:${imm}][0]+${second?.imm ?? 0}`
  // The number of a helper was replaced by where it is: how far from __bpf_call_base.
  if (opcodeInfo(instruction.opcode)?.kind === 'call' && src === PSEUDO_CALL.HELPER) {
    const name = kernelFunction(imm)
    if (name !== undefined) return `call ${name}#${imm}`
  }
  return disassemble(instruction, second)
}

function isWide({ opcode }: Instruction): boolean {
  return opcodeInfo(opcode)?.kind === 'lddw'
}

function functionsOf(btf: Btf, { functions, functionSize }: ProgramCode): readonly ListedFunction[] {
  return records(functions, functionSize).map((record) => {
    const view = structView(record)
    const func = typeById(btf, view.u32(4))
    const name = func.kind === 'func' ? func.name : ''
    return { name, proto: func.kind === 'func' ? prototype(btf, func.type, name) : '', insn: view.u32(0) }
  })
}

function prototype(btf: Btf, type: number, name: string): string {
  const proto = typeById(btf, type)
  if (proto.kind !== 'func_proto') return name
  const params = proto.params.map((param) => `${typeName(btf, param.type)} ${param.name}`.trimEnd())
  return `${typeName(btf, proto.type)} ${name}(${params.join(', ') || 'void'})`
}

function linesOf(btf: Btf, { lines, lineSize }: ProgramCode): readonly PlacedLine[] {
  return records(lines, lineSize).map((record) => {
    const view = structView(record)
    const lineColumn = view.u32(12)
    const source = {
      file: btf.string(view.u32(4)),
      line: lineColumn >>> 10,
      column: lineColumn & 0x3ff,
      text: btf.string(view.u32(8)).trim(),
    }
    return { insn: view.u32(0), source }
  })
}

function records(bytes: Uint8Array, size: number): readonly Uint8Array[] {
  const count = size === 0 ? 0 : Math.floor(bytes.length / size)
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

function machineCodeOf(
  { addresses, lengths, jitedLines }: ProgramCode,
  jited: Uint8Array,
  functions: readonly ListedFunction[],
  lines: readonly PlacedLine[],
): readonly MachineCode[] {
  let end = 0
  return lengths.map((length, i) => {
    const address = addresses[i] ?? 0n
    const bytes = jited.subarray(end, (end += length))
    const own = jitedLines.flatMap((at, line) => {
      const source = lines[line]?.source
      const offset = Number(at - address)
      return address !== 0n && source !== undefined && offset >= 0 && offset < length
        ? [{ offset, source }]
        : []
    })
    return { function: functions[i], address, bytes, lines: own }
  })
}
