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
  {
    topic: 'global-functions',
    rule: "callers don't give NULL where there must be memory",
    variant: '0',
    why: 'Linux lets the constant through, and the function dereferences it unchecked: nobody may rely on that',
  },
]

/** Other kernels than 6.18. */
export const KERNEL_DIFFERENCES: readonly Difference[] = []

/** Differences that random programs (fuzz:verifier) have shown, by kernel. */
export interface FuzzedDifference {
  /** As the campaign calls it. */
  readonly what: string
  /** Of its kind: `here | Linux`. */
  readonly pattern: RegExp
  readonly below?: string
  readonly since?: string
  readonly why: string
}

export const FUZZED_DIFFERENCES: readonly FuzzedDifference[] = [
  {
    what: 'instructions processed',
    pattern: /^/,
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

export function differenceIn(
  list: readonly Difference[],
  one: { readonly topic: string; readonly rule: string; readonly variant: string | undefined },
): Difference | undefined {
  return list.find(
    ({ topic, rule, variant }) =>
      topic === one.topic && rule === one.rule && (variant === undefined || variant === one.variant),
  )
}
