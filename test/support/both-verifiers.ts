/** Both verifiers, asked the same: Linux's, and the fallback's with this machine's types. */
import { expect, it } from 'vitest'
import { verify, type ProgramVerdict } from '../../lib/index.js'
import type { KernelNeeds } from './kernel-needs.js'
import { requires } from './require-kernel.js'
import { linuxIsAtLeast } from './this-machine.js'

/** The fallback has the rules, counts and words of this release; of others only the verdict is compared. */
const RELEASE = '6.18'
const isExact = linuxIsAtLeast(RELEASE) && !linuxIsAtLeast('6.19')

export interface ComparedObject {
  /** Default: that release. */
  readonly needs?: KernelNeeds
  /** Of bpf/test. */
  readonly object: string
  readonly accepted: readonly string[]
  /** Of those, the ones whose instructions builds of this release count in their own ways. */
  readonly countedOtherwise?: readonly string[]
  /** Programs, and the reason for which Linux refuses them. */
  readonly refused: readonly (readonly [program: string, reason: RegExp])[]
}

/** Tests that both verifiers say the same of each program: the same verdict in the same words, at the same instruction, after as many. */
export function compareVerifiers(
  title: string,
  { needs = { since: RELEASE }, object, accepted, countedOtherwise = [], refused }: ComparedObject,
): void {
  const path = new URL(`../../bpf/test/${object}.bpf.o`, import.meta.url).pathname
  const judge = (kernel: 'native' | 'fallback', program: string): ProgramVerdict | undefined =>
    verify(path, { kernel, program })[0]

  requires(needs)(`${title}, judged by both verifiers`, () => {
    it.each(accepted)('%s is accepted by both, after as many instructions', (program) => {
      const linux = judge('native', program)
      expect(linux).toMatchObject({ accepted: true })
      expect(judge('fallback', program)).toMatchObject({
        accepted: true,
        ...(isExact && !countedOtherwise.includes(program) && { insnsProcessed: linux?.insnsProcessed }),
      })
    })

    it.each(refused)(
      '%s is refused by both, at the same instruction, in the same words',
      (program, reason) => {
        const linux = judge('native', program)
        const fallback = judge('fallback', program)
        expect([linux?.accepted, fallback?.accepted]).toEqual([false, false])
        expect(fallback?.reason).toMatch(reason)
        if (!isExact) return
        const { errno, insnsProcessed } = linux ?? {}
        expect(fallback).toMatchObject({ errno, insnsProcessed, reason: linux?.reason })
        expect(fallback?.explanation?.insn).toBe(linux?.explanation?.insn)
      },
    )
  })
}
