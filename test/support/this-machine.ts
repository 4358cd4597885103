/** What the machine that runs the tests is. */
import { release } from 'node:os'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import { isOlderThan } from '../../lib/linux/release.js'
import { loadAddon } from '../../lib/native/addon.js'
import { checkPrivileges } from '../../lib/native/privileges.js'

/** A virtual machine of scripts/test-vm.mjs. */
export const isVirtual = process.env['VM'] === '1'

/** The addon has sanitizers: scripts/test-sanitized.mjs. */
export const isSanitized = process.env['SANITIZED'] === '1'

/** Whether tests of the native kernel are to run: it is there, or it must be. */
export function nativeIsAllowed(): boolean {
  return (
    process.env['REQUIRE_KERNEL'] === '1' ||
    ('addon' in loadAddon() && checkPrivileges([BPF_PROG_TYPE.TRACING]).allowed)
  )
}

/** Whether the kernel of this machine is of a version, or newer: `5.14`. */
export function linuxIsAtLeast(version: string): boolean {
  return !isOlderThan(release(), version)
}
