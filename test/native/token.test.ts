import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { findsToken } from '../../lib/native/token.js'
import { patience } from '../support/patience.js'
import { addonHas, describeSince } from '../support/require-kernel.js'

const HELPER = fileURLToPath(new URL('../support/with-token.pl', import.meta.url))
const CHILD = fileURLToPath(new URL('token-child.mjs', import.meta.url))

describeSince('6.9')('a BPF token', { timeout: patience(30_000) }, () => {
  it.runIf(addonHas('token'))('lets an object be loaded in a user namespace, which has no capability else (libbpf 1.4)', async () => {
    // dist/ is what `npm test` has built.
    const { stdout } = await promisify(execFile)('perl', [HELPER, '/mnt', process.execPath, CHILD, '/mnt'])
    const { byToken, byEnvironment, without, elsewhere, map, mapByEnvironment, mapWithout } = JSON.parse(stdout) as Record<string, string>
    expect([byToken, byEnvironment]).toEqual(['ran: 2, read: 2', 'ran: 2, read: 2'])
    expect(without).toMatch(/^NO_NATIVE_KERNEL: .*user namespace.*bpfTokenPath/)
    expect(elsewhere).toMatch(/^NO_NATIVE_KERNEL/)
    expect([map, mapByEnvironment]).toEqual(['read: 2, task_storage', 'read: 2, task_storage'])
    expect(mapWithout).toMatch(/^NO_NATIVE_KERNEL/)
  })
})

describe('the search for a BPF token', () => {
  const mounts = [
    'none / ext4 rw 0 0',
    'bpf /sys/fs/bpf bpf rw,nosuid,mode=700 0 0',
    'bpf /run/my\\040tokens bpf rw,relatime,delegate_cmds=any,delegate_progs=0x6 0 0',
  ].join('\n')

  it.each<[string, string | undefined, boolean]>([
    ['finds what is delegated', '/run/my tokens', true],
    ['takes a path as people write it', '/run/../run/my tokens/', true],
    ['passes over a file system that delegates nothing', '/sys/fs/bpf', false],
    ['passes over what is no mount point', '/run', false],
    ['is over where none is wanted', '', false],
    ['looks where libbpf looks', undefined, false],
  ])('%s', (_, path, found) => {
    expect(findsToken(path, mounts)).toBe(found)
  })
})
