/**
 * Whatever bytes come, the parsers of files either accept them or throw a BpfError, and soon.
 *
 * `FUZZ_RUNS=1000000 FUZZ_SEED=7 npx vitest run --pool=forks test/fuzz/formats.test.ts` is the long form.
 */
import { array, assert, constantFrom, double, nat, oneof, property, record, uint8Array } from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseBtfExt } from '../../lib/btf/ext.js'
import { parseBtf } from '../../lib/btf/parse.js'
import { parseElf } from '../../lib/elf/elf.js'
import { BpfError } from '../../lib/errors.js'
import { parseObjectFile } from '../../lib/object-file/parse.js'
import { sampleObject } from '../support/sample-object.js'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1500)
const SEED = Number(process.env['FUZZ_SEED'] ?? 42)
/** Generous: it is to catch what is quadratic or hangs, not to measure. */
const TOO_LONG_MS = 5000
const TIMEOUT_MS = Math.max(60_000, RUNS * 20)

const sample = sampleObject()
const sections = parseElf(sample).sections
const btfBytes = sections.find(({ name }) => name === '.BTF')?.data ?? new Uint8Array(0)
const extBytes = sections.find(({ name }) => name === '.BTF.ext')?.data ?? new Uint8Array(0)
const btf = parseBtf(btfBytes)

/** Numbers at which lengths and indexes go wrong. */
const EDGES = [0, 1, 2, 7, 8, 16, 24, 64, 0x7f, 0xff, 0xff00, 0xfff1, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff] // prettier-ignore

type Mutation = (bytes: Uint8Array) => Uint8Array

const fraction = double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

const mutation: Arbitrary<Mutation> = oneof(
  record({ at: fraction, bit: nat(7) }).map(({ at, bit }): Mutation => (bytes) => {
    const index = Math.floor(at * bytes.length)
    bytes[index] = (bytes[index] ?? 0) ^ (1 << bit)
    return bytes
  }),
  record({ at: fraction, value: oneof(constantFrom(...EDGES), nat(64)) }).map(
    ({ at, value }): Mutation =>
      (bytes) => {
        const index = Math.floor((at * bytes.length) / 4) * 4
        if (index + 4 <= bytes.length) new DataView(bytes.buffer).setUint32(index, value, true)
        return bytes
      },
  ),
  record({ from: fraction, to: fraction, length: nat(64) }).map(
    ({ from, to, length }): Mutation =>
      (bytes) => {
        const start = Math.floor(from * bytes.length)
        return bytes.copyWithin(Math.floor(to * bytes.length), start, start + length)
      },
  ),
  record({ at: fraction, drop: nat(64) }).map(({ at, drop }): Mutation => (bytes) => {
    const start = Math.floor(at * bytes.length)
    return Uint8Array.from([...bytes.subarray(0, start), ...bytes.subarray(start + drop)])
  }),
)

/** Mutations of single fields are most likely to get past the checks of the others. */
const mutations = array(mutation, { minLength: 1, maxLength: 4 })

function outcome(parse: () => unknown): 'parsed' | 'refused' | 'too slow' {
  const start = performance.now()
  let result: 'parsed' | 'refused' = 'parsed'
  try {
    parse()
  } catch (error) {
    if (!(error instanceof BpfError)) throw error
    result = 'refused'
  }
  return performance.now() - start > TOO_LONG_MS ? 'too slow' : result
}

function mutate(bytes: Uint8Array, list: readonly Mutation[]): Uint8Array {
  return list.reduce<Uint8Array>((result, change) => change(result), bytes.slice())
}

describe('bytes that are nearly right are parsed or refused:', () => {
  test('objects', { timeout: TIMEOUT_MS }, () => {
    assert(
      property(mutations, (list) => {
        expect(outcome(() => parseObjectFile(mutate(sample, list)))).not.toBe('too slow')
      }),
      { numRuns: RUNS, seed: SEED },
    )
  })

  test('type information', { timeout: TIMEOUT_MS }, () => {
    assert(
      property(mutations, (list) => {
        expect(outcome(() => parseBtf(mutate(btfBytes, list)))).not.toBe('too slow')
      }),
      { numRuns: RUNS, seed: SEED },
    )
  })

  test('information about instructions', { timeout: TIMEOUT_MS }, () => {
    assert(
      property(mutations, (list) => {
        expect(outcome(() => parseBtfExt(mutate(extBytes, list), btf))).not.toBe('too slow')
      }),
      { numRuns: RUNS, seed: SEED },
    )
  })
})

test('random bytes are refused', { timeout: TIMEOUT_MS }, () => {
  assert(
    property(uint8Array({ maxLength: 512 }), (bytes) => {
      expect(() => parseObjectFile(bytes)).toThrow(BpfError)
    }),
    { numRuns: RUNS, seed: SEED },
  )
})
