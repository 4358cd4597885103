/**
 * Where a verdict isn't the one that the cases expect, which is that of Linux 6.18 and of the verifier here: by kernel and case, with the reason.
 * A difference that has gone fails too, so the list stays true.
 */

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

/** Other kernels than 6.18. */
export const KERNEL_DIFFERENCES: readonly Difference[] = []
