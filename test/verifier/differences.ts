/**
 * Where a verdict isn't the one that the cases expect, which is that of Linux 6.18 and of the verifier here: by kernel and case, with the reason.
 * A difference that has gone fails too, so the list stays true.
 */

import { isOlderThan } from '../../lib/linux/release.js'

export interface Difference {
  /** Topic, rule and, unless all of them differ, the variant. */
  readonly topic: string
  readonly rule: string
  readonly variant?: string
  /** Kernels that differ: below this version, or from it on. */
  readonly below?: string
  readonly since?: string
  /** What is different there, and why. */
  readonly why: string
}

/** Accepted by both, after other numbers of instructions. */
export const COUNTED_OTHERWISE: readonly Difference[] = []

const NEEDS_TYPES = 'UNSUPPORTED: the layouts of map structures are in the BTF of a kernel'

/** Whether the verifier here says the same once it has the types of the kernel. */
export const needsKernelTypes = ({ why }: Difference): boolean => why === NEEDS_TYPES

/** What the verifier here refuses, and Linux accepts, or words in another way. */
export const DIFFERENCES_HERE: readonly Difference[] = [
  {
    topic: 'arenas',
    rule: "its values aren't there",
    variant: 'r1 = map[arena]; r0 = *(u64 *)(r1 +0)',
    why: NEEDS_TYPES,
  },
  {
    topic: 'context',
    rule: "a tracepoint's record",
    variant: 'u64 *)(r1 -8)',
    why: 'Linux forgets the other end: this reads what lies in front of the record, which no program may',
  },
  {
    topic: 'map-values',
    rule: 'a map itself is hardly read',
    variant: '0',
    why: NEEDS_TYPES,
  },
  {
    topic: 'map-values',
    rule: 'a map itself is hardly read',
    variant: '1',
    why: NEEDS_TYPES,
  },
  {
    topic: 'map-values',
    rule: 'a map itself is hardly read',
    variant: '7000',
    why: NEEDS_TYPES,
  },
  {
    topic: 'map-values',
    rule: 'maps of maps hand out maps, no values',
    variant: 'outer',
    why: NEEDS_TYPES,
  },
]

const each = <T extends object>(
  common: T,
  places: readonly (readonly [topic: string, rule: string, variant: string])[],
): readonly (T & Pick<Difference, 'topic' | 'rule' | 'variant'>)[] =>
  places.map(([topic, rule, variant]) => ({ ...common, topic, rule, variant }))

/** Other kernels than 6.18. What 6.12 does was seen with 6.12.95, and 7.2 with 7.2.13; versions between weren't asked. */
export const KERNEL_DIFFERENCES: readonly Difference[] = [
  ...each({ below: '6.13', why: '6.12 forgets these regions when a program throws' }, [
    ['exceptions', 'what is held leaks, whichever function throws', 'call kfunc[bpf_preempt_disable]'],
    ['exceptions', 'what is held leaks, whichever function throws', 'call kfunc[bpf_rcu_read_lock]'],
  ]),
  ...each({ below: '6.13', why: '6.12 has no loads from arenas that extend signs' }, [
    ['arenas', 'all of it is there', 'r0 = *(s32 *)(r7 +0)'],
    ['arenas', 'all of it is there', 'r0 = *(s8 *)(r7 +0)'],
    ['arenas', 'loads that extend signs', 's8'],
    ['arenas', 'loads that extend signs', 's16'],
    ['arenas', 'loads that extend signs', 's32'],
  ]),
  ...each({ below: '6.13', why: '6.12 and 6.18.44 take it, and 6.18.15 does not' }, [
    ['arenas', 'arithmetic leaves it', 'r1 += r7; r7 = r1'],
  ]),
  ...each({ since: '7.2', why: '7.2 and 6.18.44 take it, and 6.18.15 does not' }, [
    ['arenas', 'arithmetic leaves it', 'r1 += r7; r7 = r1'],
  ]),
  {
    topic: 'extensions',
    rule: 'helpers by attach type',
    variant: 'verdict inner',
    below: '6.13',
    why: '6.12 has the helper for fewer programs',
  },
  ...each({ since: '7.2', why: '7.2 gives pages to programs that do not sleep' }, [
    ['arenas', 'pages are given asleep', 'sched_cls'],
    ['arenas', 'pages are given asleep', 'xdp'],
  ]),
  ...each({ since: '7.2', why: 'Debian builds 7.2 with error injection, for which system calls are' }, [
    ['attaching', 'programs that sleep', '__x64_sys_openat'],
    ['attaching', 'programs that sleep, behind a function', '__x64_sys_openat'],
    ['attaching', 'functions whose results are changed', '__x64_sys_openat'],
  ]),
  ...each({ below: '6.13', why: '6.12 knows nothing of swapped bytes' }, [
    ['found', 'byte swaps of constants, 64 bits', 'be64'],
    ['found', 'byte swaps of constants, 64 bits', 'bswap64'],
    ['scalar-bounds', 'byte swaps of constants', 'be16'],
    ['scalar-bounds', 'byte swaps of constants', 'bswap16'],
    ['scalar-bounds', 'a byte swap keeps its width', 'be16'],
    ['scalar-bounds', 'a byte swap keeps its width', 'le16'],
    ['scalar-bounds', 'a byte swap keeps its width', 'bswap16'],
  ]),
  ...each({ below: '6.13', why: '6.12 lets what may be NULL be taken out' }, [
    [
      'graphs',
      'nodes of a tree are found and taken out',
      'r1 = map[trees]+8; call kfunc[bpf_rbtree_first]; r2 = r0; r1 = map[trees]+8; call kfunc[bpf_rbtree_remove]; r6 = r0',
    ],
  ]),
  ...each({ below: '6.13', why: '6.12 has a reserved field where may_goto has its depth' }, [
    ['loops', 'may_goto has no fields', '0 0 0'],
  ]),
  ...each({ below: '6.13', why: '6.12 finds members of a map at their own offsets only' }, [
    ['map-values', 'a map itself is hardly read', '1'],
  ]),
  ...each({ below: '6.13', why: '6.12 forgets a stack pointer that is kept in an object' }, [
    ['objects', 'pointers in it are numbers', '8) = r10; r1 = *(u64 *)(r6 +8); r0 = *(u64 *)(r1 +0)'],
  ]),
  ...each({ below: '6.13', why: '6.12 does not know that an array has what a constant key asks for' }, [
    ['objects', 'what a value points to is seen', 'r0 = 0'],
    ['objects', 'what a value points to is seen', 'if r1 == 0 goto pc+1; r0 = *(u64 *)(r1 +0)'],
    ['objects', 'what a value points to is seen', 'if r1 == 0 goto pc+1; *(u64 *)(r1 +0) = 5'],
    [
      'objects',
      "a pointer in a map's value takes an object, and gives back the one before",
      'plain; r6 = r0',
    ],
    [
      'objects',
      "a pointer in a map's value takes an object, and gives back the one before",
      'plain; r1 = r0; r2 = 0; call kfunc[bpf_obj_drop_impl]; r6 = 0; r0 = 0',
    ],
    [
      'objects',
      'an object for every CPU is used by one of them',
      'call bpf_this_cpu_ptr; *(u64 *)(r0 +8) = 1; r1 = *(u64 *)(r0 +0)',
    ],
    [
      'objects',
      'an object for every CPU is used by one of them',
      'r2 = 0; call bpf_per_cpu_ptr; r1 = *(u64 *)(r0 +0)',
    ],
    ['objects', 'it is kept for the program that gave it away', 'plain'],
  ]),
  ...each({ below: '6.13', why: '6.12 knows nothing of negated numbers' }, [
    ['scalar-bounds', 'negation', 'r0 = -r0'],
    ['words', '32-bit arithmetic clears the upper half', 'w1 = -w1'],
  ]),
  {
    topic: 'found',
    rule: 'one of two numbers, without the other, compared with itself',
    below: '6.13',
    why: '6.12 learns less of known bits from ranges',
  },
  ...each({ below: '6.13', why: '6.12 learns less of known bits from ranges' }, [
    ['words', 'known bits and ranges together', '<= 16'],
    ['words', 'known bits and ranges together', '< 17'],
  ]),
  ...each({ since: '7.2', why: 'accepted by 7.2, whose way of counting frames is another' }, [
    ['calls', 'frames of a chain of calls', 'call f8'],
  ]),
  ...each({ since: '7.2', why: '7.2 links what a released pointer left to what is filled from it' }, [
    [
      'references',
      "what is left of a record on the stack isn't linked to what is filled from it",
      '*(u64 *)(r10 -8)',
    ],
  ]),
  ...each({ since: '7.2', why: 'accepted by 7.2' }, [
    ['context', "registers of a kprobe aren't written", '0'],
  ]),
  ...each({ since: '7.2', why: 'accepted by 7.2, which allows contexts that were moved' }, [
    ['context', 'syscall programs may move their context', '8'],
  ]),
  ...each({ since: '7.2', why: '7.2 has the function for more types' }, [
    ['exceptions', 'not all programs throw', 'raw_tracepoint'],
  ]),
  ...each({ since: '7.2', why: '7.2 has global functions without a result' }, [
    ['global-functions', 'results are numbers', 'void'],
  ]),
  ...each({ since: '7.2', why: '7.2 has arguments on the stack' }, [
    ['global-functions', 'more than five arguments', 'static'],
  ]),
  ...each({ since: '7.2', why: '7.2 has sleepable tracepoints' }, [
    ['limits', 'sleepable programs by type', 'tracepoint'],
    ['limits', 'sleepable programs by type', 'raw_tracepoint'],
  ]),
  ...each({ since: '7.2', why: '7.2 allows them' }, [['limits', 'maps of sleepable programs', 'programs']]),
  ...each({ since: '7.2', why: '7.2 has timers in programs that trace' }, [
    ['limits', 'maps of tracing programs', 'kprobe'],
    ['limits', 'maps of tracing programs', 'tracepoint'],
    ['limits', 'maps of tracing programs', 'perf_event'],
    ['locks', 'timers by program type', 'kprobe'],
    ['locks', 'timers by program type', 'tracepoint'],
  ]),
  ...each({ since: '7.2', why: '7.2 knows ranges of remainders' }, [
    ['map-values', 'an index of a value has an upper bound', 'r1 %= 16'],
    ['words', '32-bit arithmetic clears the upper half', 'w1 %= 3'],
  ]),
  ...each({ since: '7.2', why: '7.2 knows the range of what is subtracted' }, [
    ['map-values', "subtracting what isn't known", '7'],
    ['map-values', "subtracting what isn't known", '15'],
  ]),
  ...each({ since: '7.2', why: '7.2 knows them' }, [
    ['scalar-bounds', "results of division aren't known in 6.18", 'r0 /= 2'],
    ['scalar-bounds', "results of division aren't known in 6.18", 'r0 %= 16'],
  ]),
  ...each({ since: '7.2', why: '7.2 knows that it is never greater' }, [
    ['scalar-bounds', 'a number compared with itself', 's>'],
  ]),
  ...each({ since: '7.2', why: '7.2 knows that it is never another' }, [
    ['scalar-bounds', 'a number compared with itself', '!='],
  ]),
  ...each({ since: '7.2', why: '7.2 knows the range of what the lock returns' }, [
    [
      'sections',
      'it may not be had',
      'if r0 s< 0 goto pc+3; r1 = map[guarded]+8; call kfunc[bpf_res_spin_unlock]',
    ],
  ]),
  ...each({ since: '7.2', why: '7.2 knows ranges of quotients' }, [
    ['words', '32-bit arithmetic clears the upper half', 'w1 /= 3'],
  ]),
  ...each({ since: '7.2', why: '7.2 has the function by another name' }, [
    ['work', "what is queued gets its map's key and value, and may sleep", 'r0 = 0'],
    [
      'work',
      "what is queued gets its map's key and value, and may sleep",
      'r0 = *(u64 *)(r3 +0); *(u64 *)(r3 +0) = 5; r0 = 0',
    ],
    ['work', "what is queued gets its map's key and value, and may sleep", 'r0 = *(u64 *)(r2 +0); r0 = 0'],
    [
      'work',
      "what is queued gets its map's key and value, and may sleep",
      'r2 = r10; r2 += -8; *(u64 *)(r10 -8) = 0; call bpf_map_lookup_elem; r0 = 0',
    ],
    [
      'work',
      "what is queued gets its map's key and value, and may sleep",
      'r1 = r10; r1 += -8; r2 = 8; r3 = 0; r4 = 0; call kfunc[bpf_copy_from_user_str]; r0 = 0',
    ],
    ['work', 'work of a task', 'r5 = 0'],
    ['work', 'what a task runs', 'r0 = 0'],
    ['work', 'what a task runs', 'r0 = *(u16 *)(r2 +0)'],
    ['work', 'what a task runs', 'r1 = r10; r1 += -8; r2 = 8; r3 = 0; call bpf_copy_from_user; r0 = 0'],
  ]),
  ...each({ since: '7.2', why: '7.2 has work queues in programs that trace' }, [
    ['work', 'not for programs that trace', 'kprobe'],
  ]),
]

/** What builds of one version say otherwise: a machine's 6.18.44 isn't another's. The verifier here refuses what one of them refuses. */
export interface BuildDifference extends Omit<Difference, 'below' | 'since'> {
  /** As a case's expectation: `accepted`, or instruction and reason. */
  readonly said: string
}

const LEARN_LESS = 'older builds learn less of known bits from ranges'
const KNOWN_RANGE = 'some builds know the range of what the lock returns'
const CHECKED_BY_KIND = 'older builds look at what kind of pointer it is before they look whether it is NULL'
const NOT_OWN = '18: arg#0 expected pointer to map value or allocated object'
const NO_LOCK = "18: arg#0 doesn't point to map value or allocated object"

export const BUILD_DIFFERENCES: readonly BuildDifference[] = [
  {
    topic: 'arenas',
    rule: 'arithmetic leaves it',
    variant: 'r1 += r7; r7 = r1',
    said: 'accepted',
    why: '6.18.44 takes arena pointers as the second operand, too',
  },
  ...(
    [
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_rbtree_add_impl]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_rbtree_first]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_rbtree_root]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_rbtree_remove]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_rbtree_left]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_list_push_front_impl]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_list_push_back_impl]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_list_pop_front]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_list_pop_back]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_list_front]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_list_back]', NOT_OWN],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_res_spin_lock]', NO_LOCK],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_res_spin_lock_irqsave]', NO_LOCK],
      ['graphs', 'nothing is passed', 'r1 = 0; call kfunc[bpf_res_spin_unlock]', NO_LOCK],
      [
        'graphs',
        'nothing is passed',
        'r2 = 0; call kfunc[bpf_rbtree_add_impl]',
        '18: arg#1 expected pointer to allocated object',
      ],
      [
        'graphs',
        'nothing is passed',
        'r3 = 0; call kfunc[bpf_rbtree_add_impl]',
        '18: arg2 expected pointer to func',
      ],
      [
        'graphs',
        'nothing is passed',
        'r2 = 0; call kfunc[bpf_rbtree_remove]',
        '18: bpf_rbtree_remove can only take non-owning or refcounted bpf_rb_node pointer',
      ],
      [
        'graphs',
        'nothing is passed',
        'r2 = 0; call kfunc[bpf_rbtree_left]',
        '18: bpf_rbtree_left can only take non-owning or refcounted bpf_rb_node pointer',
      ],
      [
        'graphs',
        'nothing is passed',
        'r2 = 0; call kfunc[bpf_rbtree_right]',
        '18: bpf_rbtree_right can only take non-owning or refcounted bpf_rb_node pointer',
      ],
      ['graphs', 'an object goes into a tree', 'r3 = 0', '19: arg2 expected pointer to func'],
      [
        'work',
        'a work queue belongs to its map',
        'r1 = r6; r1 += 8; r2 = 0',
        "14: pointer in R2 isn't map pointer",
      ],
      [
        'work',
        'a work queue belongs to its map',
        'r1 = 0; r2 = map[hashed]',
        "14: arg#0 doesn't point to a map value",
      ],
      [
        'work',
        'a work queue belongs to its map',
        'r1 = r6; r1 += 8; r2 = r6',
        '14: arg#1 is map_value expected map_value or socket',
      ],
      ['work', 'a callback is a function', '0', '14: arg1 expected pointer to func'],
    ] as const
  ).map(([topic, rule, variant, said]) => ({ topic, rule, variant, said, why: CHECKED_BY_KIND })),
  {
    topic: 'graphs',
    rule: 'nodes of a tree are found and taken out',
    variant:
      'r1 = map[trees]+8; call kfunc[bpf_rbtree_first]; r2 = r0; r1 = map[trees]+8; call kfunc[bpf_rbtree_remove]; r6 = r0',
    said: 'accepted',
    why: 'older builds let what may be NULL be taken out',
  },
  {
    topic: 'sections',
    rule: 'it may not be had',
    variant: 'if r0 s< 0 goto pc+3; r1 = map[guarded]+8; call kfunc[bpf_res_spin_unlock]',
    said: 'accepted',
    why: KNOWN_RANGE,
  },
  {
    topic: 'context',
    rule: "registers of a kprobe aren't written",
    variant: '0',
    said: 'accepted',
    why: 'builds that are older let it be written',
  },
  {
    topic: 'exceptions',
    rule: 'what is held leaks, whichever function throws',
    variant: 'call kfunc[bpf_preempt_disable]',
    said: 'accepted',
    why: 'older builds forget these regions when a program throws, and call what leaks an exit',
  },
  {
    topic: 'exceptions',
    rule: 'what is held leaks, whichever function throws',
    variant: 'call kfunc[bpf_rcu_read_lock]',
    said: 'accepted',
    why: 'older builds forget these regions when a program throws, and call what leaks an exit',
  },
  {
    topic: 'exceptions',
    rule: 'what is held leaks, whichever function throws',
    variant: 'r1 = r10; r1 += -8; call kfunc[bpf_local_irq_save]',
    said: 'accepted',
    why: 'older builds forget these regions when a program throws, and call what leaks an exit',
  },
  {
    topic: 'exceptions',
    rule: 'what is held leaks, whichever function throws',
    variant: 'r1 = map[ring]; r2 = 8; r3 = 0; call bpf_ringbuf_reserve; if r0 == 0 goto pc+0',
    said: '13: BPF_EXIT instruction in main prog would lead to reference leak',
    why: 'older builds forget these regions when a program throws, and call what leaks an exit',
  },
  {
    topic: 'found',
    rule: 'byte swaps of constants, 64 bits',
    variant: 'be64',
    said: '14: R0 max value is outside of the allowed memory range',
    why: 'older builds know nothing of swapped bytes',
  },
  {
    topic: 'found',
    rule: 'byte swaps of constants, 64 bits',
    variant: 'bswap64',
    said: '14: R0 max value is outside of the allowed memory range',
    why: 'older builds know nothing of swapped bytes',
  },
  {
    topic: 'scalar-bounds',
    rule: 'byte swaps of constants',
    variant: 'be16',
    said: '4: frame pointer is read only',
    why: 'older builds know nothing of swapped bytes',
  },
  {
    topic: 'scalar-bounds',
    rule: 'byte swaps of constants',
    variant: 'bswap16',
    said: '4: frame pointer is read only',
    why: 'older builds know nothing of swapped bytes',
  },
  {
    topic: 'scalar-bounds',
    rule: 'a byte swap keeps its width',
    variant: 'be16',
    said: '14: frame pointer is read only',
    why: 'older builds know nothing of swapped bytes',
  },
  {
    topic: 'scalar-bounds',
    rule: 'a byte swap keeps its width',
    variant: 'le16',
    said: '14: frame pointer is read only',
    why: 'older builds know nothing of swapped bytes',
  },
  {
    topic: 'scalar-bounds',
    rule: 'a byte swap keeps its width',
    variant: 'bswap16',
    said: '14: frame pointer is read only',
    why: 'older builds know nothing of swapped bytes',
  },
  {
    topic: 'loops',
    rule: "counters in memory aren't known",
    said: '14: infinite loop detected at insn 11',
    why: 'other builds find it two instructions earlier',
  },
  {
    topic: 'sections',
    rule: 'flags lie in the frame',
    variant: 'bpf_local_irq_restore',
    said: 'accepted',
    why: 'older builds look for the flag behind the frame',
  },
  {
    topic: 'found',
    rule: 'numbers that are negative as 32 bits, and not as 64',
    said: '15: R0 min value is outside of the allowed memory range',
    why: LEARN_LESS,
  },
  {
    topic: 'found',
    rule: 'one of two numbers, without the other, compared with itself',
    said: '18: R0 min value is outside of the allowed memory range',
    why: LEARN_LESS,
  },
  {
    topic: 'words',
    rule: 'known bits and ranges together',
    variant: '<= 16',
    said: '6: frame pointer is read only',
    why: LEARN_LESS,
  },
  {
    topic: 'words',
    rule: 'known bits and ranges together',
    variant: '< 17',
    said: '6: frame pointer is read only',
    why: LEARN_LESS,
  },
]

/** Of which the log's remarks on precision are those of other builds of 6.18, by the same verdict. */
export const REMARKS_BY_BUILD: readonly Difference[] = [
  ...each({ why: '6.18.44 links no registers that nobody reads any more' }, [
    ['sections', 'both paths must have them alike', 'on'],
    ['sections', 'both paths must have them alike', 'off'],
    ['words', 'linked registers share bounds', 'r0'],
    ['words', 'links end with a change', 'r1 = r6'],
  ]),
  ...each({ why: 'older builds know nothing of swapped bytes' }, [
    ['scalar-bounds', 'byte swaps of constants', 'le16'],
    ['scalar-bounds', 'byte swaps of constants', 'be32'],
    ['scalar-bounds', 'a byte swap keeps its width', 'be32'],
  ]),
  ...['a resilient lock is given back', 'it may not be had', 'not without having it'].map((rule) => ({
    topic: 'sections',
    rule,
    why: KNOWN_RANGE,
  })),
  ...each({ why: KNOWN_RANGE }, [
    ['sections', 'several of them, in order', 'second]+8'],
    ['sections', 'the last one is given back first', 'second'],
    ['sections', 'not for programs that trace', 'sched_cls'],
  ]),
]

/** Differences that random programs (fuzz:verifier) have shown, by kernel. */
export interface FuzzedDifference {
  /** As the campaign calls it. */
  readonly what: string
  /** Of its kind: `here | Linux`. */
  readonly pattern: RegExp
  /** Of the program: only those that have it differ. */
  readonly code?: RegExp
  readonly below?: string
  readonly since?: string
  readonly why: string
}

export const FUZZED_DIFFERENCES: readonly FuzzedDifference[] = [
  {
    what: 'accepted here only',
    pattern: /^/,
    code: /= -[rw]\d/,
    below: '6.13',
    why: '6.12 knows nothing of negated numbers',
  },
  {
    what: 'accepted here only',
    pattern: /min value is outside of the allowed memory range/,
    code: /if ([rw]\d) \S+ \1 /,
    below: '6.19',
    why: "6.18.15, which virtual machines have, doesn't see that one of two numbers is left without the other, and that it is no less than itself",
  },
  {
    what: 'reason',
    pattern:
      /makes map_value pointer be out of bounds \| \S+ R\d min value is outside of the allowed memory range/,
    below: '6.19',
    why: '6.18.15 knows less of the bits of what is negative as 32 bits alone, and says it one step later',
  },
  {
    what: 'accepted here only',
    pattern: /unbounded memory access/,
    since: '7.2',
    why: '7.2 loses the bounds of pointers that were moved to the front by a number that it knows',
  },
  {
    what: 'accepted by Linux only',
    pattern: /^/,
    code: /[/%]=|if ([rw]\d) \S+ \1 /,
    since: '7.2',
    why: '7.2 knows ranges of quotients and remainders, and numbers that are compared with themselves',
  },
  {
    what: 'instructions processed',
    pattern: /^/,
    since: '6.18',
    below: '6.19',
    why: '6.18.15, which virtual machines have, finds the ends of some loops later than 6.18.44, whose counts are those here',
  },
]

/** Whether a difference is one of a kernel. @param release `uname -r` */
export const isIn = (
  release: string,
  { below, since }: { readonly below?: string; readonly since?: string },
): boolean =>
  (below === undefined || isOlderThan(release, below)) &&
  (since === undefined || !isOlderThan(release, since))

export function differenceIn<T extends Omit<Difference, 'why'>>(
  list: readonly T[],
  one: { readonly topic: string; readonly rule: string; readonly variant: string | undefined },
): T | undefined {
  return list.find(
    ({ topic, rule, variant }) =>
      topic === one.topic && rule === one.rule && (variant === undefined || variant === one.variant),
  )
}
