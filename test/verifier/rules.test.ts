/** Rules of the verifier, each in both directions: what Linux 6.18 said of the same programs. */
import { describe, expect, it } from 'vitest'
import * as bpf from '../../lib/isa/build.js'
import { ATOMIC } from '../../lib/isa/opcodes.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE } from '../../lib/linux/map-types.js'
import { BPF_PROG_TYPE as P } from '../../lib/linux/program-types.js'
import { loadMap, map, outcome, verify, type CaseCode, type CaseOptions } from './support.js'

const {
  mov64,
  mov64r,
  mov32r,
  exit,
  ja,
  jump,
  jumpr,
  jump32,
  load,
  store,
  storer,
  call,
  callLocal,
  alu64,
  alu64r,
} = bpf
const HELPER = {
  lookup: 1,
  random: 7,
  lock: 93,
  unlock: 94,
  reserve: 131,
  submit: 132,
} as const
const done = [mov64(0, 0), exit()]
const hash = map()
const locked = map({ specialFields: [{ kind: 'bpf_spin_lock', offset: 0 }] })
const ring = map({ type: BPF_MAP_TYPE.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 4096 })
const lookUp = [
  store(64, 10, -8, 0),
  loadMap(1, hash),
  mov64r(2, 10),
  alu64('add', 2, -8),
  call(HELPER.lookup),
]
const TC: CaseOptions = { type: P.SCHED_CLS }

type Case = readonly [what: string, expected: string, code: CaseCode, options?: CaseOptions]

function cases(list: readonly Case[]): void {
  for (const [what, expected, code, options] of list) {
    it(`${what}: ${expected}`, () => {
      expect(outcome(code, options)).toBe(expected)
    })
  }
}

describe('values of maps', () => {
  cases([
    ['unchecked', "6: R0 invalid mem access 'map_value_or_null'", [...lookUp, load(64, 0, 0, 0), exit()]],
    ['checked', 'accepted', [...lookUp, jump('jeq', 0, 0, 1), load(64, 0, 0, 8), exit()]],
    [
      'behind the end',
      '7: R0 min value is outside of the allowed memory range',
      [...lookUp, jump('jeq', 0, 0, 1), load(64, 0, 0, 12), exit()],
    ],
    [
      'at an index without a bound',
      '9: R0 unbounded memory access, make sure to bounds check any such access',
      [...lookUp, jump('jeq', 0, 0, 3), load(32, 1, 0, 0), alu64r('add', 0, 1), load(8, 0, 0, 0), ...done],
    ],
    [
      'at a masked index',
      'accepted',
      [
        ...lookUp,
        jump('jeq', 0, 0, 4),
        load(64, 1, 0, 0),
        alu64('and', 1, 15),
        alu64r('add', 0, 1),
        load(8, 0, 0, 0),
        ...done,
      ],
    ],
    [
      'at an index that was compared',
      'accepted',
      [
        ...lookUp,
        jump('jeq', 0, 0, 4),
        load(64, 1, 0, 0),
        jump('jgt', 1, 8, 2),
        alu64r('add', 0, 1),
        load(64, 0, 0, 0),
        ...done,
      ],
    ],
    [
      'at an index with a sign',
      '9: R0 min value is negative, either use unsigned index or do a if (index >=0) check.',
      [
        ...lookUp,
        jump('jeq', 0, 0, 3),
        bpf.loadSigned(8, 1, 0, 0),
        alu64r('add', 0, 1),
        load(8, 0, 0, 0),
        ...done,
      ],
    ],
    [
      'read only',
      '2: write into map forbidden, value_size=16 off=0 size=8',
      [
        loadMap(
          1,
          map({
            type: BPF_MAP_TYPE.ARRAY,
            keySize: 4,
            maxEntries: 1,
            flags: BPF_MAP_FLAGS.BPF_F_RDONLY_PROG,
          }),
          0,
        ),
        store(64, 1, 0, 0),
        ...done,
      ],
    ],
    [
      'constant: a branch on them is decided',
      'accepted',
      [
        loadMap(
          1,
          map({
            type: BPF_MAP_TYPE.ARRAY,
            keySize: 4,
            maxEntries: 1,
            flags: BPF_MAP_FLAGS.BPF_F_RDONLY_PROG,
            constants: new Uint8Array(16).fill(7),
          }),
          0,
        ),
        load(32, 2, 1, 0),
        jump('jeq', 2, 0x07070707, 1),
        mov64(10, 0),
        ...done,
      ],
    ],
  ])
})

describe('the stack', () => {
  cases([
    ['keeps pointers', 'accepted', [storer(64, 10, -8, 1), load(64, 2, 10, -8), load(32, 0, 2, 0), exit()]],
    [
      'loses halves of pointers',
      '1: invalid size of register fill',
      [storer(64, 10, -8, 1), load(32, 2, 10, -8), ...done],
    ],
    [
      'keeps numbers in parts',
      'accepted',
      [mov64(1, 5), storer(64, 10, -8, 1), load(32, 2, 10, -8), jump('jeq', 2, 5, 1), mov64(10, 0), ...done],
    ],
    ['ends at 512 bytes', '0: invalid write to stack R10 off=-520 size=8', [store(64, 10, -520, 0), ...done]],
    ['is not above r10', '0: invalid write to stack R10 off=0 size=8', [store(64, 10, 0, 0), ...done]],
    ['is aligned', '0: misaligned stack access off 0+0+-12 size 8', [store(64, 10, -12, 0), ...done]],
    ['may be read before it is written', 'accepted', [load(64, 0, 10, -8), exit()]],
    [
      'of two functions is 512 bytes together',
      '2: combined stack size of 2 calls is 528. Too large',
      [store(64, 10, -256, 0), callLocal(1), exit(), store(64, 10, -272, 0), ...done],
    ],
  ])
})

describe('packets', () => {
  const packet = [load(32, 2, 1, 76), load(32, 3, 1, 80), mov64r(4, 2), alu64('add', 4, 14)]
  cases([
    ['unchecked', '4: R2 offset is outside of the packet', [...packet, load(8, 0, 2, 0), exit()], TC],
    ['checked', 'accepted', [...packet, jumpr('jgt', 4, 3, 2), load(16, 0, 2, 12), exit(), ...done], TC],
    [
      'one byte too far',
      '5: R2 offset is outside of the packet',
      [...packet, jumpr('jgt', 4, 3, 1), load(16, 0, 2, 13), ...done],
      TC,
    ],
    [
      'written by one that may not',
      '6: cannot write into packet',
      [...packet, jumpr('jgt', 4, 3, 2), mov64(0, 0), store(8, 2, 0, 0), ...done],
      { type: P.CGROUP_SKB },
    ],
    [
      'moved by a helper',
      "9: R7 invalid mem access 'scalar'",
      [
        ...packet,
        mov64r(7, 2),
        jumpr('jgt', 4, 3, 4),
        mov64(2, 0),
        call(39),
        mov64(0, 0),
        load(8, 0, 7, 0),
        ...done,
      ],
      TC,
    ],
  ])
})

describe('references', () => {
  const reserve = [loadMap(1, ring), mov64(2, 8), mov64(3, 0), call(HELPER.reserve)]
  cases([
    [
      'kept',
      '7: BPF_EXIT instruction in main prog would lead to reference leak',
      [...reserve, jump('jeq', 0, 0, 0), ...done],
    ],
    [
      'released',
      'accepted',
      [...reserve, jump('jeq', 0, 0, 3), mov64r(1, 0), mov64(2, 0), call(HELPER.submit), ...done],
    ],
    [
      'released twice',
      '11: R1 type=scalar expected=ringbuf_mem',
      [
        ...reserve,
        jump('jeq', 0, 0, 5),
        mov64r(6, 0),
        mov64r(1, 0),
        mov64(2, 0),
        call(HELPER.submit),
        mov64r(1, 6),
        call(HELPER.submit),
        ...done,
      ],
    ],
    [
      'lost on one path',
      '10: BPF_EXIT instruction in main prog would lead to reference leak',
      [...reserve, jump('jne', 0, 0, 2), ...done, load(64, 1, 0, 0), ...done],
    ],
  ])
})

describe('spin locks', () => {
  const find = [
    store(64, 10, -8, 0),
    loadMap(1, locked),
    mov64r(2, 10),
    alu64('add', 2, -8),
    call(HELPER.lookup),
    jump('jne', 0, 0, 2),
    ...done,
    mov64r(6, 0),
  ]
  cases([
    [
      'taken and given back',
      'accepted',
      [...find, mov64r(1, 6), call(HELPER.lock), mov64r(1, 6), call(HELPER.unlock), ...done],
      TC,
    ],
    [
      'held at the end',
      '13: BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region',
      [...find, mov64r(1, 6), call(HELPER.lock), ...done],
      TC,
    ],
    [
      'read',
      '10: bpf_spin_lock cannot be accessed directly by load/store',
      [...find, load(32, 0, 6, 0), ...done],
      TC,
    ],
    [
      'with a call in between',
      '12: function calls are not allowed while holding a lock',
      [...find, mov64r(1, 6), call(HELPER.lock), call(HELPER.random), ...done],
      TC,
    ],
  ])
})

describe('loops', () => {
  cases([
    ['bounded', 'accepted', [mov64(6, 0), alu64('add', 6, 1), jump('jlt', 6, 100, -2), ...done]],
    ['without end', '1: infinite loop detected at insn 1', [mov64(6, 0), ja(-1)]],
    ['through may_goto', 'accepted', [mov64(6, 0), bpf.mayGoto(2), alu64('add', 6, 1), ja(-3), ...done]],
  ])

  it('stops at a million instructions', () => {
    const { reason, errno, insnsProcessed } = verify([
      call(HELPER.random),
      mov64(6, 0),
      alu64('add', 6, 1),
      jumpr('jlt', 6, 0, -2),
      ...done,
    ])
    expect([reason, errno, insnsProcessed]).toEqual([
      'BPF program is too large. Processed 1000001 insn',
      7,
      1_000_001,
    ])
  })
})

describe('comparisons', () => {
  const random = call(HELPER.random)
  cases([
    [
      'of equal numbers',
      'accepted',
      [random, mov64r(6, 0), jump('jeq', 0, 7, 1), exit(), jump('jeq', 6, 7, 1), mov64(10, 0), ...done],
    ],
    [
      'of the lower half',
      'accepted',
      [random, jump32('jgt', 0, 10, 2), mov32r(1, 0), jump('jgt', 1, 10, 1), ja(1), mov64(10, 0), ...done],
    ],
    [
      'that say nothing',
      '4: frame pointer is read only',
      [random, mov64r(6, 0), alu64('mul', 6, 3), jump('jgt', 0, 7, 1), mov64(10, 0), ...done],
    ],
    [
      'of two registers',
      'accepted',
      [
        random,
        mov64r(6, 0),
        random,
        alu64('and', 0, 7),
        jumpr('jgt', 6, 0, 2),
        jump('jle', 6, 7, 1),
        mov64(10, 0),
        ...done,
      ],
    ],
  ])
})

describe('calls', () => {
  cases([
    [
      'of functions know their arguments',
      'accepted',
      [mov64(1, 4), callLocal(1), exit(), mov64r(0, 1), jump('jeq', 0, 4, 1), mov64(10, 0), exit()],
    ],
    ['lose r1 to r5', '2: R1 !read_ok', [call(HELPER.random), mov64(0, 0), mov64r(0, 1), exit()]],
    ['keep r6 to r9', 'accepted', [mov64r(6, 1), call(HELPER.random), load(32, 0, 6, 0), exit()]],
    [
      'of helpers of other types',
      '0: program of this type cannot use helper bpf_redirect#23',
      [call(23), ...done],
    ],
  ])
})

describe('atomic operations', () => {
  cases([
    [
      'on the stack',
      'accepted',
      [store(64, 10, -8, 0), mov64(1, 1), bpf.atomic(64, ATOMIC.ADD, 10, -8, 1), ...done],
    ],
    [
      'on the context',
      '1: BPF_ATOMIC stores into R1 ctx is not allowed',
      [mov64(2, 1), bpf.atomic(64, ATOMIC.ADD, 1, 0, 2), ...done],
    ],
  ])
})

describe('facts for engines', () => {
  it('names the accesses that were proven', () => {
    const verdict = verify([...lookUp, jump('jeq', 0, 0, 1), load(64, 0, 0, 8), exit()])
    const slots = Array.from({ length: 9 }, (_unused, i) => i).filter((slot) => verdict.proven(slot))
    expect(slots).toEqual([0, 7])
  })

  it('names none in what is refused', () => {
    const verdict = verify([store(64, 10, -8, 0), exit()])
    expect([verdict.accepted, verdict.proven(0)]).toEqual([false, false])
  })
})

it('refuses by name what it does not model', () => {
  expect(outcome([bpf.instruction(0x85, 0, 2, 0, 7), ...done])).toBe('-: UNSUPPORTED: kfunc #7')
  expect(verify([bpf.instruction(0x85, 0, 2, 0, 7), ...done]).accepted).toBe(false)
})
