/** Tests that need Linux's bpf(): skipped where this process may not use it, unless REQUIRE_KERNEL=1 makes them fail. */
import { release } from 'node:os'
import { describe, type TestOptions } from 'vitest'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import { isOlderThan } from '../../lib/linux/release.js'
import { loadAddon } from '../../lib/native/addon.js'
import type { AddonFeature } from '../../lib/native/addon-types.js'
import { nativeKernel } from '../../lib/native/kernel.js'
import { checkPrivileges } from '../../lib/native/privileges.js'

/** Whether tests of the native kernel are to run: it is there, or it must be. */
export function nativeIsAllowed(): boolean {
  return (
    process.env['REQUIRE_KERNEL'] === '1' ||
    ('addon' in loadAddon() && checkPrivileges([BPF_PROG_TYPE.TRACING]).allowed)
  )
}

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
 * `describe` for tests that need Linux's bpf() as it is since a version. On older kernels they are skipped, under a title that
 * says so; from that version on, a missing feature fails them.
 *
 * @param version the Linux version that brought the youngest feature that the tests need: `5.14`
 */
export function describeSince(version: string): Describe {
  const isAllowed = nativeIsAllowed()
  const isTooOld = isAllowed && !linuxIsAtLeast(version)
  const suite = isAllowed && !isTooOld ? describe : describe.skip
  const note = isTooOld ? ` [needs Linux ${version}]` : ''
  return (title: string, first: TestOptions | (() => void), second?: () => void) => {
    const [options, tests] = typeof first === 'function' ? [{}, first] : [first, second]
    suite(title + note, options, tests)
  }
}

/** `describe` for tests that need Linux's bpf(), as far back as this library goes: to ring buffers. */
export const describeNative = describeSince('5.8')

/** Whether the kernel of this machine is of a version, or newer: `5.14`. */
export function linuxIsAtLeast(version: string): boolean {
  return !isOlderThan(release(), version)
}
