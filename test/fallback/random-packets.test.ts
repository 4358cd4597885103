/** Random programs with packets that nobody verified: both engines come to the same, and neither leaves the sandbox. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { createKernel } from '../../lib/fallback/index.js'
import { assemble } from '../../lib/isa/index.js'
import type { BpfObject } from '../../lib/object.js'
import { open } from '../../lib/open.js'
import { ipv4Frame } from '../support/packet-cases.js'
import { RAW_PROGRAM, rawObject } from '../support/raw-object.js'

const data = ipv4Frame()

/** What a run gives but for its time, or the trap that it ends with. What else lies near a bad address is the engine's. */
function outcome(object: BpfObject): unknown {
  try {
    const { retval, data: packet, ctx } = object.program(RAW_PROGRAM).run({ data, ctx: {} })
    return { retval, packet, ctx }
  } catch (error) {
    if (error instanceof BpfError)
      return [error.code, error.message.replace(/(out of bounds|inaccessible).*/, '$1')]
    throw error
  }
}

const HELPERS = {
  tc: [
    'skb_change_tail',
    'skb_pull_data',
    'skb_load_bytes',
    'skb_store_bytes',
    'skb_change_head',
    'skb_vlan_pop',
  ],
  xdp: ['xdp_adjust_head', 'xdp_adjust_tail', 'xdp_adjust_meta', 'xdp_load_bytes', 'xdp_store_bytes'],
} as const
type Section = keyof typeof HELPERS

/** r6 is the context, r7 and r8 lead to the packet; all else is numbers at first. */
const START: Readonly<Record<Section, string>> = {
  tc: 'r7 = *(u32 *)(r1 +76)\nr8 = r7',
  xdp: 'r7 = *(u32 *)(r1 +0)\nr8 = *(u32 *)(r1 +8)',
}
const NUMBERS = 'r0 = 0\nr1 = r6\nr2 = 1\nr3 = 2\nr4 = 3\nr5 = 4'

const any = fc.integer({ min: 0, max: 9 })
const target = fc.oneof({ weight: 12, arbitrary: fc.constantFrom(0, 1, 2, 3, 4, 9) }, any)
const base = fc.oneof({ weight: 14, arbitrary: fc.constantFrom(6, 7, 8) }, any)
const size = fc.constantFrom(8, 16, 32, 32, 32, 64)
const number = fc.oneof(fc.integer({ min: -16, max: 80 }), fc.constantFrom(300, 4000, -4096, 0x7fffffff))
/** Of members, and of what is none. */
const offset = fc
  .oneof(
    { weight: 8, arbitrary: fc.constantFrom(0, 4, 8, 12, 16, 32, 40, 44, 48, 52, 56, 76, 80, 140) },
    fc.constantFrom(-8, -1, 1, 2, 13, 20, 24, 68, 72, 152, 168, 180, 192, 208, 216),
  )
  .map((at) => (at < 0 ? String(at) : `+${at}`))
const slot = fc.integer({ min: 1, max: 8 }).map((n) => -8 * n)

const lineOf = (section: Section): fc.Arbitrary<string> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(target, base, offset, size, fc.constantFrom('u', 'u', 'u', 's'))
        .map(
          ([to, from, at, bits, sign]) => `r${to} = *(${bits === 64 ? 'u' : sign}${bits} *)(r${from} ${at})`,
        ),
    },
    fc.tuple(base, offset, size, any).map(([to, at, bits, from]) => `*(u${bits} *)(r${to} ${at}) = r${from}`),
    fc.tuple(base, offset, size, number).map(([to, at, bits, n]) => `*(u${bits} *)(r${to} ${at}) = ${n}`),
    fc.tuple(slot, size, any).map(([at, bits, from]) => `*(u${bits} *)(r10 ${at}) = r${from}`),
    fc.tuple(target, size, slot).map(([to, bits, at]) => `r${to} = *(u${bits} *)(r10 ${at})`),
    fc
      .tuple(target, fc.constantFrom('+=', '-=', '&=', '|=', '='), number)
      .map((parts) => `r${parts.join(' ')}`),
    fc
      .tuple(target, fc.constantFrom('+=', '-=', '=', '^='), any)
      .map(([to, op, from]) => `r${to} ${op} r${from}`),
    fc
      .tuple(any, fc.constantFrom('>', '==', 's<'), any, fc.nat(3))
      .map(([a, op, b, n]) => `if r${a} ${op} r${b} goto pc+${n}`),
    fc.tuple(base, offset).map(([to, at]) => `lock *(u64 *)(r${to} ${at}) += r2`),
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom(...HELPERS[section]), number, base, number)
        .map(
          ([name, a, b, c]) =>
            `r1 = r6\nr2 = ${a}\nr3 = r${b}\nr4 = ${c}\nr5 = 0\ncall bpf_${name}\n${NUMBERS}`,
        ),
    },
  )

describe('random programs with packets', () => {
  it.each(['tc', 'xdp'] as const)('come to the same in both engines: %s', (section) => {
    const kernel = createKernel({ engine: 'wasm', verify: false, fuel: 1000 })
    const counts = { ended: 0, trapped: 0 }
    fc.assert(
      fc.property(fc.array(lineOf(section), { minLength: 1, maxLength: 12 }), (lines) => {
        const text = `r6 = r1\n${START[section]}\nr9 = 5\n${NUMBERS}\n${lines.join('\n')}\nexit\nexit\nexit\nexit`
        using object = open(rawObject(assemble(text), section), { kernel }).load()
        // From the second run on, packets come to lie where those before them lay. Stacks are as the first run leaves them.
        const second = (): unknown => [outcome(object), outcome(object)][1]
        const compiled = second()
        using debug = kernel.debug(object.program(RAW_PROGRAM))
        expect([debug.instructions.length > 0, second()]).toEqual([true, compiled])
        counts[Array.isArray(compiled) ? 'trapped' : 'ended']++
      }),
      { numRuns: 400, seed: 7 },
    )
    expect(Math.min(counts.ended, counts.trapped)).toBeGreaterThan(60)
  })
})
