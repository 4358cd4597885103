/** What Linux's verifier says of a case: maps, types and program go to bpf() as they are, past every library. */
import { readFileSync } from 'node:fs'
import { parseBtf } from '../../lib/btf/parse.js'
import { encode } from '../../lib/isa/instruction.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { OP, PSEUDO_LDDW } from '../../lib/isa/opcodes.js'
import { BPF_MAP_TYPE } from '../../lib/linux/map-types.js'
import { parseVerifierLog } from '../../lib/verifier-log.js'
import type { CaseProgram, ProgramMap } from '../verifier/case-program.js'
import { BPF, RemoteBpf, type RemoteAnswer, type RemoteBuffer } from './remote-bpf.js'

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

export interface JudgeOptions {
  /** Bits of BPF_LOG_*: 1, the path to a refusal; 2, all paths; {@link SHORT}, for slow lines. */
  readonly logLevel?: number
  /** Seconds after which a verification is given up: EAGAIN. */
  readonly patience?: number
}

/** What a program gave, and left. */
export interface KernelRun {
  readonly retval: number
  readonly data: Uint8Array
}

const LOG_BYTES = 16 << 20
const FUNC_INFO_BYTES = 8
const ENOSPC = 28
/** Level 1, of which the end alone comes back. */
export const SHORT = -1
/** Offsets in `union bpf_attr`, by command. */
const MAP = { TYPE: 0, KEY: 4, VALUE: 8, ENTRIES: 12, FLAGS: 16, INNER: 20, NAME: 28, BTF: 48, KEY_TYPE: 52, VALUE_TYPE: 56 } as const // prettier-ignore
const PROG = { TYPE: 0, COUNT: 4, CODE: 8, LICENSE: 16, LOG_LEVEL: 24, LOG_SIZE: 28, LOG: 32, FLAGS: 44, ATTACH: 68, BTF: 72, FUNC_SIZE: 76, FUNC: 80, FUNC_COUNT: 88, TARGET: 108 } as const // prettier-ignore
const RUN = { PROG: 0, RETVAL: 4, DATA_IN: 8, DATA_OUT: 12, IN: 16, OUT: 24, REPEAT: 32, CTX_IN: 40, CTX: 48 } as const // prettier-ignore

/** Asks one process with bpf() after the other: maps and types that are alike are made once. */
export class KernelJudge implements AsyncDisposable {
  readonly #bpf: RemoteBpf
  readonly #maps = new Map<string, Promise<number>>()
  readonly #types = new Map<string, Promise<number>>()
  #kernelTypes: ReadonlyMap<string, number> | undefined
  #kernelFunctions: ReadonlyMap<string, number> | undefined

  /** @param bpf whom it asks; default: this machine's kernel */
  constructor(bpf: RemoteBpf = new RemoteBpf()) {
    this.#bpf = bpf
  }

  /** With all paths in its log, if they fit: only so it tells where a program is refused for what its paths come to. */
  async judge(program: CaseProgram, { logLevel = 2, patience }: JudgeOptions = {}): Promise<KernelVerdict> {
    const answer = await this.#load(program, logLevel, patience)
    if (answer.errno === ENOSPC && logLevel === 2) return await this.judge(program, { logLevel: 1 })
    if (answer.result >= 0) await this.#bpf.close(answer.result)
    return verdictOf(answer)
  }

  /** Has a program judged and, if it is accepted, run on data. */
  async run(
    program: CaseProgram,
    data: Uint8Array,
  ): Promise<{ readonly verdict: KernelVerdict; readonly run: KernelRun | undefined }> {
    const loaded = await this.#load(program, SHORT, undefined)
    const verdict = verdictOf(loaded)
    if (loaded.result < 0) return { verdict, run: undefined }
    const { result, errno, attributes, buffers } = await this.#bpf.call({
      command: BPF.PROG_TEST_RUN,
      fields: { [RUN.PROG]: loaded.result, [RUN.DATA_IN]: data.length, [RUN.DATA_OUT]: data.length + 256 },
      buffers: [
        { at: RUN.IN, bytes: data },
        { at: RUN.OUT, size: data.length + 256, returns: 'all' },
      ],
    })
    await this.#bpf.close(loaded.result)
    if (result < 0) throw new Error(`PROG_TEST_RUN: errno ${errno}`)
    const length = attributes.getUint32(RUN.DATA_OUT, true)
    return {
      verdict,
      run: {
        retval: attributes.getUint32(RUN.RETVAL, true),
        data: (buffers[1] ?? new Uint8Array()).slice(0, length),
      },
    }
  }

  async #load(program: CaseProgram, logLevel: number, patience: number | undefined): Promise<RemoteAnswer> {
    const { btf, type, attachType, flags, license, target, functions } = program
    const types = btf === undefined ? undefined : await this.#typesOf(btf.bytes)
    const descriptors: number[] = []
    // The first program that uses one says which others may.
    const owner = [type, attachType, flags]
    for (const map of program.maps)
      descriptors.push(await this.#mapOf(map, types, map.type === BPF_MAP_TYPE.PROG_ARRAY ? owner : []))
    const withFunctions = functions.length > 0
    return await this.#bpf.call(
      {
        command: BPF.PROG_LOAD,
        fields: {
          [PROG.TYPE]: type,
          [PROG.COUNT]: program.instructions.length,
          [PROG.LOG_LEVEL]: logLevel === SHORT ? 1 : logLevel,
          [PROG.LOG_SIZE]: LOG_BYTES,
          [PROG.FLAGS]: flags,
          [PROG.ATTACH]: attachType,
          ...(target !== undefined && { [PROG.TARGET]: this.#kernelType(target) }),
          ...(withFunctions && {
            [PROG.BTF]: types ?? 0,
            [PROG.FUNC_SIZE]: FUNC_INFO_BYTES,
            [PROG.FUNC_COUNT]: functions.length,
          }),
        },
        buffers: [
          { at: PROG.CODE, bytes: encode(this.#withKfuncs(program, withDescriptors(program, descriptors))) },
          { at: PROG.LICENSE, bytes: text(license) },
          { at: PROG.LOG, size: LOG_BYTES, returns: logLevel === SHORT ? 'tail' : 'text' },
          ...(withFunctions ? [{ at: PROG.FUNC, bytes: functionInfo(functions) }] : []),
        ],
      },
      patience,
    )
  }

  /** Calls of the kernel's functions, by their numbers. */
  #withKfuncs({ kfuncs }: CaseProgram, code: readonly Instruction[]): readonly Instruction[] {
    if (kfuncs.size === 0) return code
    this.#kernelFunctions ??= kernelTypes(['func'])
    const numbers = this.#kernelFunctions
    return code.map((insn, slot) => {
      const name = kfuncs.get(slot)
      if (name === undefined) return insn
      const id = numbers.get(name)
      if (id === undefined) throw new Error(`the kernel has no function '${name}'`)
      return { ...insn, imm: id }
    })
  }

  #typesOf(bytes: Uint8Array): Promise<number> {
    return once(this.#types, Buffer.from(bytes).toString('latin1'), () =>
      this.#must('BTF_LOAD', {
        command: BPF.BTF_LOAD,
        fields: { 16: bytes.length, 20: 65_536, 24: 1 },
        buffers: [
          { at: 0, bytes },
          { at: 8, size: 65_536, returns: 'text' },
        ],
      }),
    )
  }

  async #mapOf(map: ProgramMap, types: number | undefined, owner: readonly number[] = []): Promise<number> {
    const inner = map.inner === undefined ? undefined : await this.#mapOf(map.inner, types)
    const { type, keySize, valueSize, maxEntries, flags, valueType, keyType, constants, name } = map
    const key = JSON.stringify([
      type,
      keySize,
      valueSize,
      maxEntries,
      flags,
      valueType,
      inner,
      name,
      constants === undefined ? '' : Buffer.from(constants).toString('hex'),
      valueType === undefined ? 0 : types,
      owner,
    ])
    return await once(this.#maps, key, async () => {
      const descriptor = await this.#must(`MAP_CREATE ${name}`, {
        command: BPF.MAP_CREATE,
        fields: {
          [MAP.TYPE]: type,
          [MAP.KEY]: keySize,
          [MAP.VALUE]: valueSize,
          [MAP.ENTRIES]: maxEntries,
          [MAP.FLAGS]: flags,
          ...(inner !== undefined && { [MAP.INNER]: inner }),
          ...words(name.slice(0, 15), MAP.NAME),
          ...(valueType !== undefined && {
            [MAP.BTF]: types ?? 0,
            [MAP.KEY_TYPE]: keyType,
            [MAP.VALUE_TYPE]: valueType,
          }),
        },
      })
      if (constants !== undefined) await this.#fill(descriptor, keySize, constants)
      return descriptor
    })
  }

  /** Sets the first value, and freezes the map. */
  async #fill(map: number, keySize: number, value: Uint8Array): Promise<void> {
    await this.#must('MAP_UPDATE_ELEM', {
      command: BPF.MAP_UPDATE_ELEM,
      fields: { 0: map },
      buffers: [
        { at: 8, bytes: new Uint8Array(keySize) },
        { at: 16, bytes: value },
      ],
    })
    await this.#must('MAP_FREEZE', { command: BPF.MAP_FREEZE, fields: { 0: map } })
  }

  async #must(
    what: string,
    call: {
      readonly command: number
      readonly fields: Readonly<Record<number, number>>
      readonly buffers?: readonly RemoteBuffer[]
    },
  ): Promise<number> {
    const { result, errno, buffers } = await this.#bpf.call(call)
    if (result >= 0) return result
    const log = buffers.map((bytes) => new TextDecoder().decode(bytes)).join('')
    throw new Error(`${what}: errno ${errno} ${log}`)
  }

  /** Id of a function, or of a raw tracepoint's type, in the kernel's BTF. */
  #kernelType(name: string): number {
    this.#kernelTypes ??= kernelTypes(['func', 'typedef', 'struct'])
    const id = this.#kernelTypes.get(name) ?? this.#kernelTypes.get(`btf_trace_${name}`)
    if (id === undefined) throw new Error(`the kernel has no '${name}'`)
    return id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bpf[Symbol.asyncDispose]()
  }
}

function verdictOf({ result, errno, buffers }: RemoteAnswer): KernelVerdict {
  const log = new TextDecoder().decode(buffers[2] ?? new Uint8Array())
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

function kernelTypes(kinds: readonly string[]): ReadonlyMap<string, number> {
  const { types } = parseBtf(readFileSync('/sys/kernel/btf/vmlinux'))
  const ids = new Map<string, number>()
  types.forEach((type, id) => {
    if ('name' in type && kinds.includes(type.kind)) ids.set(type.name, id)
  })
  return ids
}

const text = (value: string): Uint8Array => new TextEncoder().encode(`${value}\0`)

/** Characters as 32-bit fields. */
function words(name: string, at: number): Readonly<Record<number, number>> {
  const bytes = new Uint8Array(16)
  bytes.set(new TextEncoder().encode(name))
  return Object.fromEntries(Array.from(new Uint32Array(bytes.buffer), (word, i) => [at + 4 * i, word]))
}

function once(
  known: Map<string, Promise<number>>,
  key: string,
  make: () => Promise<number>,
): Promise<number> {
  let made = known.get(key)
  if (made === undefined) known.set(key, (made = make()))
  return made
}
