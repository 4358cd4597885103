/** Campaigns of fuzz/, as the tests run them. */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runCampaign, type CampaignOptions, type CampaignReport } from '../../fuzz/campaign.js'
import { patience } from './patience.js'

/** How many mutants a campaign tries, if nobody says otherwise. */
export const RUNS = Number(process.env['FUZZ_RUNS'] ?? 10_000)
const SEED = Number(process.env['FUZZ_SEED'] ?? 42)

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))

/** Mutants of all objects of bpf/test. Those that end a process are kept in .cache/fuzz. */
export function fuzz(options: Pick<CampaignOptions, 'kernel' | 'load' | 'runs'>): Promise<CampaignReport> {
  const objects = readdirSync(path('bpf/test'))
    .filter((name) => name.endsWith('.bpf.o'))
    .map((name) => path(`bpf/test/${name}`))
  return runCampaign({
    ...options,
    seed: SEED,
    objects,
    keep: path('.cache/fuzz'),
    patience: patience(30_000),
  })
}
