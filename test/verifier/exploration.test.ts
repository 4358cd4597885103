/** How many instructions are processed, and how many states held: as Linux 6.18 does, which shows that paths are pruned as there. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { verify as verifyObject } from '../../lib/index.js'
import {
  alu32,
  alu64,
  alu64r,
  call,
  exit,
  jump,
  jump32,
  load,
  mov32r,
  mov64,
  mov64r,
  store,
} from '../../lib/isa/build.js'
import { verify } from './support.js'

const object = readFileSync(new URL('../../bpf/bench/verifier.bpf.o', import.meta.url))
const PRANDOM = 7

describe('the walk along all paths', () => {
  // What Linux 6.18.44 says of the same programs (log level 4).
  it.each([
    ['branchy_loop', 50_446, 181],
    ['nested_loops', 80_403, 1004],
    ['map_heavy', 46_776, 228],
    ['function_calls', 41_310, 275],
    ['joins', 10_232, 28],
    ['text_on_stack', 28_271, 106],
    ['bounded_indices', 35_157, 139],
    ['callbacks', 3_216, 42],
    ['packet_parser', 31_977, 74],
  ])('of %s processes %d instructions and holds %d states at once', (program, insnsProcessed, peakStates) => {
    const [verdict] = verifyObject(object, { program })
    expect(verdict).toMatchObject({ accepted: true, insnsProcessed, peakStates })
  })

  it('ends at a million instructions', { timeout: 60_000 }, () => {
    // Each step may set a bit of r7, and what r7 holds matters at the end: no path covers another.
    const steps = Array.from({ length: 64 }, (_, i) => [
      load(32, 2, 6, 8),
      jump('jset', 2, 1 << (i % 16), 1),
      alu64('or', 7, 1 << (i % 24)),
    ])
    const verdict = verify([mov64r(6, 1), mov64(7, 0), ...steps.flat(), mov64(0, 0), ...onStack(7), exit()])
    expect(verdict).toMatchObject({
      errno: 7,
      reason: 'BPF program is too large. Processed 1000001 insn',
      insnsProcessed: 1_000_001,
    })
  })
})

/** Loads from the stack at an offset that a register gives, which must be known for that. */
const onStack = (register: number) => [
  alu64('and', register, 7),
  mov64r(3, 10),
  alu64('add', 3, -8),
  alu64r('add', 3, register),
  store(64, 10, -8, 0),
  load(8, 0, 3, 0),
]

describe('numbers that are a constant apart', () => {
  /** r6: any number of 32 bits; r7: the same. */
  const twice = [call(PRANDOM), mov32r(6, 0), mov64r(7, 6)]
  /** Reads what is only written where `register` is known to be `least` at least. */
  const needs = (register: number, least: number) => [
    mov64(0, 0),
    jump('jge', register, least, 1),
    // Only reached if nothing is known of the register.
    load(64, 0, 0, 0),
    exit(),
  ]

  it.each([
    ['a sum', [alu64('add', 7, 4), jump('jgt', 7, 100, 2), mov64(0, 0), exit(), ...needs(6, 97)]],
    ['a difference', [alu64('sub', 7, 4), jump('jsgt', 7, 100, 2), mov64(0, 0), exit(), ...needs(6, 105)]],
    ['a negative sum', [alu64('add', 7, -4), jump('jsgt', 7, 100, 2), mov64(0, 0), exit(), ...needs(6, 105)]],
    [
      'a sum of 32 bits',
      [alu32('add', 7, -4), jump32('jeq', 7, 100, 2), mov64(0, 0), exit(), ...needs(6, 104)],
    ],
  ])('tell of each other: %s', (_name, code) => {
    expect(verify([...twice, ...code]).reason).toBeUndefined()
  })

  it('tell nothing where 32 bits cut them off', () => {
    const wide = [call(PRANDOM), mov64r(6, 0), mov64r(7, 6)]
    const code = [alu32('add', 7, 4), jump32('jeq', 7, 100, 2), mov64(0, 0), exit(), ...needs(6, 96)]
    expect(verify([...wide, ...code]).reason).toBe("R0 invalid mem access 'scalar'")
  })

  it('tell nothing once a number is added to itself', () => {
    const code = [alu64r('add', 7, 7), jump('jeq', 7, 100, 2), mov64(0, 0), exit(), ...needs(6, 50)]
    expect(verify([...twice, ...code]).reason).toBe("R0 invalid mem access 'scalar'")
  })
})
