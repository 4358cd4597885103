/** The verifier's cases with packets in the sandbox: what it accepts does there what it does as a verified program, and what it refuses comes to an end. */
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import type { FallbackOptions } from '../../lib/fallback/index.js'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import { hasObject } from '../support/case-object.js'
import { inputOf, runHere, type RunInput } from '../support/case-run.js'
import { casesOf, titleOf } from '../verifier/case-file.js'
import { programOf, verifierProgram, type CaseProgram } from '../verifier/case-program.js'

const ENGINES = ['interpreter', 'wasm'] as const
const UNSUPPORTED = 'UNSUPPORTED'
/** What programs do with their contexts and packets. */
const TOPICS = [
  'atomics',
  'callbacks',
  'calls',
  'context',
  'global-functions',
  'helpers',
  'packet-loads',
  'packets',
  'stack',
]

interface Runnable {
  readonly title: string
  readonly program: CaseProgram
  readonly input: RunInput
  readonly accepted: boolean
}

const all: readonly Runnable[] = TOPICS.flatMap((topic) =>
  casesOf(topic).flatMap((one) => {
    const program = one.replaces === undefined ? programOf(one) : undefined
    if (program === undefined || program.type === BPF_PROG_TYPE.SYSCALL || !hasObject(program)) return []
    const input = inputOf(program)
    const title = `${topic}: ${titleOf(one)}`
    return input === undefined ? [] : { title, program, input, accepted: one.expected.accepted }
  }),
)

/** What it gives and leaves, or its trap; the code of the error that it isn't even loaded for. */
function outcome({ program, input }: Runnable, options: FallbackOptions): string {
  try {
    return JSON.stringify(runHere(program, input, options))
  } catch (error) {
    if (error instanceof BpfError) return error.code
    throw error
  }
}

/** No address gets into its numbers: it gives the same in every kernel. */
const isForeseen = (program: CaseProgram): boolean =>
  program.kfuncs.size === 0 && verifyProgram(verifierProgram(program), { privileges: 'bpf' }).accepted

describe('the cases of programs with packets, in the sandbox', { timeout: 120_000 }, () => {
  it('do as verified ones, where the verifier accepts them', () => {
    const compared = all.filter(({ accepted, program }) => accepted && isForeseen(program))
    const answers = compared.flatMap((one) => {
      const verified = outcome(one, { engine: 'interpreter' })
      // A map's values have no types in the object: some programs need them.
      if (verified === UNSUPPORTED || verified === 'VERIFIER_REJECTED') return []
      return ENGINES.map((engine) => ({
        title: one.title,
        engine,
        verified,
        sandboxed: outcome(one, { engine, verify: false }),
      }))
    })
    expect(answers.filter(({ verified, sandboxed }) => verified !== sandboxed)).toEqual([])
    expect(answers.length).toBeGreaterThan(500)
  })

  it('come to an end, where it refuses them', () => {
    const refused = all.filter(({ accepted }) => !accepted)
    const answers = refused.flatMap((one) => ENGINES.map((engine) => outcome(one, { engine, verify: false })))
    expect(answers.filter((answer) => answer.startsWith('{"failed":')).length).toBeGreaterThan(100)
    expect(answers.filter((answer) => answer.startsWith('{"retval":')).length).toBeGreaterThan(100)
  })
})
