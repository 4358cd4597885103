/** Functions in which programs sleep, or whose results they change, on kernels that can inject errors: Debian's, which judge the cases, can't. */
import { expect, it } from 'vitest'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { parseCases } from './case-file.js'
import { programOf, verifierProgram } from './case-program.js'

const KERNEL = `
kernel int within_error_injection_list(u64 address)
kernel s64 __x64_sys_openat(struct pt_regs *regs)
kernel s64 __x64_sys_getpid(struct pt_regs *__unused)
kernel int bpf_fentry_test1(int a)
kernel int update_socket_protocol(int family)
kernel int __filemap_add_folio(struct folio *folio)
kernel s64 vfs_read(struct file *file)
kernel int security_file_open(struct file *file)`

function outcome(target: string, attach: string, flags: string): string {
  const [one] = parseCases(
    'kernel',
    `${KERNEL}\n## rule\ntype tracing\nattach ${attach}\nflags ${flags}\ntarget ${target}\n  r0 = 0\n  exit\naccepted`,
  )
  if (one === undefined) throw new Error('no case')
  const { accepted, reason } = verifyProgram(verifierProgram(programOf(one)))
  return accepted ? 'accepted' : (reason ?? '')
}

const NOT_KNOWN = /^UNSUPPORTED: .*whether errors may be injected isn't known$/

it.each([
  ['__x64_sys_openat', /^accepted$/],
  // A stub, or a call without arguments: BTF doesn't tell.
  ['__x64_sys_getpid', NOT_KNOWN],
  ['vfs_read', NOT_KNOWN],
  // What allows these isn't in this kernel.
  ['bpf_fentry_test1', NOT_KNOWN],
  ['update_socket_protocol', NOT_KNOWN],
])('programs in %s sleep, and change its result, if errors may be injected', (target, said) => {
  expect(outcome(target, 'TRACE_FENTRY', 'sleepable')).toMatch(said)
  expect(outcome(target, 'MODIFY_RETURN', 'sleepable')).toMatch(said)
  expect(outcome(target, 'MODIFY_RETURN', 'any_alignment')).toMatch(said)
})

it('some functions never sleep', () => {
  const target = '__filemap_add_folio'
  expect(outcome(target, 'TRACE_FENTRY', 'sleepable')).toBe(`${target} is not sleepable`)
})

it('results of security hooks are changed, but not asleep unless errors may be injected', () => {
  expect(outcome('security_file_open', 'MODIFY_RETURN', 'any_alignment')).toBe('accepted')
  expect(outcome('security_file_open', 'MODIFY_RETURN', 'sleepable')).toMatch(NOT_KNOWN)
})
