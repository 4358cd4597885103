/** `verify: false` of programs with packets: they come to their contexts as verified ones do, whichever way, and to nothing else. */
import { afterEach, describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { createKernel, type FallbackOptions } from '../../lib/fallback/index.js'
import type { BpfObject } from '../../lib/object.js'
import { open } from '../../lib/open.js'
import { assemble } from '../../lib/isa/index.js'
import { objectUrl } from '../support/fallback.js'
import { FRAMES, ipv4Frame, PACKET_CASES } from '../support/packet-cases.js'
import { RAW_PROGRAM, rawObject } from '../support/raw-object.js'

const ENGINES = ['interpreter', 'wasm'] as const
const data = ipv4Frame()
const PACKET_TYPES: ReadonlySet<string> = new Set(['xdp', 'sched_cls', 'sched_act', 'socket_filter'])

/** What a run gives but for its time, or the error that it ends with. */
function outcome(object: BpfObject, program: string, options: object): unknown {
  try {
    const { retval, data, ctx } = object.program(program).run(options)
    return { retval, data: data && Buffer.from(data).toString('hex'), ctx }
  } catch (error) {
    if (error instanceof BpfError) return [error.code, error.message.replaceAll(/0x[0-9a-f]{16}/g, 'X')]
    throw error
  }
}

describe.each(ENGINES)('packets in the sandbox of the %s', (engine) => {
  const objects: BpfObject[] = []
  afterEach(() => {
    for (const object of objects.splice(0)) object.close()
  })
  const sandboxed = (source: URL | Uint8Array, options: FallbackOptions = {}): BpfObject => {
    const kernel = createKernel({ engine, verify: false, fuel: 100_000, ...options })
    const object = open(source, { kernel }).load()
    objects.push(object)
    return object
  }
  const raw = (section: string, text: string): BpfObject => sandboxed(rawObject(assemble(text), section))
  const load = (distance = 0n): BpfObject => {
    const object = sandboxed(objectUrl('test/unverified_packets'))
    object.bss['distance'] = distance
    return object
  }
  const run = (object: BpfObject, program = RAW_PROGRAM): number =>
    object.program(program).run({ data }).retval
  const trapOf = (object: BpfObject, program = RAW_PROGRAM): BpfError => {
    try {
      object.program(program).run({ data, ctx: {} })
    } catch (error) {
      if (error instanceof BpfError) return error
      throw error
    }
    throw new Error(`${program} ended well`)
  }

  it.each(PACKET_CASES.map((one) => [one.title, one.object] as const))(
    'does as the verified program does: %s',
    (_title, source) => {
      using verified = open(source, { kernel: createKernel({ engine: 'interpreter' }) }).load()
      const object = sandboxed(source)
      for (const [frame, data] of Object.entries(FRAMES)) {
        const answers = [verified, object].map((one) => outcome(one, RAW_PROGRAM, { data, ctx: {} }))
        expect({ frame, answer: answers[1] }).toEqual({ frame, answer: answers[0] })
      }
    },
  )

  it.each(['packets', 'perf_output', 'program_run', 'redirect', 'redirect_maps', 'tail_calls'])(
    'does as verified programs do: %s.bpf.c',
    (name) => {
      const verified = open(objectUrl(`test/${name}`), {
        kernel: createKernel({ engine: 'interpreter' }),
      }).load()
      objects.push(verified)
      const object = sandboxed(objectUrl(`test/${name}`), { fuel: 10_000_000 })
      const compared = Object.values(object.programs).filter(({ type }) => PACKET_TYPES.has(type))
      for (const program of compared)
        for (const [frame, data] of Object.entries(FRAMES)) {
          const answers = [verified, object].map((one) => outcome(one, program.name, { data, ctx: {} }))
          expect({ program: program.name, frame, answer: answers[1] }).toEqual({
            program: program.name,
            frame,
            answer: answers[0],
          })
        }
      expect(compared).not.toEqual([])
    },
  )

  it.each([
    [
      'looks_behind_end',
      0n,
      'read of 1 bytes',
      "out of bounds by 1 bytes behind the packet's end",
      'looks behind',
    ],
    ['looks_behind_end', 100n, 'read of 1 bytes', 'out of bounds by 101 bytes behind', 'looks behind'],
    ['looks_behind_end', 65535n, 'read of 1 bytes', 'out of bounds by 65536 bytes behind', 'looks behind'],
    ['looks_behind_end', -32768n, 'read of 1 bytes', 'out of bounds', 'looks behind'],
    ['looks_behind_end', 1n << 33n, 'read of 1 bytes', 'not a pointer', 'looks behind'],
    ['writes_behind_end', 3n, 'write of 1 bytes', 'out of bounds by 4 bytes behind', 'writes behind'],
    [
      'writes_to_field',
      0n,
      'write of 4 bytes',
      'off=0 size=4: the field is read-only in contexts of xdp',
      'moves',
    ],
    ['goes_through_context', 24n, 'read of 4 bytes', 'off=24 size=4: there is no field', 'any field'],
    ['goes_through_context', 20n, 'read of 4 bytes', 'off=20 size=4: there is no field', 'any field'],
    [
      'goes_through_context',
      2n,
      'read of 4 bytes',
      'off=2 size=4: no field is accessed by 4 bytes',
      'any field',
    ],
    ['goes_through_context', -4n, 'read of 4 bytes', 'out of bounds', 'any field'],
    ['goes_through_context', 48n, 'read of 4 bytes', 'out of bounds', 'any field'],
    [
      'trusts_old_pointers',
      14n,
      'read of 1 bytes',
      'out of bounds by 14 bytes before the packet',
      'elsewhere',
    ],
    ['trusts_old_tail', 0n, 'read of 1 bytes', 'use after free', 'elsewhere'],
    ['calls_with_context', 1n, 'read of 4 bytes', 'off=11 size=4', 'sums up'],
    ['adds_to_field', 0n, 'write of 4 bytes', 'off=8 size=4: nothing but plain loads and stores', 'at once'],
  ] as const)('stops %s with %s: %s, %s', (program, distance, what, problem, line) => {
    const error = trapOf(load(distance), program)
    expect(error.code).toBe('TRAP')
    expect(error.message).toContain(what)
    expect(error.message).toContain(problem)
    expect(error.trap).toMatchObject({
      program,
      insn: expect.any(Number),
      source: {
        file: expect.stringContaining('unverified_packets.bpf.c'),
        text: expect.stringContaining(line),
      },
      address: expect.any(BigInt),
    })
  })

  it('lets helpers have no context for memory', () => {
    expect(trapOf(load(), 'context_for_key').message).toMatch(/insn \d+ .*no key.*r2: /)
  })

  it('stops what turns round for ever', () => {
    const error = trapOf(load(), 'never_ends')
    expect([error.code, error.message]).toEqual(['TRAP', expect.stringContaining('ran out of fuel')])
  })

  it('finds the context wherever it came from: a map, a callback, functions, a choice', () => {
    const object = load()
    const { retval, ctx } = object.program('keeps_context').run({ data, ctx: {} })
    expect([retval, object.bss['seen'], ctx]).toEqual([
      data.length,
      BigInt(data[1] ?? 0),
      expect.objectContaining({ mark: 7 }),
    ])
    object.bss['seen'] = 0n
    expect(run(object, 'calls_back')).toBe(3 * data.length)
    expect(run(object, 'calls_with_context')).toBe(data[0])
    expect(run(object, 'either_of_two')).toBe(77)
    object.bss['distance'] = 1n
    expect(run(object, 'either_of_two')).toBe(data.length)
    object.bss['distance'] = 16n
    expect(run(object, 'goes_through_context')).toBe(0)
  })

  it('stops programs that find the context of a run that is over', () => {
    const object = load()
    run(object, 'keeps_context')
    expect(trapOf(object, 'finds_old_context').message).toContain('use after free')
  })

  it('tail calls with what is no context, and stops where that is taken for one', () => {
    const object = load()
    object.map('next').set(0, object.program('goes_on'))
    const error = trapOf(object, 'passes_stack_on')
    expect([error.code, error.trap?.program, run(object, 'goes_on')]).toEqual(['TRAP', 'goes_on', data[0]])
    object.bss['distance'] = 1n
    expect(run(object, 'passes_stack_on')).toBe(data[0])
  })

  it.each([
    ['the whole of it', 'r2 = *(u64 *)(r10 -8)\nr0 = *(u32 *)(r2 +0)', data.length],
    ['half of it', 'r2 = *(u32 *)(r10 -8)\nr0 = *(u32 *)(r2 +0)', 'not a pointer|null pointer|user address'],
    ['a byte changed', '*(u8 *)(r10 -5) = 127\nr2 = *(u64 *)(r10 -8)\nr0 = *(u32 *)(r2 +0)', 'out of bounds'],
    [
      'put together again',
      'r2 = *(u32 *)(r10 -8)\nr3 = *(u32 *)(r10 -4)\nr3 <<= 32\nr2 |= r3\nr0 = *(u32 *)(r2 +0)',
      data.length,
    ],
    ['twice its address', 'r2 = r1\nr2 += r1\nr0 = *(u32 *)(r2 +0)', 'not a pointer'],
    ['there and back', 'r2 = r1\nr2 += 4096\nr2 -= 4092\nr0 = *(u32 *)(r2 -4)', data.length],
    ['its neighbourhood', 'r0 = *(u64 *)(r1 +192)', 'off=192 size=8: there is no field'],
    ['across its end', 'r0 = *(u64 *)(r1 +212)', 'off=212 size=8: there is no field'],
    ['before its start', 'r0 = *(u8 *)(r1 -1)', 'out of bounds by 1 bytes before a context of a packet'],
    [
      'an address in parts',
      'r0 = *(u16 *)(r1 +76)',
      'off=76 size=2: no field is accessed by 2 bytes from there',
    ],
    ['an address with a sign', 'r0 = *(s32 *)(r1 +76)', 'off=76 size=4'],
    ['a field with a sign', 'r2 = -2\n*(u32 *)(r1 +8) = r2\nr0 = *(s16 *)(r1 +8)', 0xffff_fffe],
    ['a shorter field', 'r2 = -2\n*(u32 *)(r1 +44) = r2\nr0 = *(u32 *)(r1 +44)', 0xfffe],
    ['a number for a field', '*(u32 *)(r1 +8) = 5\nr0 = *(u8 *)(r1 +8)', 5],
    ['a field of others', '*(u32 *)(r1 +0) = 5', 'off=0 size=4: the field is read-only'],
    [
      'what is written and checked before',
      '*(u32 *)(r1 +8) = 5\nr2 = *(u32 *)(r1 +8)\nr3 = *(u32 *)(r1 +76)\nr0 = *(u8 *)(r3 +0)',
      data[0],
    ],
    ['a packet without looking', 'r6 = r10\nr0 = *(u8 *)skb[0]', 'r6 is no context of a packet'],
    ['its packet', 'r6 = r1\nr0 = *(u8 *)skb[0]', data[0]],
    [
      'a helper without it',
      'r1 = r10\nr2 = 60\nr3 = 0\ncall bpf_skb_change_tail',
      'r1 is no context of a packet',
    ],
    ['a helper that is to write to it', 'r3 = r1\nr2 = 0\nr4 = 8\ncall bpf_skb_load_bytes', 'r3: '],
  ] as const)('loads %s', (_what, text, result) => {
    const object = raw('tc', `*(u64 *)(r10 -8) = r1\nr0 = 0\n${text}\nexit`)
    const answer = typeof result === 'string' ? trapOf(object).message : String(run(object))
    expect(answer).toMatch(new RegExp(typeof result === 'string' ? result : `^${result}$`))
  })

  it('keeps a debugger’s steps and looks what they are', () => {
    const kernel = createKernel({ engine, verify: false })
    const object = open(
      rawObject(assemble('r2 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r2 +0)\nr0 = *(u8 *)(r1 +0)\nexit'), 'xdp'),
      { kernel },
    ).load()
    objects.push(object)
    using debug = kernel.debug(object.program(RAW_PROGRAM))
    const values: (number | undefined)[] = []
    debug.breakpoint({ insn: 0 }, (stop) => {
      const [, context = 0n, packet = 0n] = stop.registers
      values.push(stop.read(context, 24).length, stop.insn > 0 ? stop.read(packet, 1)[0] : undefined)
      return 'step'
    })
    expect(trapOf(object).message).toContain('insn 2')
    expect(values).toEqual([24, undefined, 24, data[0], 24, data[0]])
  })
})
