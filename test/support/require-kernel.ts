/** Tests that need Linux's bpf(): skipped where this process may not use it, unless REQUIRE_KERNEL=1 makes them fail. */
import { describe } from 'vitest'
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

/** `describe` for tests that need Linux's bpf(). */
export const describeNative = nativeIsAllowed() ? describe : describe.skip
