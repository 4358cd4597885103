/**
 * The public BPF ISA conformance suite, on both engines.
 *
 * The suite isn't part of this project: it is taken from BPF_CONFORMANCE_DIR (the folder with the `.data` files, or the
 * one above its `tests`), or from `../shared/conformance` next to the project.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { RawRunner } from '../../lib/fallback/raw-runner.js'
import { instruction } from '../../lib/isa/build.js'
import { encode } from '../../lib/isa/instruction.js'
import { assemble, parseCase } from '../support/conformance-asm.js'

const CASES = 313
/** The suite's cases call this helper; it may do anything, and a program goes on behind it. */
const SUITE_HELPER = 5

function suiteFolder(): string | undefined {
  const root =
    process.env['BPF_CONFORMANCE_DIR'] ??
    fileURLToPath(new URL('../../../shared/conformance', import.meta.url))
  return [join(root, 'tests'), root].find(
    (folder) => existsSync(folder) && readdirSync(folder).some((f) => f.endsWith('.data')),
  )
}

const folder = suiteFolder()
const why = folder === undefined ? ' (skipped: set BPF_CONFORMANCE_DIR to a checkout of the suite)' : ''

describe.skipIf(folder === undefined)(`the public conformance suite${why}`, () => {
  const files =
    folder === undefined
      ? []
      : readdirSync(folder)
          .filter((f) => f.endsWith('.data'))
          .sort()

  it(`has ${CASES} cases`, () => {
    expect(files.length).toBe(CASES)
  })

  describe.each(['interpreter', 'wasm'] as const)('in the %s', (engine) => {
    const runner = new RawRunner({ engine, verify: false, fuel: 1_000_000 })
    it.each(files)('%s', (file) => {
      const { instructions, memory, result, raw } = parseCase(readFileSync(join(folder ?? '', file), 'utf8'))
      const code = encode(instructions)
      const slots = [...new BigUint64Array(code.buffer)]
      expect(slots).toEqual(raw ?? slots)
      const helpers = new Map([[SUITE_HELPER, () => undefined]])
      expect(runner.run({ code, memory, helpers }).r0).toBe(result)
    })
  })
})

describe('the assembler of the suite', () => {
  it('encodes labels, memory operands and both forms of an operation', () => {
    expect(
      assemble(['mov32 %r0, 0xffffffff', 'jeq %r0, %r1, out', 'ldxdw %r2, [%r1+8]', 'out:', 'exit']),
    ).toEqual([
      instruction(0xb4, 0, 0, 0, -1),
      instruction(0x1d, 0, 1, 1),
      instruction(0x79, 2, 1, 8),
      instruction(0x95),
    ])
  })

  it('refuses what it does not know', () => {
    expect(() => assemble(['frob %r0, 1'])).toThrow("unknown mnemonic in 'frob %r0, 1'")
  })
})
