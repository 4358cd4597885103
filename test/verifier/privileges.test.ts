/** What Linux refuses to those who may load programs, but know no addresses; and to everybody else. Linux 6.18.44 said so of the former. */
import { describe, expect, it } from 'vitest'
import * as bpf from '../../lib/isa/build.js'
import { ATOMIC } from '../../lib/isa/opcodes.js'
import { BPF_MAP_TYPE } from '../../lib/linux/map-types.js'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import { type CaseCode, type CaseOptions, loadMap, map, outcome } from './support.js'

const { alu64, alu64r, atomic, call, callLocal, exit, ja, jump, jumpr, load, mov64, mov64r, store, storer } =
  bpf
const array = map({ type: BPF_MAP_TYPE.ARRAY, keySize: 4, valueSize: 64, maxEntries: 1 })
const HELPER = { update: 2, printk: 6, random: 7 }
const done = [mov64(0, 0), exit()]

interface Rule {
  readonly name: string
  readonly code: CaseCode
  readonly reason: string
  readonly options?: CaseOptions
}

/** All of it is fine for root. */
const WITHOUT_PERFMON: readonly Rule[] = [
  { name: 'returned addresses', code: [mov64r(0, 10), exit()], reason: '1: R0 leaks addr as return value' },
  {
    name: 'addresses in maps',
    code: [loadMap(2, array, 0), storer(64, 2, 0, 1), ...done],
    reason: '2: R1 leaks addr into map',
  },
  {
    name: 'addresses in maps, added',
    code: [loadMap(2, array, 0), atomic(64, ATOMIC.ADD, 2, 0, 1), ...done],
    reason: '2: R1 leaks addr into mem',
  },
  {
    name: 'addresses as numbers for helpers',
    code: [
      store(64, 10, -8, 0),
      store(64, 10, -16, 0),
      store(64, 10, -24, 0),
      loadMap(1, map()),
      mov64r(2, 10),
      alu64('add', 2, -8),
      mov64r(3, 10),
      alu64('add', 3, -24),
      mov64r(4, 10),
      call(HELPER.update),
      ...done,
    ],
    reason: '10: R4 leaks addr into helper function',
  },
  {
    name: 'differences of addresses',
    code: [mov64r(2, 10), alu64r('sub', 2, 1), ...done],
    reason: '1: R2 pointer -= pointer prohibited',
  },
  { name: 'halves of addresses', code: [bpf.mov32r(2, 1), ...done], reason: '0: R1 partial copy of pointer' },
  { name: 'negated addresses', code: [bpf.neg64(1), ...done], reason: '0: R1 pointer arithmetic prohibited' },
  {
    name: 'comparisons of addresses',
    code: [mov64r(2, 10), jumpr('jgt', 2, 1, 0), ...done],
    reason: '1: R1 pointer comparison prohibited',
  },
  {
    name: 'comparisons of addresses with numbers',
    code: [jump('jgt', 1, 5, 0), ...done],
    reason: '0: R1 pointer comparison prohibited',
  },
  {
    name: 'stack that nobody has written',
    code: [load(64, 2, 10, -8), ...done],
    reason: '0: invalid read from stack R10 off=-8 size=8',
  },
  {
    name: 'stack of which a part was written',
    code: [store(32, 10, -8, 1), load(64, 2, 10, -8), ...done],
    reason: '1: invalid read from stack off -8+4 size 8',
  },
  {
    name: 'parts of spilled addresses, overwritten',
    code: [storer(64, 10, -8, 1), store(32, 10, -8, 0), ...done],
    reason: '1: attempt to corrupt spilled pointer on stack',
  },
  {
    name: 'variable places on the stack',
    code: [
      call(HELPER.random),
      alu64('and', 0, 7),
      mov64r(2, 10),
      alu64('add', 2, -8),
      alu64r('add', 2, 0),
      ...done,
    ],
    reason: '4: R2 variable stack access prohibited for !root, var_off=(0x0; 0x7) off=-8',
  },
  {
    name: 'addresses in a value behind its end, accessed or not',
    code: [loadMap(2, array, 0), alu64('add', 2, 64), ...done],
    reason: '2: R2 pointer arithmetic of map value goes out of range, prohibited for !root',
  },
  {
    name: 'offsets that may have either sign',
    code: [
      call(HELPER.random),
      alu64('and', 0, 15),
      alu64('sub', 0, 8),
      loadMap(2, array, 16),
      alu64r('add', 2, 0),
      ...done,
    ],
    reason:
      '5: R0 has unknown scalar with mixed signed bounds, pointer arithmetic with it prohibited for !root',
  },
  {
    name: 'printing',
    code: [
      store(64, 10, -8, 0x41),
      mov64r(1, 10),
      alu64('add', 1, -8),
      mov64(2, 8),
      call(HELPER.printk),
      ...done,
    ],
    reason: '4: program of this type cannot use helper bpf_trace_printk#6',
  },
  {
    name: 'tracing',
    code: done,
    options: { type: BPF_PROG_TYPE.TRACEPOINT },
    reason: '-: programs of this type take CAP_PERFMON',
  },
]

describe('without CAP_PERFMON', () => {
  it.each(WITHOUT_PERFMON)('are refused: $name', ({ code, options, reason }) => {
    expect(outcome(code, options)).toBe('accepted')
    expect(outcome(code, { ...options, privileges: 'bpf' })).toBe(reason)
  })

  it('follows the way that a processor might speculate about', () => {
    // Root's verifier never looks at the loop: r2 is 0. A processor that predicts otherwise runs it.
    const code = [mov64(2, 0), jump('jeq', 2, 0, 2), mov64(3, 0), ja(-1), ...done]
    expect(outcome(code)).toBe('accepted')
    expect(outcome(code, { privileges: 'bpf' })).toBe('3: infinite loop detected at insn 3')
  })

  it('puts barriers where a speculated access is unsafe', () => {
    const code = [mov64(2, 0), jump('jeq', 2, 0, 1), load(64, 3, 2, 0), ...done]
    expect(outcome(code, { privileges: 'bpf' })).toBe('accepted')
  })

  it('calls functions', () => {
    const code = [mov64(6, 0), callLocal(2), ...done, mov64(0, 1), exit()]
    expect(outcome(code, { privileges: 'bpf' })).toBe('accepted')
  })

  it('finds no end of loops that a processor might run on', () => {
    const code = [mov64(6, 0), alu64('add', 6, 1), jump('jlt', 6, 5, -2), ...done]
    expect(outcome(code)).toBe('accepted')
    expect(outcome(code, { privileges: 'bpf' })).toContain('infinite loop detected at insn')
  })
})

describe('without CAP_BPF', () => {
  const none = { privileges: 'none' } as const

  it('are socket filters and programs of cgroups', () => {
    expect(outcome(done, none)).toBe('accepted')
    expect(outcome(done, { ...none, type: BPF_PROG_TYPE.CGROUP_SKB })).toBe('accepted')
    expect(outcome(done, { ...none, type: BPF_PROG_TYPE.XDP })).toBe('-: programs of this type take CAP_BPF')
  })

  it('are at most 4,096 instructions', () => {
    const long = (count: number): CaseCode => [
      ...Array.from({ length: count - 2 }, () => mov64(0, 0)),
      ...done,
    ]
    expect(outcome(long(4096), none)).toBe('accepted')
    expect(outcome(long(4097), none)).toBe(
      '-: the program has 4097 instructions, more than 4096: more take CAP_BPF',
    )
  })

  it('have no functions and no loops', () => {
    expect(outcome([callLocal(1), exit(), mov64(0, 0), exit()], none)).toBe(
      '-: loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN',
    )
    expect(outcome([mov64(0, 0), alu64('add', 0, 1), jump('jlt', 0, 5, -2), exit()], none)).toBe(
      '-: back-edge from insn 2 to 1',
    )
  })

  it('know no numbers that they have stored', () => {
    const code = [
      store(64, 10, -8, 4),
      load(64, 3, 10, -8),
      loadMap(2, array, 0),
      alu64r('add', 2, 3),
      load(8, 0, 2, 0),
      ...done,
    ]
    expect(outcome(code, { privileges: 'bpf' })).toBe('accepted')
    expect(outcome(code, none)).toBe(
      '4: math between map_value pointer and register with unbounded min value is not allowed',
    )
  })

  it('of cgroups see no packet', () => {
    const code = [load(32, 2, 1, 76), ...done]
    const type = BPF_PROG_TYPE.CGROUP_SKB
    expect(outcome(code, { type, privileges: 'bpf' })).toBe('accepted')
    expect(outcome(code, { type, ...none })).toBe('0: invalid bpf_context access off=76 size=4')
  })
})

describe('alignment', () => {
  const code = [loadMap(2, array, 0), load(32, 0, 2, 2), mov64(0, 0), exit()]

  it.each([
    ['doesn’t matter by itself', 0, 'accepted'],
    ['matters on demand', 1, '2: misaligned value access off 0+0+2 size 4'],
    ['doesn’t matter where any is asked for', 3, 'accepted'],
  ])('%s', (_name, flags, expected) => {
    expect(outcome(code, { flags })).toBe(expected)
  })
})
