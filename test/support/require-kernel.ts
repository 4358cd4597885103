/** Tests that need Linux's bpf(): skipped where this process may not use it, unless REQUIRE_KERNEL=1 makes them fail. */
import { release } from 'node:os'
import { describe, type TestOptions } from 'vitest'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import { loadAddon } from '../../lib/native/addon.js'
import { checkPrivileges } from '../../lib/native/privileges.js'

/** Whether tests of the native kernel are to run: it is there, or it must be. */
export function nativeIsAllowed(): boolean {
  return (
    process.env['REQUIRE_KERNEL'] === '1' ||
    ('addon' in loadAddon() && checkPrivileges([BPF_PROG_TYPE.TRACING]).allowed)
  )
}

type Describe = (title: string, ...rest: readonly [() => void] | readonly [TestOptions, () => void]) => void

/**
 * `describe` for tests that need Linux's bpf() as it is since a version. On older kernels they are skipped, under a title that
 * says so; from that version on, a missing feature fails them.
 *
 * @param version the Linux version that brought the youngest feature that the tests need: `5.14`
 */
export function describeSince(version: string): Describe {
  if (!nativeIsAllowed()) return describe.skip
  return isOlder(release(), version)
    ? (title, ...rest) => describe.skip(`${title} [needs Linux ${version}]`, ...(rest as [() => void]))
    : describe
}

/** `describe` for tests that need Linux's bpf(), as far back as this library goes: to ring buffers. */
export const describeNative = describeSince('5.8')

/** Whether a kernel's release (`uname -r`) comes before a version, by major and minor number. */
function isOlder(kernelRelease: string, version: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split('.').map((part) => Number.parseInt(part, 10))
  const [wantedMajor = 0, wantedMinor = 0] = version.split('.').map(Number)
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor)
}
