/**
 * Random nearly valid programs and the verifier.
 *
 * `npm run fuzz:verifier` compares it with the kernel of a virtual machine: verdict, reason, instruction, instructions processed. Without one, the
 * programs show that it neither throws nor hangs.
 */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { KernelJudge } from '../support/kernel-judge.js'
import { machineTransport } from '../support/machine-transport.js'
import { RemoteBpf } from '../support/remote-bpf.js'
import { randomProgramText } from '../support/random-verifier-program.js'
import { judgeHere, runCampaign, type Finding } from '../support/verifier-campaign.js'
import { pathOf } from '../verifier/case-file.js'

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
        if (done % 1000 === 0)
          console.log(`${done} programs, ${((performance.now() - start) / 1000).toFixed(0)} s`)
      },
    })
    for (const finding of result.findings) console.log(told(finding))
    console.log(`seed ${SEED}: ${result.programs} programs, ${result.accepted} accepted by Linux`, result.counts)
    expect(result.counts).toEqual({})
  },
)

it('random programs are judged at all', { timeout: 120_000 }, () => {
  let accepted = 0
  for (let run = 0; run < Math.min(RUNS, 500); run++)
    if (judgeHere(randomProgramText(SEED, run), prelude).accepted) accepted++
  expect(accepted).toBeGreaterThan(50)
})
