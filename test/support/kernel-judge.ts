/** What Linux's verifier says of a case. */
import type { CaseProgram, ProgramMap } from '../verifier/case-program.js'
import { BPF_MAP_TYPE } from '../../lib/linux/map-types.js'
import {
  KERNEL_TYPES,
  KERNEL_TYPES_BYTES,
  asksKernel,
  kernelIds,
  loadCall,
  mapCall,
  typesCall,
  updateCall,
  verdictOf,
  type KernelIds,
  type KernelVerdict,
} from './kernel-calls.js'
import { BPF, RemoteBpf, type RemoteAnswer, type RemoteCall } from './remote-bpf.js'

export interface JudgeOptions {
  /** Bits of BPF_LOG_*: 1, the path to a refusal; 2, all paths. */
  readonly logLevel?: number
  /** Seconds after which a verification is given up: EAGAIN. */
  readonly patience?: number
}

const ENOSPC = 28

/** Asks one process with bpf() after the other: maps and types that are alike are made once. */
export class KernelJudge implements AsyncDisposable {
  readonly #bpf: RemoteBpf
  readonly #maps = new Map<string, Promise<number>>()
  readonly #types = new Map<string, Promise<number>>()
  #kernel: Promise<KernelIds> | undefined

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

  async #load(program: CaseProgram, logLevel: number, patience: number | undefined): Promise<RemoteAnswer> {
    const { type, attachType, flags } = program
    const btf = program.btf === undefined ? undefined : await this.#typesOf(program.btf.bytes)
    const maps: number[] = []
    // The first program that uses one says which others may.
    const owner = [type, attachType, flags]
    for (const map of program.maps)
      maps.push(await this.#mapOf(map, btf, map.type === BPF_MAP_TYPE.PROG_ARRAY ? owner : []))
    const kernel = asksKernel(program) ? await this.#kernelIds() : undefined
    const extended =
      program.replaces === undefined ? undefined : await this.#extended(program.replaces.program)
    const answer = await this.#bpf.call(
      loadCall(program, { maps, btf, extended, kernel, logLevel }),
      patience,
    )
    if (extended !== undefined) await this.#bpf.close(extended)
    return answer
  }

  /** The program that an extension extends, loaded: the extension holds it. */
  async #extended(program: CaseProgram): Promise<number> {
    const answer = await this.#load(program, 1, undefined)
    if (answer.result >= 0) return answer.result
    throw new Error(`the program that is extended: errno ${answer.errno} ${verdictOf(answer).log}`)
  }

  #kernelIds(): Promise<KernelIds> {
    return (this.#kernel ??= this.#bpf.read(KERNEL_TYPES, KERNEL_TYPES_BYTES).then(kernelIds))
  }

  #typesOf(bytes: Uint8Array): Promise<number> {
    return once(this.#types, Buffer.from(bytes).toString('latin1'), () =>
      this.#must('BTF_LOAD', typesCall(bytes)),
    )
  }

  async #mapOf(map: ProgramMap, btf: number | undefined, owner: readonly number[] = []): Promise<number> {
    const inner = map.inner === undefined ? undefined : await this.#mapOf(map.inner, btf)
    const { keySize, valueType, constants, name } = map
    const call = mapCall(map, btf, inner)
    const held = constants === undefined ? '' : Buffer.from(constants).toString('hex')
    return await once(this.#maps, JSON.stringify([call.fields, valueType, held, owner]), async () => {
      const descriptor = await this.#must(`MAP_CREATE ${name}`, call)
      if (constants !== undefined) await this.#fill(descriptor, keySize, constants)
      return descriptor
    })
  }

  /** Sets the first value, and freezes the map. */
  async #fill(map: number, keySize: number, value: Uint8Array): Promise<void> {
    await this.#must('MAP_UPDATE_ELEM', updateCall(map, new Uint8Array(keySize), value))
    await this.#must('MAP_FREEZE', { command: BPF.MAP_FREEZE, fields: { 0: map } })
  }

  async #must(what: string, call: RemoteCall): Promise<number> {
    const { result, errno, buffers } = await this.#bpf.call(call)
    if (result >= 0) return result
    const log = buffers.map((bytes) => new TextDecoder().decode(bytes)).join('')
    throw new Error(`${what}: errno ${errno} ${log}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bpf[Symbol.asyncDispose]()
  }
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
