/**
 * A process that tries mutants: campaign.ts starts it, and outlives what happens to it. Before each of them its number goes to file
 * descriptor 3, since nothing can be said after a crash.
 */
import { readFileSync, writeSync } from 'node:fs'
import { BpfError } from '../lib/errors.js'
import { createKernel } from '../lib/fallback/index.js'
import { open } from '../lib/open.js'
import type { OpenObject } from '../lib/open-object.js'
import { isDisposableKernel } from './loading.js'
import { mutant, seedOf } from './mutate.js'
import { seededRandom } from './random.js'

/** What a worker is told, as JSON in its argument. */
export interface Work {
  readonly seed: number
  /** Mutants `first`, `first + step` … below `end`. */
  readonly first: number
  readonly step: number
  readonly end: number
  readonly kernel: 'native' | 'fallback'
  readonly load: boolean
  /** Paths of the objects that mutants are made of. */
  readonly objects: readonly string[]
}

/** What a worker answers at its end. */
export interface Findings {
  readonly opened: number
  readonly loaded: number
  /** Of refusals, by error code. */
  readonly refused: Readonly<Record<string, number>>
  /** Errors that are no BpfError. */
  readonly failures: readonly { readonly run: number; readonly error: string }[]
}

/** Bytes of a map above which a mutant isn't loaded: memory is asked for as easily as a number is changed. */
const MAX_MAP_BYTES = 1 << 20

/** The bytes of a mutant: from the seed alone, so that it can be made again. */
export function mutantOf(work: Pick<Work, 'seed' | 'objects'>): (run: number) => Uint8Array {
  const seeds = work.objects.map((path) => seedOf(path, new Uint8Array(readFileSync(path))))
  return (run) => mutant(seeds, seededRandom(work.seed * 1_000_003 + run))
}

/** @returns whether it was loaded: false if its maps are too large to try */
function load(spec: OpenObject): boolean {
  const maps = Object.values(spec.maps)
  if (maps.some(({ maxEntries, keySize, valueSize }) => maxEntries * (keySize + valueSize) > MAX_MAP_BYTES))
    return false
  spec.load().close()
  return true
}

function tryAll(work: Work): Findings {
  if (work.load && work.kernel === 'native' && !isDisposableKernel())
    throw new Error('mutants are loaded in virtual machines only')
  const make = mutantOf(work)
  const findings = {
    opened: 0,
    loaded: 0,
    refused: {} as Record<string, number>,
    failures: [] as Findings['failures'][number][],
  }
  const number = new Uint32Array(1)
  for (let run = work.first; run < work.end; run += work.step) {
    number[0] = run
    writeSync(3, new Uint8Array(number.buffer), 0, 4, 0)
    try {
      using spec = open(make(run), { kernel: work.kernel === 'native' ? 'native' : createKernel() })
      findings.opened++
      if (work.load && load(spec)) findings.loaded++
    } catch (error) {
      if (error instanceof BpfError) findings.refused[error.code] = (findings.refused[error.code] ?? 0) + 1
      else
        findings.failures.push({
          run,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        })
    }
  }
  return findings
}

/** Started as a program, with a channel to campaign.ts, which imports {@link mutantOf}. */
const [, , argument] = process.argv
if (process.send !== undefined && argument?.startsWith('{') === true) {
  process.send(tryAll(JSON.parse(argument) as Work), () => process.disconnect())
}
