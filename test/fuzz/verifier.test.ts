/**
 * Random nearly valid programs and the verifier.
 *
 * `npm run fuzz:verifier` compares it with the kernel of a virtual machine: verdict, reason, instruction, instructions processed; and what accepted programs give
 * and leave when they run. What is accepted here also runs in both engines: an access that traps, or a result that depends on who checks, would show that what
 * was proven isn't so.
 */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { BatchJudge } from '../support/batch-judge.js'
import { hasObject } from '../support/case-object.js'
import { inputOf, OUT_OF_FUEL, runHere } from '../support/case-run.js'
import { CAPABILITIES, machineTransport, privilegesOf } from '../support/machine-transport.js'
import { patience } from '../support/patience.js'
import { RemoteBpf } from '../support/remote-bpf.js'
import { randomProgramText } from '../support/random-verifier-program.js'
import { caseOf, isForeseen, judgeHere, runCampaign, type Finding } from '../support/verifier-campaign.js'
import { pathOf } from '../verifier/case-file.js'
import { programOf } from '../verifier/case-program.js'
import { FUZZED_DIFFERENCES, isIn } from '../verifier/differences.js'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 500)
const SEED = Number(process.env['FUZZ_SEED'] ?? 6)
/** Number of the first one. */
const FIRST = Number(process.env['FUZZ_FIRST'] ?? 0)
/** After which no more are begun. */
const MINUTES = Number(process.env['FUZZ_MINUTES'] ?? Infinity)
/** A kernel of `npm run test:vm`. */
const KERNEL = process.env['FUZZ_KERNEL']
/** Of who loads them. */
const PRIVILEGES = privilegesOf(process.env['FUZZ_PRIVILEGES'])
const prelude = readFileSync(pathOf('prelude'), 'utf8')
const DAY_MS = 86_400_000

function told({ run, what, here, linux, text }: Finding): string {
  return `${what} (program ${run})\n  here:  ${here}\n  Linux: ${linux}\n${text}\n`
}

it.skipIf(KERNEL === undefined)(
  `${RUNS} random programs are judged, and run, as by Linux ${KERNEL ?? 'in a virtual machine'}`,
  { timeout: DAY_MS },
  async () => {
    await using transport = await machineTransport(KERNEL ?? '', PRIVILEGES !== 'all')
    const judge = new BatchJudge(new RemoteBpf(transport), {
      patience: 60,
      ...(PRIVILEGES !== 'all' && { capabilities: CAPABILITIES[PRIVILEGES] }),
    })
    const start = performance.now()
    const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(0)} s`
    const result = await runCampaign(judge, {
      runs: RUNS,
      seed: SEED,
      first: FIRST,
      prelude,
      privileges: PRIVILEGES,
      timeLimit: MINUTES * 60_000,
      exact: transport.release.startsWith('6.18.'),
      known: FUZZED_DIFFERENCES.filter((one) => isIn(transport.release, one)),
      onProgress: (done) => {
        if (done % 1000 === 0) console.log(`${done} programs, ${seconds()}`)
      },
      onFinding: (finding) => console.log(told(finding)),
    })
    const { programs, tooLarge, accepted, ran, known, counts } = result
    console.log(
      `Linux ${transport.release}, seed ${SEED} from ${FIRST}: ${programs} programs (${tooLarge} too large) in ${seconds()}, ${accepted} accepted by Linux, results of ${ran} compared, ${known} known differences`,
      counts,
    )
    expect(counts).toEqual({})
  },
)

// The campaign does the same, on the way.
it.skipIf(KERNEL !== undefined)(
  `of ${RUNS} random programs those that are accepted run without a trap, and alike with and without what was proven`,
  { timeout: patience(60_000 + RUNS * 100) },
  () => {
    const ran = { accepted: 0, executed: 0, callbacks: 0 }
    const wrong: string[] = []
    for (let run = 0; run < RUNS; run++) {
      const text = randomProgramText(SEED, run)
      const verdict = judgeHere(text, prelude)
      if (!verdict.accepted) continue
      ran.accepted++
      const program = programOf(caseOf(text, prelude))
      const input = inputOf(program)
      if (input === undefined || !hasObject(program)) continue
      ran.executed++
      if (program.functions.length > 1) ran.callbacks++
      const runs = [
        runHere(program, input, { verify: false, engine: 'interpreter' }),
        runHere(program, input, { engine: 'wasm' }),
        runHere(program, input, { engine: 'interpreter' }),
      ].map((outcome) => ('failed' in outcome ? outcome.failed : JSON.stringify(outcome)))
      // may_goto bounds loops at eight million rounds, for which nobody has time.
      if (runs[0] === OUT_OF_FUEL && !verdict.terminates) continue
      const isSame = !isForeseen(text, program) || new Set(runs).size === 1
      const isWell = runs.every((run) => run.startsWith('{')) && isSame
      if (!isWell) wrong.push([...text.head, ...text.lines, ...runs].join('\n'))
    }
    expect(wrong).toEqual([])
    expect(ran.executed).toBeGreaterThan(RUNS / 20)
    expect(ran.callbacks).toBeGreaterThan(RUNS / 100)
  },
)
