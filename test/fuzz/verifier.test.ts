/**
 * Random nearly valid programs and the verifier.
 *
 * `npm run fuzz:verifier` compares it with the kernel of a virtual machine: verdict, reason, instruction, instructions processed. What is accepted here
 * also runs: an access that traps, or a result that depends on who checks, would show that what was proven isn't so.
 */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { createKernel, type FallbackKernel } from '../../lib/fallback/index.js'
import { open } from '../../lib/open.js'
import { caseObject, hasObject } from '../support/case-object.js'
import { KernelJudge } from '../support/kernel-judge.js'
import { machineTransport } from '../support/machine-transport.js'
import { patience } from '../support/patience.js'
import { RAW_PROGRAM } from '../support/raw-object.js'
import { RemoteBpf } from '../support/remote-bpf.js'
import { randomProgramText } from '../support/random-verifier-program.js'
import { caseOf, judgeHere, runCampaign, type Finding } from '../support/verifier-campaign.js'
import { pathOf } from '../verifier/case-file.js'
import { programOf } from '../verifier/case-program.js'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 500)
const SEED = Number(process.env['FUZZ_SEED'] ?? 6)
/** A kernel of `npm run test:vm`. */
const KERNEL = process.env['FUZZ_KERNEL']
const prelude = readFileSync(pathOf('prelude'), 'utf8')
const DAY_MS = 86_400_000

function told({ run, what, here, linux, text }: Finding): string {
  return `${what} (program ${run})\n  here:  ${here}\n  Linux: ${linux}\n${text}\n`
}

it.skipIf(KERNEL === undefined)(
  `${RUNS} random programs are judged as by Linux ${KERNEL ?? 'in a virtual machine'}`,
  { timeout: DAY_MS },
  async () => {
    await using transport = await machineTransport(KERNEL ?? '')
    const judge = new KernelJudge(new RemoteBpf(transport))
    const start = performance.now()
    const result = await runCampaign(judge, {
      runs: RUNS,
      seed: SEED,
      prelude,
      exact: transport.release.startsWith('6.18.'),
      onProgress: (done) => {
        if (done % 500 === 0)
          console.log(`${done} programs, ${((performance.now() - start) / 1000).toFixed(0)} s`)
      },
      onFinding: (finding) => console.log(told(finding)),
    })
    console.log(
      `seed ${SEED}: ${result.programs} programs, ${result.accepted} accepted by Linux`,
      result.counts,
    )
    expect(result.counts).toEqual({})
  },
)

/** What a run gives and leaves, or what stopped it. */
function outcome(object: Uint8Array, kernel: FallbackKernel): unknown {
  using loaded = open(object, { kernel }).load()
  const values = 'values' in loaded.maps ? loaded.maps['values'] : undefined
  const keys = values === undefined ? [] : [new Uint8Array(8)]
  for (const key of keys)
    values?.set(
      key,
      Uint8Array.from({ length: 16 }, (_unused, i) => i * 17),
    )
  try {
    const program = loaded.program(RAW_PROGRAM)
    const { retval, ctx } = program.run({ ctx: CONTEXT })
    return { retval, ctx, values: keys.map((key) => values?.get(key)) }
  } catch (error) {
    if (!(error instanceof BpfError)) return error
    return error.message.includes(OUT_OF_FUEL) ? OUT_OF_FUEL : error.message
  }
}

const CONTEXT = Uint8Array.from({ length: 64 }, (_unused, i) => i * 7)
const FUEL = 1_000_000
const OUT_OF_FUEL = 'ran out of fuel'

it(
  `of ${RUNS} random programs those that are accepted run without a trap, and alike with and without what was proven`,
  { timeout: patience(60_000 + RUNS * 100) },
  () => {
    const ran = { accepted: 0, executed: 0 }
    const wrong: string[] = []
    for (let run = 0; run < RUNS; run++) {
      const text = randomProgramText(SEED, run)
      const verdict = judgeHere(text, prelude)
      if (!verdict.accepted) continue
      ran.accepted++
      const program = programOf(caseOf(text, prelude))
      if (!hasObject(program)) continue
      ran.executed++
      const object = caseObject(program)
      const [checked, ...proven] = [
        createKernel({ seed: 1, verify: false, engine: 'interpreter', fuel: FUEL }),
        createKernel({ seed: 1, engine: 'wasm', fuel: FUEL }),
        createKernel({ seed: 1, engine: 'interpreter', fuel: FUEL }),
      ].map((kernel) => outcome(object, kernel))
      // may_goto bounds loops at eight million rounds, for which nobody has time.
      if (checked === OUT_OF_FUEL && !verdict.terminates) continue
      const isWell = typeof checked === 'object' && proven.every((each) => isDeepStrictEqual(each, checked))
      if (!isWell) wrong.push([...text.head, ...text.lines, JSON.stringify([checked, ...proven])].join('\n'))
    }
    expect(wrong).toEqual([])
    expect(ran.executed).toBeGreaterThan(RUNS / 20)
  },
)
