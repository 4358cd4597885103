/** What is asked of bpf() about a case: maps, types and program as they are, past every library. */
import { parseBtf } from '../../lib/btf/parse.js'
import { encode } from '../../lib/isa/instruction.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { OP, PSEUDO_LDDW } from '../../lib/isa/opcodes.js'
import { parseVerifierLog } from '../../lib/verifier-log.js'
import type { CaseProgram, ProgramMap } from '../verifier/case-program.js'
import { BPF, type RemoteAnswer, type RemoteCall } from './remote-bpf.js'

export interface KernelVerdict {
  readonly accepted: boolean
  /** Positive; 0: accepted. */
  readonly errno: number
  /** The deciding line of the log. */
  readonly reason: string | undefined
  readonly insn: number | undefined
  readonly insnsProcessed: number | undefined
  readonly log: string
}

const LOG_BYTES = 16 << 20
const FUNC_INFO_BYTES = 8
/** Level 1, of which the end alone comes back. */
export const SHORT = -1
/** Offsets in `union bpf_attr`, by command. */
export const MAP = { TYPE: 0, KEY: 4, VALUE: 8, ENTRIES: 12, FLAGS: 16, INNER: 20, NAME: 28, BTF: 48, KEY_TYPE: 52, VALUE_TYPE: 56, EXTRA: 64 } as const // prettier-ignore
export const PROG = { TYPE: 0, COUNT: 4, CODE: 8, LICENSE: 16, LOG_LEVEL: 24, LOG_SIZE: 28, LOG: 32, FLAGS: 44, ATTACH: 68, BTF: 72, FUNC_SIZE: 76, FUNC: 80, FUNC_COUNT: 88, TARGET: 108, TARGET_PROGRAM: 112 } as const // prettier-ignore
/** Places of {@link loadCall}'s buffers. */
export const LOAD_BUFFERS = { CODE: 0, LOG: 2 } as const

/** @param btf descriptor of the types, where the values have one */
export function mapCall(map: ProgramMap, btf: number | undefined, inner: number | undefined): RemoteCall {
  const { type, keySize, valueSize, maxEntries, flags, extra, valueType, keyType, name } = map
  return {
    command: BPF.MAP_CREATE,
    fields: {
      [MAP.TYPE]: type,
      [MAP.KEY]: keySize,
      [MAP.VALUE]: valueSize,
      [MAP.ENTRIES]: maxEntries,
      [MAP.FLAGS]: flags,
      [MAP.EXTRA]: extra,
      ...(inner !== undefined && { [MAP.INNER]: inner }),
      ...words(name.slice(0, 15), MAP.NAME),
      ...(valueType !== undefined && {
        [MAP.BTF]: btf ?? 0,
        [MAP.KEY_TYPE]: keyType,
        [MAP.VALUE_TYPE]: valueType,
      }),
    },
  }
}

export const updateCall = (map: number, key: Uint8Array, value: Uint8Array): RemoteCall => ({
  command: BPF.MAP_UPDATE_ELEM,
  fields: { 0: map },
  buffers: [
    { at: 8, bytes: key },
    { at: 16, bytes: value },
  ],
})

export const typesCall = (bytes: Uint8Array): RemoteCall => ({
  command: BPF.BTF_LOAD,
  fields: { 16: bytes.length, 20: 65_536, 24: 1 },
  buffers: [
    { at: 0, bytes },
    { at: 8, size: 65_536, returns: 'text' },
  ],
})

/**
 * @param maps      descriptors, as the program numbers its maps
 * @param btf       descriptor of its types
 * @param extended  descriptor of the program that it extends
 * @param kernel    numbers of the kernel's types, where the program {@link asksKernel}
 * @param logLevel  bits of BPF_LOG_*, or {@link SHORT}
 */
export function loadCall(
  program: CaseProgram,
  {
    maps,
    btf,
    extended,
    kernel,
    logLevel,
  }: {
    readonly maps: readonly number[]
    readonly btf: number | undefined
    readonly extended?: number | undefined
    readonly kernel: KernelIds | undefined
    readonly logLevel: number
  },
): RemoteCall {
  const { type, attachType, flags, license, target, functions, replaces } = program
  const withFunctions = functions.length > 0
  return {
    command: BPF.PROG_LOAD,
    fields: {
      [PROG.TYPE]: type,
      [PROG.COUNT]: program.instructions.length,
      [PROG.LOG_LEVEL]: logLevel === SHORT ? 1 : logLevel,
      [PROG.LOG_SIZE]: LOG_BYTES,
      [PROG.FLAGS]: flags,
      [PROG.ATTACH]: attachType,
      ...(target !== undefined &&
        kernel !== undefined &&
        replaces === undefined && { [PROG.TARGET]: targetId(kernel, target) }),
      ...(replaces !== undefined && {
        [PROG.TARGET]: functionId(replaces),
        [PROG.TARGET_PROGRAM]: extended ?? 0,
      }),
      ...(withFunctions && {
        [PROG.BTF]: btf ?? 0,
        [PROG.FUNC_SIZE]: FUNC_INFO_BYTES,
        [PROG.FUNC_COUNT]: functions.length,
      }),
    },
    buffers: [
      { at: PROG.CODE, bytes: encode(withKfuncs(program, withDescriptors(program, maps), kernel)) },
      { at: PROG.LICENSE, bytes: text(license) },
      { at: PROG.LOG, size: LOG_BYTES, returns: logLevel === SHORT ? 'tail' : 'text' },
      ...(withFunctions ? [{ at: PROG.FUNC, bytes: functionInfo(functions) }] : []),
    ],
  }
}

export function verdictOf({ result, errno, buffers }: RemoteAnswer): KernelVerdict {
  const log = new TextDecoder().decode(buffers[LOAD_BUFFERS.LOG] ?? new Uint8Array())
  const { reason, steps, statistics } = parseVerifierLog(log)
  const accepted = result >= 0
  return {
    accepted,
    errno: accepted ? 0 : errno,
    reason: accepted ? undefined : reason,
    insn: accepted ? undefined : steps.at(-1)?.insn,
    insnsProcessed: statistics?.insnsProcessed,
    log,
  }
}

function withDescriptors(
  { instructions, references }: CaseProgram,
  maps: readonly number[],
): readonly Instruction[] {
  const code = [...instructions]
  for (const { slot, map, valueOffset } of references) {
    const first = code[slot]
    const second = code[slot + 1]
    if (first?.opcode !== OP.LDDW || second === undefined) continue
    code[slot] = { ...first, imm: maps[map] ?? 0 }
    if (first.src === PSEUDO_LDDW.MAP_VALUE) code[slot + 1] = { ...second, imm: valueOffset ?? 0 }
  }
  return code
}

function functionInfo(functions: CaseProgram['functions']): Uint8Array {
  const words = new Uint32Array(functions.flatMap(({ start, type }) => [start, type]))
  return new Uint8Array(words.buffer)
}

/** Where a kernel has its types. */
export const KERNEL_TYPES = '/sys/kernel/btf/vmlinux'
/** More than any has. */
export const KERNEL_TYPES_BYTES = 32 << 20

/** A program names what a kernel doesn't have. */
export class NotInKernel extends Error {}

/** Numbers of a kernel's types, by name. */
export interface KernelIds {
  readonly functions: ReadonlyMap<string, number>
  /** What programs attach to. */
  readonly targets: ReadonlyMap<string, number>
}

/** @param bytes of the kernel's BTF */
export function kernelIds(bytes: Uint8Array): KernelIds {
  const functions = new Map<string, number>()
  const targets = new Map<string, number>()
  parseBtf(bytes).types.forEach((type, id) => {
    if (type.kind === 'func') functions.set(type.name, id)
    if (type.kind === 'func' || type.kind === 'typedef' || type.kind === 'struct') targets.set(type.name, id)
  })
  return { functions, targets }
}

/** Whether a program names something of the kernel's. */
export const asksKernel = ({ target, kfuncs, replaces }: CaseProgram): boolean =>
  (target !== undefined && replaces === undefined) || kfuncs.size > 0

/** Number of a function in the types of the program that it is of. */
function functionId({ program, name }: NonNullable<CaseProgram['replaces']>): number {
  const id = program.btf?.types.findIndex((type) => type.kind === 'func' && type.name === name)
  if (id === undefined || id < 0) throw new Error(`the program that is extended has no function '${name}'`)
  return id
}

/** Id of a function, or of a raw tracepoint's type. @throws NotInKernel */
function targetId({ targets }: KernelIds, name: string): number {
  const id = targets.get(name) ?? targets.get(`btf_trace_${name}`)
  if (id === undefined) throw new NotInKernel(`the kernel has no '${name}'`)
  return id
}

/** Calls of the kernel's functions, by their numbers. */
function withKfuncs(
  { kfuncs }: CaseProgram,
  code: readonly Instruction[],
  kernel: KernelIds | undefined,
): readonly Instruction[] {
  if (kernel === undefined || kfuncs.size === 0) return code
  return code.map((insn, slot) => {
    const name = kfuncs.get(slot)
    if (name === undefined) return insn
    const imm = kernel.functions.get(name)
    if (imm === undefined) throw new NotInKernel(`the kernel has no function '${name}'`)
    return { ...insn, imm }
  })
}

const text = (value: string): Uint8Array => new TextEncoder().encode(`${value}\0`)

/** Characters as 32-bit fields. */
function words(name: string, at: number): Readonly<Record<number, number>> {
  const bytes = new Uint8Array(16)
  bytes.set(new TextEncoder().encode(name))
  return Object.fromEntries(Array.from(new Uint32Array(bytes.buffer), (word, i) => [at + 4 * i, word]))
}
