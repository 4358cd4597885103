/** Tries mutants of objects in processes of their own, and keeps those that end one. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { mutantOf, type Findings, type Work } from './worker.js'

export interface CampaignOptions {
  readonly runs: number
  readonly seed: number
  readonly kernel: 'native' | 'fallback'
  /** Whether what is opened is loaded too: natively in a virtual machine only. */
  readonly load: boolean
  readonly objects: readonly string[]
  /** Folder for the mutants that ended a process, hung it, or made it throw something else than a BpfError. */
  readonly keep: string
  /** After how long without progress a process is taken to hang. Milliseconds; default 30 s. */
  readonly patience?: number
}

/** A mutant that was neither taken nor refused. */
export interface Casualty {
  readonly run: number
  /** Signal, exit code, `hangs`, or the error. */
  readonly what: string
  /** Where its bytes are. */
  readonly file: string
}

export interface CampaignReport extends Omit<Findings, 'failures'> {
  readonly casualties: readonly Casualty[]
}

/** The built one: processes don't go through a TypeScript loader. */
const WORKER = fileURLToPath(
  import.meta.resolve(import.meta.url.endsWith('.ts') ? '../dist/fuzz/worker.js' : './worker.js'),
)

/** After so many dead processes the rest isn't tried: something is wrong with all of them. */
const MAX_CASUALTIES = 20

/** Runs a campaign to its end, a process a core. @throws Error if a worker can't even start */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  mkdirSync(options.keep, { recursive: true })
  const make = mutantOf(options)
  const casualties: Casualty[] = []
  const keep = (run: number, what: string): void => {
    const file = `${options.keep}/${options.kernel}-${options.seed}-${run}.bpf.o`
    writeFileSync(file, make(run))
    casualties.push({ run, what, file })
  }
  const total = { opened: 0, loaded: 0, refused: {} as Record<string, number> }
  const add = (findings: Findings): void => {
    total.opened += findings.opened
    total.loaded += findings.loaded
    for (const [code, count] of Object.entries(findings.refused))
      total.refused[code] = (total.refused[code] ?? 0) + count
    for (const { run, error } of findings.failures) keep(run, error)
  }
  const step = Math.min(availableParallelism(), 4)
  const lane = async (start: number): Promise<void> => {
    let first = start
    while (first < options.runs && casualties.length < MAX_CASUALTIES) {
      const { seed, kernel, load, objects, runs: end } = options
      const outcome = await runWorker({ seed, first, step, end, kernel, load, objects }, options)
      if ('findings' in outcome) {
        add(outcome.findings)
        return
      }
      if (outcome.run === undefined) throw new Error(`a worker did not start: ${outcome.what}`)
      keep(outcome.run, outcome.what)
      first = outcome.run + step
    }
  }
  await Promise.all(Array.from({ length: step }, (_, start) => lane(start)))
  return { ...total, casualties }
}

type Outcome = { readonly findings: Findings } | { readonly run: number | undefined; readonly what: string }

async function runWorker(work: Work, { keep, patience = 30_000 }: CampaignOptions): Promise<Outcome> {
  const progressFile = `${keep}/progress-${process.pid}-${work.first}`
  const progress = openSync(progressFile, 'w+')
  const current = (): number | undefined => {
    const number = new Uint32Array(1)
    return readSync(progress, new Uint8Array(number.buffer), 0, 4, 0) === 4 ? number[0] : undefined
  }
  const child = fork(WORKER, [JSON.stringify(work)], {
    stdio: ['ignore', 'inherit', 'inherit', progress, 'ipc'],
  })
  let last: number | undefined
  let hangs = false
  const watch = setInterval(() => {
    const now = current()
    if (now !== undefined && now === last) {
      hangs = true
      child.kill('SIGKILL')
    }
    last = now
  }, patience)
  let findings: Findings | undefined
  child.on('message', (message) => (findings = message as Findings))
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
    if (findings !== undefined && code === 0) return { findings }
    return { run: current(), what: hangs ? 'hangs' : (signal ?? `exit code ${code}`) }
  } finally {
    clearInterval(watch)
    closeSync(progress)
    rmSync(progressFile)
  }
}
