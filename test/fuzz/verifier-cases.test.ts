/**
 * `npm run fuzz:verifier -- --cases`: the kernel of a virtual machine on all cases of test/verifier, those for virtual machines included. Verdicts differ where
 * test/verifier/differences.ts says so. With `--privileges bpf` or `none` it is asked as whoever has no more than that, and the verifier here, with the same,
 * says what is expected.
 */
import { expect, it } from 'vitest'
import { BatchJudge } from '../support/batch-judge.js'
import { judgeCases } from '../support/case-verdicts.js'
import { CAPABILITIES, machineTransport, privilegesOf } from '../support/machine-transport.js'
import { RemoteBpf } from '../support/remote-bpf.js'

const KERNEL = process.env['FUZZ_KERNEL']
const PRIVILEGES = privilegesOf(process.env['FUZZ_PRIVILEGES'])
/** Seconds for a case. Before 6.18 Linux takes an emulated processor many minutes for a million instructions. */
const PATIENCE_S = { exact: 300, others: 30 }
const DAY_MS = 86_400_000

it.skipIf(KERNEL === undefined)(
  `Linux ${KERNEL ?? 'in a virtual machine'} says of the cases what is expected`,
  { timeout: DAY_MS },
  async () => {
    await using transport = await machineTransport(KERNEL ?? '', PRIVILEGES !== 'all')
    const { release } = transport
    const exact = release.startsWith('6.18.')
    const judge = new BatchJudge(new RemoteBpf(transport), {
      patience: exact ? PATIENCE_S.exact : PATIENCE_S.others,
      explains: exact,
      ...(PRIVILEGES !== 'all' && { capabilities: CAPABILITIES[PRIVILEGES] }),
    })
    const { disagreements, gone, ...sums } = await judgeCases(judge, {
      release,
      privileges: PRIVILEGES,
      exact,
      onProgress: (topic, judged) =>
        console.log(`${topic}: ${judged} so far, ${Math.round(performance.now() / 1000)} s`),
    })
    console.log(`Linux ${release}, privileges: ${PRIVILEGES}`, sums)
    for (const { topic, title, expected, linux } of disagreements)
      console.log(`${topic}: ${title}\n  expected: ${expected}\n  Linux:    ${linux}`)
    expect({ disagreements, gone }).toEqual({ disagreements: [], gone: [] })
  },
)
