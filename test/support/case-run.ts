/** A case that runs: on what, and what is compared of it. */
import { createKernel, type FallbackKernel, type FallbackOptions } from '../../lib/fallback/index.js'
import { BpfError } from '../../lib/errors.js'
import { BPF_MAP_TYPE } from '../../lib/linux/map-types.js'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import { open } from '../../lib/open.js'
import type { CaseProgram, ProgramMap } from '../verifier/case-program.js'
import { caseObject } from './case-object.js'
import { RAW_PROGRAM } from './raw-object.js'

export interface RunInput {
  readonly ctx?: Uint8Array
  readonly data?: Uint8Array
}

/** What a run gave and left; bytes as hexadecimal digits. */
export type RunOutcome =
  | { readonly failed: string }
  | {
      readonly retval: number
      readonly ctx?: string
      readonly data?: string
      /** What is in those that have contents, entries in the order of their keys. */
      readonly maps: readonly string[]
    }

const CONTEXT = Uint8Array.from({ length: 64 }, (_unused, i) => i * 7)
/** An Ethernet frame with IPv4 and UDP in it. */
const PACKET = Uint8Array.from({ length: 64 }, (_unused, i) =>
  i === 12 ? 8 : i === 13 ? 0 : i === 14 ? 0x45 : i * 5,
)

const INPUTS: ReadonlyMap<number, RunInput> = new Map<number, RunInput>([
  [BPF_PROG_TYPE.SYSCALL, { ctx: CONTEXT }],
  [BPF_PROG_TYPE.SOCKET_FILTER, { data: PACKET }],
  [BPF_PROG_TYPE.SCHED_CLS, { data: PACKET }],
  [BPF_PROG_TYPE.XDP, { data: PACKET }],
])

/** What programs of a type run on; undefined: they don't run on demand. */
export const inputOf = ({ type }: CaseProgram): RunInput | undefined => INPUTS.get(type)

const ENTRIES = 2
const WITH_CONTENTS = new Set<number>([BPF_MAP_TYPE.ARRAY, BPF_MAP_TYPE.HASH, BPF_MAP_TYPE.LRU_HASH])

/** Whether a map is filled before a run, and compared after it. */
export const hasContents = ({ type, constants, valueType }: ProgramMap): boolean =>
  WITH_CONTENTS.has(type) && constants === undefined && valueType === undefined

/** Keys that are there when a program starts: 0 and, if there is room for it, 1. */
export function firstKeys(map: ProgramMap): readonly Uint8Array[] {
  if (!hasContents(map)) return []
  return Array.from({ length: Math.min(ENTRIES, map.maxEntries) }, (_unused, i) => {
    const key = new Uint8Array(map.keySize)
    key[0] = i
    return key
  })
}

export const initialValue = ({ valueSize }: ProgramMap): Uint8Array =>
  Uint8Array.from({ length: valueSize }, (_unused, i) => i * 17)

export const hex = (bytes: Uint8Array = new Uint8Array()): string => Buffer.from(bytes).toString('hex')

export const contents = (
  { name }: ProgramMap,
  entries: Iterable<readonly [Uint8Array, Uint8Array]>,
): string => {
  const lines = [...entries].map(([key, value]) => `${hex(key)}=${hex(value)}`)
  return `${name} ${lines.sort((a, b) => (a < b ? -1 : 1)).join(' ')}`
}

/** Instructions after which a run is given up. */
const FUEL = 200_000
export const OUT_OF_FUEL = 'ran out of fuel'

/** Runs it in the fallback kernel. */
export function runHere(program: CaseProgram, input: RunInput, options: FallbackOptions = {}): RunOutcome {
  const kernel: FallbackKernel = createKernel({ seed: 1, fuel: FUEL, ...options })
  using loaded = open(caseObject(program), { kernel }).load()
  const maps = program.maps.filter(hasContents).map((map) => {
    const there = loaded.map(map.name)
    for (const key of firstKeys(map)) there.set(key, initialValue(map))
    return { map, there }
  })
  try {
    const { retval, ctx, data } = loaded.program(RAW_PROGRAM).run(input)
    return {
      retval,
      ...(input.ctx !== undefined && { ctx: hex(ctx) }),
      ...(input.data !== undefined && { data: hex(data) }),
      maps: maps.map(({ map, there }) =>
        contents(map, there.entries() as Iterable<[Uint8Array, Uint8Array]>),
      ),
    }
  } catch (error) {
    if (!(error instanceof BpfError)) throw error
    return { failed: error.message.includes(OUT_OF_FUEL) ? OUT_OF_FUEL : error.message }
  }
}
