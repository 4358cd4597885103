/** Tests that need Linux's bpf(): skipped where this process may not use it, unless REQUIRE_KERNEL=1 makes them fail. */
import { describe, type TestOptions } from 'vitest'
import type { AddonFeature } from '../../lib/native/addon-types.js'
import { nativeKernel } from '../../lib/native/kernel.js'
import { missingHere, type KernelNeeds } from './kernel-needs.js'
import { nativeIsAllowed } from './this-machine.js'

export { linuxIsAtLeast, nativeIsAllowed } from './this-machine.js'

/** Whether the addon was built with a libbpf that has what a test needs. */
export function addonHas(feature: AddonFeature): boolean {
  return nativeIsAllowed() && nativeKernel().facts.features[feature]
}

/** The Linux version that brought programs of type `syscall`, which tests run on demand. */
export const SYSCALL_PROGRAMS = '5.14'

interface Describe {
  (title: string, tests: () => void): void
  (title: string, options: TestOptions, tests: () => void): void
}

/**
 * `describe` for tests that need a Linux of a version, with options of its configuration. Where one of them is missing, the tests are
 * skipped, under a title that says which; where all are there, a missing feature fails them.
 *
 *     requires({ since: '5.18', config: ['FPROBE'] })('kprobe.multi', () => …)
 */
export function requires(needs: KernelNeeds): Describe {
  const missing = missingHere(needs)
  const suite = missing === undefined ? describe : describe.skip
  const note = missing === undefined ? '' : ` [${missing}]`
  return (title: string, first: TestOptions | (() => void), second?: () => void) => {
    const [options, tests] = typeof first === 'function' ? [{}, first] : [first, second]
    suite(title + note, options, tests)
  }
}

/**
 * `describe` for tests that need Linux's bpf() as it is since a version.
 *
 * @param version the Linux version that brought the youngest feature that the tests need: `5.14`
 */
export const describeSince = (version: string): Describe => requires({ since: version })

/** `describe` for tests that need Linux's bpf(), as far back as this library goes: to ring buffers. */
export const describeNative = describeSince('5.8')
