/**
 * Random programs: the interpreter, compiled code in and out of the sandbox, and Linux leave the same result and the same memory.
 *
 * `npm run fuzz:vm` is the long form: 100,000 programs (`FUZZ_RUNS`, `FUZZ_SEED`). Programs are bounded by construction, so this kernel may run them.
 */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { RawRunner } from '../../lib/fallback/raw-runner.js'
import { disassembleProgram, encode } from '../../lib/isa/index.js'
import { open } from '../../lib/open.js'
import { randomProgram, type RandomProgram } from '../support/random-program.js'
import { RAW_PROGRAM, rawObject } from '../support/raw-object.js'
import { linuxIsAtLeast, nativeIsAllowed } from '../support/require-kernel.js'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 2000)
const SEED = Number(process.env['FUZZ_SEED'] ?? 9669)
const TIMEOUT_MS = 60_000 + RUNS * 60
const FUEL = 1_000_000
/** Of Linux's verifier: a program that it gives up on says nothing. */
const GIVES_UP = new Set(['E2BIG', 'ENOSPC'])
const MAX_GIVEN_UP = 0.01

interface Outcome {
  /** What the kernel reports: the low half of r0. The rest lies in the memory. */
  readonly r0: number
  readonly memory: string
}

const runners = (['interpreter', 'wasm'] as const).flatMap((engine) =>
  [true, false].map((verify) => ({
    name: `${engine}${verify ? '' : ', sandboxed'}`,
    runner: new RawRunner({ engine, verify, fuel: FUEL }),
  })),
)
/** What the others are compared with, where Linux says nothing. */
const reference = new RawRunner({ engine: 'interpreter', verify: false, fuel: FUEL })
/** v4 instructions, atomics in functions: what the programs use is there since then. */
const withLinux = nativeIsAllowed() && linuxIsAtLeast('6.18')

function simulated(runner: RawRunner, { code, memory }: RandomProgram): Outcome {
  const result = runner.run({ code: encode(code), memory })
  return { r0: Number(result.r0 & 0xffff_ffffn), memory: hex(result.memory) }
}

let givenUp = 0

function native({ code, memory }: RandomProgram): Outcome | undefined {
  try {
    using object = open(rawObject(code), { kernel: 'native' }).load()
    const { retval, ctx } = object.program(RAW_PROGRAM).run({ ctx: memory })
    return { r0: retval, memory: hex(ctx ?? new Uint8Array()) }
  } catch (error) {
    if (!(error instanceof BpfError) || !GIVES_UP.has(error.code)) throw error
    givenUp++
    return undefined
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

it(
  `random programs run alike in ${runners.length} ways${withLinux ? ' and on Linux' : ''}`,
  () => {
    fc.assert(
      fc.property(randomProgram, (program) => {
        const expected = (withLinux ? native(program) : undefined) ?? simulated(reference, program)
        for (const { name, runner } of runners)
          expect(
            simulated(runner, program),
            `${name}:\n${disassembleProgram(program.code).join('\n')}`,
          ).toEqual(expected)
      }),
      { numRuns: RUNS, seed: SEED },
    )
    expect(givenUp / RUNS).toBeLessThan(MAX_GIVEN_UP)
  },
  TIMEOUT_MS,
)
