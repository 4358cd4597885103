/** What must hold for every type and every value. `FUZZ_RUNS=20000` looks longer than the default. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCodec, type Codec, type CodecOptions, type Int64Style } from '../../lib/codec/index.js'
import { BpfError } from '../../lib/errors.js'
import { materialize, randomType, type RandomType } from '../support/btf-random.js'

const numRuns = Number(process.env['FUZZ_RUNS'] ?? 400)
const style = fc.constantFrom<Int64Style>('bigint', 'number')
/** Bytes for a value of any size: repeated, or cut. */
const someBytes = fc.uint8Array({ minLength: 1, maxLength: 64 })
const asciiBytes = fc.uint8Array({ minLength: 1, maxLength: 64, max: 0x7f })

function codecs(
  type: RandomType,
  options: CodecOptions,
): { readonly generated: Codec; readonly closures: Codec } {
  const { btf, id } = materialize(type)
  return {
    generated: createCodec(btf, id, { ...options, code: 'generated' }),
    closures: createCodec(btf, id, { ...options, code: 'closures' }),
  }
}

function fill(size: number, pattern: Uint8Array): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, i) => (pattern[i % pattern.length] ?? 0) ^ ((i / pattern.length) & 0x0f),
  )
}

/** The bytes, or the message of the BpfError; any other error is thrown on. */
function outcome(codec: Codec, value: unknown): Uint8Array | string {
  const bytes = new Uint8Array(codec.size + 2).fill(0xa5)
  try {
    codec.encode(value, bytes, 1)
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== 'BAD_VALUE') throw error
    return error.message
  } finally {
    expect([bytes[0], bytes[codec.size + 1]]).toEqual([0xa5, 0xa5])
  }
  return bytes.slice(1, -1)
}

/** A bool of a byte that is neither 0 nor 1 can't be told apart from what else the union says of its bits. */
function hasBoolInUnion(type: RandomType): boolean {
  const text = JSON.stringify(type)
  return text.includes('"union"') && text.includes('"bool"')
}

test('generated code and closures decode alike, at every offset', { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(randomType, someBytes, style, fc.nat(9), (type, pattern, int64, offset) => {
      const { generated, closures } = codecs(type, { int64 })
      const bytes = fill(generated.size + offset, pattern)
      expect(generated.decode(bytes, offset)).toStrictEqual(closures.decode(bytes, offset))
    }),
    { numRuns },
  )
})

test('what was decoded encodes to bytes that decode to the same', { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(randomType, asciiBytes, (type, pattern) => {
      const { generated, closures } = codecs(type, {})
      const value = closures.decode(fill(closures.size, pattern))
      const bytes = outcome(closures, value)
      fc.pre(!(typeof bytes === 'string' && /contradicts/.test(bytes) && hasBoolInUnion(type)))
      if (typeof bytes === 'string') throw new Error(bytes)
      expect(closures.decode(bytes)).toStrictEqual(value)
      expect(outcome(generated, value)).toStrictEqual(bytes)
    }),
    { numRuns },
  )
})

test('encoding alike, whatever the bytes were', { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(randomType, someBytes, style, (type, pattern, int64) => {
      const { generated, closures } = codecs(type, { int64 })
      const value = closures.decode(fill(closures.size, pattern))
      expect(outcome(generated, value)).toStrictEqual(outcome(closures, value))
    }),
    { numRuns },
  )
})

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
})

/** The value with something else at a place that the steps lead to. */
function replaceAt(value: unknown, steps: readonly number[], replacement: unknown): unknown {
  const [step, ...rest] = steps
  if (step === undefined || typeof value !== 'object' || value === null || value instanceof Uint8Array) {
    return replacement
  }
  if (Array.isArray(value)) {
    const elements: readonly unknown[] = value
    if (elements.length === 0) return replacement
    return elements.map((element, i) =>
      i === step % elements.length ? replaceAt(element, rest, replacement) : element,
    )
  }
  const entries = Object.entries(value)
  const chosen = step % entries.length
  // Not by fromEntries of everything alone: it must keep a member named __proto__ as a member, and does.
  return Object.fromEntries(
    entries.map(([name, member], i) => [name, i === chosen ? replaceAt(member, rest, replacement) : member]),
  )
}

test(
  'wrong values are taken for what they are or refused with a BpfError, by both alike',
  { timeout: 600_000 },
  () => {
    const steps = fc.array(fc.nat(20), { maxLength: 5 })
    const numbers = fc.oneof(
      fc.double(),
      fc.bigInt(),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.constantFrom(-1, 256, 65536),
    )
    fc.assert(
      fc.property(
        randomType,
        asciiBytes,
        style,
        steps,
        fc.oneof(anything, numbers),
        (type, pattern, int64, path, wrong) => {
          const { generated, closures } = codecs(type, { int64 })
          const value = replaceAt(closures.decode(fill(closures.size, pattern)), path, wrong)
          expect(outcome(generated, value)).toStrictEqual(outcome(closures, value))
          expect(outcome(generated, wrong)).toStrictEqual(outcome(closures, wrong))
        },
      ),
      { numRuns },
    )
  },
)
