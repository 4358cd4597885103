/**
 * A kernel on many programs: what it says of each, and what each gives and leaves when it runs. All that one program takes goes to the kernel as one
 * batch of calls, so that a slow machine on a slow line judges hundreds a minute; and its maps are its own.
 */
import type { CaseProgram } from '../verifier/case-program.js'
import {
  contents,
  firstKeys,
  hasContents,
  hex,
  initialValue,
  type RunInput,
  type RunOutcome,
} from './case-run.js'
import {
  KERNEL_TYPES,
  KERNEL_TYPES_BYTES,
  asksKernel,
  kernelIds,
  LOAD_BUFFERS,
  loadCall,
  MAP,
  mapCall,
  PROG,
  SHORT,
  typesCall,
  updateCall,
  verdictOf,
  type KernelIds,
  type KernelVerdict,
} from './kernel-calls.js'
import { BPF, type RemoteAnswer, type RemoteBpf, type RemoteCall } from './remote-bpf.js'

export interface Judgement {
  readonly verdict: KernelVerdict
  /** Of an accepted program, if a run was wanted. */
  readonly run: RunOutcome | undefined
}

/** Statistics and nothing else. */
const STATISTICS = 4
/** Offsets of BPF_PROG_TEST_RUN. */
const RUN = { PROG: 0, RETVAL: 4, DATA_IN: 8, DATA_OUT: 12, IN: 16, OUT: 24, CTX_SIZE_IN: 40, CTX_IN: 48 } as const // prettier-ignore
/** Offsets of BPF_MAP_LOOKUP_BATCH. */
const BATCH = { OUT: 8, KEYS: 16, VALUES: 24, COUNT: 32, MAP: 36 } as const
const BEHIND = 56
const ALL_CAPABILITIES: readonly [number, number] = [-1, -1]
/** More than a program's frame takes. */
const HEADROOM = 256

export interface BatchJudgeOptions {
  /** Capabilities with which programs are loaded, 64 bits as two halves; default: all. */
  readonly capabilities?: readonly [low: number, high: number]
  /** Whether a refused program is loaded again for its reason, which takes an emulated processor long where paths are long; default: yes. */
  readonly explains?: boolean
  /** Seconds after which a verification is given up. */
  readonly patience?: number
}

export class BatchJudge implements AsyncDisposable {
  readonly #bpf: RemoteBpf
  readonly #types = new Map<string, Promise<number>>()
  #kernel: Promise<KernelIds> | undefined
  readonly #options: BatchJudgeOptions

  constructor(bpf: RemoteBpf, options: BatchJudgeOptions = {}) {
    this.#bpf = bpf
    this.#options = options
  }

  /** @param input what the program runs on, if it is to run */
  async judge(program: CaseProgram, input?: RunInput): Promise<Judgement> {
    const batch = new Batch()
    const { maps, load } = await this.#prepare(batch, program, input !== undefined)
    const { capabilities, patience, explains = true } = this.#options
    if (capabilities !== undefined) batch.add(capabilitiesCall(capabilities))
    const loaded = batch.add(load(STATISTICS))
    const explained = explains ? batch.add({ ...load(SHORT), unless: loaded }) : loaded
    if (capabilities !== undefined) batch.add(capabilitiesCall(ALL_CAPABILITIES))
    const ran = input === undefined ? undefined : batch.add(runCall(input, loaded))
    const dumps =
      ran === undefined ? [] : program.maps.map((map, i) => addDump(batch, map, maps[i] ?? 0, ran))
    batch.closeAll()
    const answers = await this.#bpf.batch(batch.calls, patience)
    const at = (index: number): RemoteAnswer => {
      const answer = answers[index]
      if (answer === undefined) throw new Error('a call without an answer')
      return answer
    }
    maps.forEach((index, i) => {
      const { result, errno } = at(index)
      if (result < 0) throw new Error(`MAP_CREATE ${program.maps[i]?.name}: errno ${errno}`)
    })
    const accepted = at(loaded).result >= 0
    const verdict = verdictOf(at(accepted ? loaded : explained))
    if (!accepted || ran === undefined || input === undefined) return { verdict, run: undefined }
    return {
      verdict,
      run: outcomeOf(
        program,
        input,
        at(ran),
        dumps.map((index) => (index === undefined ? undefined : at(index))),
      ),
    }
  }

  /** What a program takes, the program that it extends among it; and the call that loads it. */
  async #prepare(batch: Batch, program: CaseProgram, isFilled: boolean): Promise<Prepared> {
    const { replaces } = program
    const extended = replaces && (await this.#prepare(batch, replaces.program, false)).load(STATISTICS)
    const target = extended && batch.add(extended)
    const btf = program.btf === undefined ? undefined : await this.#typesOf(program.btf.bytes)
    const maps = program.maps.map((map) => addMap(batch, map, btf, isFilled))
    const kernel = asksKernel(program) ? await this.#kernelIds() : undefined
    const load = (logLevel: number): RemoteCall => {
      const call = linked(loadCall(program, { maps: [], btf, kernel, logLevel }), program, maps)
      if (target === undefined) return call
      return { ...call, links: [...(call.links ?? []), { at: PROG.TARGET_PROGRAM, call: target }] }
    }
    return { maps, load }
  }

  #kernelIds(): Promise<KernelIds> {
    return (this.#kernel ??= this.#bpf.read(KERNEL_TYPES, KERNEL_TYPES_BYTES).then(kernelIds))
  }

  #typesOf(bytes: Uint8Array): Promise<number> {
    const key = Buffer.from(bytes).toString('latin1')
    let made = this.#types.get(key)
    if (made === undefined) {
      made = this.#bpf.call(typesCall(bytes)).then(({ result, errno, buffers }) => {
        if (result >= 0) return result
        throw new Error(`BTF_LOAD: errno ${errno} ${new TextDecoder().decode(buffers[1])}`)
      })
      this.#types.set(key, made)
    }
    return made
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bpf[Symbol.asyncDispose]()
  }
}

interface Prepared {
  /** Calls that make its maps. */
  readonly maps: readonly number[]
  readonly load: (logLevel: number) => RemoteCall
}

/** Calls on their way. */
class Batch {
  readonly calls: RemoteCall[] = []
  readonly #descriptors: number[] = []

  /** @returns its number */
  add(call: RemoteCall): number {
    const index = this.calls.push(call) - 1
    if (call.command === BPF.MAP_CREATE || call.command === BPF.PROG_LOAD) this.#descriptors.push(index)
    return index
  }

  closeAll(): void {
    for (const call of this.#descriptors)
      this.calls.push({ command: BPF.CLOSE, fields: {}, links: [{ at: 0, call }] })
  }
}

type ProgramMap = CaseProgram['maps'][number]

/** A map; its first values, if it is to be read. */
function addMap(batch: Batch, map: ProgramMap, btf: number | undefined, isFilled: boolean): number {
  const inner = map.inner === undefined ? undefined : addMap(batch, map.inner, btf, false)
  const create = mapCall(map, btf, undefined)
  const call = batch.add(
    inner === undefined ? create : { ...create, links: [{ at: MAP.INNER, call: inner }] },
  )
  const links = [{ at: 0, call }]
  if (map.constants !== undefined) {
    batch.add({ ...updateCall(0, new Uint8Array(map.keySize), map.constants), links })
    batch.add({ command: BPF.MAP_FREEZE, fields: {}, links })
  } else if (isFilled)
    for (const key of firstKeys(map)) batch.add({ ...updateCall(0, key, initialValue(map)), links })
  return call
}

/** Descriptors of maps go into its instructions. */
function linked(load: RemoteCall, { references }: CaseProgram, maps: readonly number[]): RemoteCall {
  const links = references.map(({ slot, map }) => ({
    buffer: LOAD_BUFFERS.CODE,
    at: 8 * slot + 4,
    call: maps[map] ?? 0,
  }))
  return { ...load, links }
}

function runCall({ ctx, data }: RunInput, program: number): RemoteCall {
  return {
    command: BPF.PROG_TEST_RUN,
    fields: {
      ...(ctx !== undefined && { [RUN.CTX_SIZE_IN]: ctx.length }),
      ...(data !== undefined && { [RUN.DATA_IN]: data.length, [RUN.DATA_OUT]: data.length + HEADROOM }),
    },
    buffers: [
      // Linux writes a system call's context back to where it was.
      ...(ctx === undefined ? [] : [{ at: RUN.CTX_IN, bytes: ctx, returns: 'all' } as const]),
      ...(data === undefined
        ? []
        : [
            { at: RUN.IN, bytes: data },
            { at: RUN.OUT, size: data.length + HEADROOM, returns: 'all' } as const,
          ]),
    ],
    links: [{ at: RUN.PROG, call: program }],
  }
}

function addDump(batch: Batch, map: ProgramMap, call: number, ran: number): number | undefined {
  if (!hasContents(map)) return undefined
  const { maxEntries, keySize, valueSize } = map
  return batch.add({
    command: BPF.MAP_LOOKUP_BATCH,
    fields: { [BATCH.COUNT]: maxEntries },
    buffers: [
      { at: BATCH.OUT, size: Math.max(8, keySize) },
      { at: BATCH.KEYS, size: maxEntries * keySize, returns: 'all' },
      { at: BATCH.VALUES, size: maxEntries * valueSize, returns: 'all' },
    ],
    links: [
      { at: BATCH.MAP, call },
      // Nothing to see where nothing ran. Its result is 0, as all is behind the attributes of this command.
      { at: BEHIND, call: ran },
    ],
  })
}

const capabilitiesCall = ([low, high]: readonly [number, number]): RemoteCall => ({
  command: BPF.CAPABILITIES,
  fields: { 0: low, 4: high },
})

function outcomeOf(
  { maps }: CaseProgram,
  { ctx, data }: RunInput,
  { result, errno, attributes, buffers }: RemoteAnswer,
  dumps: readonly (RemoteAnswer | undefined)[],
): RunOutcome {
  if (result < 0) return { failed: `PROG_TEST_RUN: errno ${errno}` }
  return {
    retval: attributes.getUint32(RUN.RETVAL, true),
    ...(ctx !== undefined && { ctx: hex(buffers[0]) }),
    ...(data !== undefined && {
      data: hex(buffers[ctx === undefined ? 1 : 2]?.subarray(0, attributes.getUint32(RUN.DATA_OUT, true))),
    }),
    maps: maps.flatMap((map, i) => {
      const dump = dumps[i]
      return dump === undefined ? [] : [contents(map, entriesOf(map, dump))]
    }),
  }
}

function entriesOf(
  { keySize, valueSize }: ProgramMap,
  { attributes, buffers: [, keys = EMPTY, values = EMPTY] }: RemoteAnswer,
): readonly (readonly [Uint8Array, Uint8Array])[] {
  return Array.from({ length: attributes.getUint32(BATCH.COUNT, true) }, (_unused, i) => [
    keys.subarray(i * keySize, (i + 1) * keySize),
    values.subarray(i * valueSize, (i + 1) * valueSize),
  ])
}

const EMPTY = new Uint8Array()
