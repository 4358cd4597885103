/** What a refused attach to a network, cgroup or socket is told as: on machines that lack something, which are made up. */
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { capabilitySet, type Host } from '../../lib/native/lacks.js'
import { explainNetworkFailure, type NetworkPlace } from '../../lib/native/network-failure.js'

const ALL = capabilitySet('CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON', 'CAP_SYS_ADMIN')
const host = (facts: Partial<Host> = {}): Host => ({
  release: '6.18.0',
  options: undefined,
  effective: ALL,
  inUserNamespace: false,
  policy: { modules: undefined, lockdown: 'none', seccomp: false, noNewPrivileges: false },
  sysctls: { paranoid: 2, kptrRestrict: 0, unprivilegedBpfDisabled: 2 },
  folders: { tracefs: 'there', cgroup2: 'there', bpffs: 'there' },
  ...facts,
})
const program = { name: 'p', section: 'tc', id: 1, type: 3, expectedAttachType: 0, tag: '', log: '' }
const tcx: NetworkPlace = { kind: 'tcx', target: 'eth0 ingress (tcx)' }

function explained(code: string, errno: number, place: NetworkPlace, machine: Host): BpfError {
  const raw = new BpfError(code, 'raw', { errno, call: 'bpf(BPF_LINK_CREATE)' })
  const better = explainNetworkFailure(raw, program, place, machine)
  if (better instanceof BpfError) return better
  throw new Error('no BpfError')
}

describe('a refused attach', () => {
  it('names program, place, call and errno', () => {
    const { message, call, errno } = explained('ESTALE', 116, tcx, host())
    expect(message).toMatch(
      /^program 'p' of SEC\("tc"\) cannot be attached to eth0 ingress \(tcx\): bpf\(BPF_LINK_CREATE\) failed: .*\(ESTALE\)\. The list of programs has changed/,
    )
    expect([call, errno]).toEqual(['bpf(BPF_LINK_CREATE)', 116])
  })

  it('names the Linux version that has it, on an older one', () => {
    expect(explained('EINVAL', 22, tcx, host({ release: '6.1.0' })).hint).toBe('tcx: Linux has it since 6.6, and this is 6.1.0')
  })

  it('names the option that is off', () => {
    const options = new Map([['CONFIG_NET', 'y']])
    const netkit: NetworkPlace = { kind: 'netkit', target: 'eth0 primary (netkit)' }
    expect(explained('EINVAL', 22, netkit, host({ options })).hint).toContain('without CONFIG_NETKIT')
  })

  it('names the capability that is missing, and else what is wrong with the place', () => {
    const cgroup: NetworkPlace = { kind: 'cgroup', target: 'cgroup /x' }
    const effective = capabilitySet('CAP_BPF')
    expect(explained('EPERM', 1, cgroup, host({ effective })).hint).toContain('CAP_NET_ADMIN is missing')
    expect(explained('EPERM', 1, cgroup, host()).hint).toContain('exclusively')
  })

  it('leaves other errors alone', () => {
    const other = new TypeError('other')
    expect(explainNetworkFailure(other, program, tcx, host())).toBe(other)
  })
})
