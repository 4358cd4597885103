import { describe, expect, it } from 'vitest'
import { errno } from '../../lib/linux/errno.js'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import { checkPrivileges, parseEffectiveCapabilities, type Situation } from '../../lib/native/privileges.js'

const CAP_BPF = 1n << 39n
const CAP_PERFMON = 1n << 38n
const CAP_SYS_ADMIN = 1n << 21n

function situation(given: Partial<Situation>): Situation {
  return { effective: 0n, unprivilegedBpfDisabled: 2, inUserNamespace: false, probe: errno('EPERM'), ...given }
}

describe('privileges', () => {
  it('are read from the effective set', () => {
    expect(parseEffectiveCapabilities('Name:\tnode\nCapPrm:\t0\nCapEff:\t000001ffffffffff\n')).toBe(0x1ffffffffffn)
    expect(parseEffectiveCapabilities('')).toBe(0n)
  })

  it('lack CAP_BPF, and say that the sysctl has its part in it', () => {
    const { allowed, missing, hint } = checkPrivileges([], situation({}))
    expect({ allowed, missing }).toEqual({ allowed: false, missing: ['CAP_BPF'] })
    expect(hint).toContain('unprivileged_bpf_disabled is 2')
  })

  it('lack what a program type needs beside CAP_BPF', () => {
    const { missing, reason } = checkPrivileges(
      [BPF_PROG_TYPE.TRACEPOINT, BPF_PROG_TYPE.XDP],
      situation({ effective: CAP_BPF | CAP_PERFMON, probe: 0 }),
    )
    expect(missing).toEqual(['CAP_NET_ADMIN'])
    expect(reason).toContain('xdp')
    expect(reason).not.toContain('tracepoint')
  })

  it('are complete with the capabilities of the type, or CAP_SYS_ADMIN', () => {
    for (const effective of [CAP_BPF | CAP_PERFMON, CAP_SYS_ADMIN]) {
      expect(checkPrivileges([BPF_PROG_TYPE.TRACING], situation({ effective, probe: 0 })).allowed).toBe(true)
    }
  })

  it('tell a denial in spite of CAP_BPF, and in a user namespace', () => {
    const denied = checkPrivileges([], situation({ effective: CAP_BPF }))
    expect(denied).toMatchObject({ allowed: false, missing: [] })
    expect(denied.hint).toContain('seccomp')
    const inside = checkPrivileges([], situation({ effective: CAP_BPF, inUserNamespace: true }))
    expect(inside.reason).toContain('user namespace')
  })

  it('tell a kernel without bpf()', () => {
    expect(checkPrivileges([], situation({ effective: CAP_BPF, probe: errno('ENOSYS') })).reason).toContain('no bpf()')
  })

  it('allow everybody what kernel.unprivileged_bpf_disabled=0 allows', () => {
    const everybody = situation({ unprivilegedBpfDisabled: 0, probe: 0 })
    expect(checkPrivileges([BPF_PROG_TYPE.SOCKET_FILTER], everybody).allowed).toBe(true)
    expect(checkPrivileges([BPF_PROG_TYPE.KPROBE], everybody).allowed).toBe(false)
  })
})
