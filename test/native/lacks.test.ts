/** The words for what a machine or process lacks, for every cause; and what is explained of an object before it is loaded. */
import { describe, expect, it } from 'vitest'
import { BpfError, explainPrivileges } from '../../lib/index.js'
import type { Capability } from '../../lib/linux/capabilities.js'
import { BPF_PROG_TYPE as P } from '../../lib/linux/program-types.js'
import { ATTACHMENTS, helperSince, mapRequirement, programRequirement, sectionRequirement } from '../../lib/linux/requirements.js'
import { HELPERS } from '../../lib/linux/helpers.js'
import { MAP_TYPES } from '../../lib/linux/map-types.js'
import { PROGRAM_TYPES } from '../../lib/linux/program-types.js'
import { SECTIONS } from '../../lib/linux/sections.js'
import { assertLsmRuns } from '../../lib/native/lsm.js'
import { capabilitySet, lacksOf, whyRefused, type Host } from '../../lib/native/lacks.js'
import { explainLoad, helperHint, withRequirement } from '../../lib/native/refusal.js'
import { objectPath } from '../support/kernels.js'

const ALL = ['CONFIG_INET', 'CONFIG_BPF_EVENTS', 'CONFIG_NETKIT', 'CONFIG_BPF_SYSCALL', 'CONFIG_NET', 'CONFIG_KPROBES', 'CONFIG_KPROBE_EVENTS']

const paranoid = (level: number | undefined): Partial<Host> => ({ sysctls: { paranoid: level, kptrRestrict: 0, unprivilegedBpfDisabled: 2 } })

function host(given: Partial<Host> = {}): Host {
  return {
    release: '6.12.0',
    options: new Map(ALL.map((name) => [name, 'y'])),
    effective: capabilitySet('CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'),
    inUserNamespace: false,
    policy: { modules: ['lockdown', 'apparmor', 'bpf'], lockdown: 'none', seccomp: false, noNewPrivileges: false },
    sysctls: { paranoid: 2, kptrRestrict: 0, unprivilegedBpfDisabled: 2 },
    folders: { tracefs: 'there', cgroup2: 'there', bpffs: 'there' },
    ...given,
  }
}

describe('why something was refused', () => {
  const { netkit } = ATTACHMENTS

  it('names the capability', () => {
    const poor = host({ effective: capabilitySet('CAP_BPF') })
    expect(whyRefused('netkit', netkit, 'EPERM', poor)).toBe('netkit: CAP_NET_ADMIN is missing')
  })

  it('takes CAP_SYS_ADMIN for all of them, and for nothing else before Linux 5.8', () => {
    expect(lacksOf(netkit, host({ effective: capabilitySet('CAP_SYS_ADMIN') })).capabilities).toEqual([])
    const old = host({ release: '5.4.0' })
    expect(lacksOf(ATTACHMENTS.kprobe, old).capabilities).toEqual(['CAP_SYS_ADMIN'])
  })

  it('names the version, and before it any option', () => {
    expect(whyRefused('netkit', netkit, 'EINVAL', host({ release: '6.1.0-30-cloud-amd64' }))).toBe(
      'netkit: Linux has it since 6.7, and this is 6.1.0-30-cloud-amd64',
    )
    expect(whyRefused('netkit', netkit, 'EINVAL', host({ options: new Map() }))).toBe(
      'netkit: this kernel was built without CONFIG_NETKIT',
    )
    expect(whyRefused('netkit', netkit, 'EINVAL', host({ options: undefined }))).toBeUndefined()
  })

  it('suspects the security policy when nothing is missing', () => {
    const reason = (given: Partial<Host>) => whyRefused('LSM', ATTACHMENTS.netkit, 'EPERM', host(given))
    expect(reason({})).toMatch(/the capabilities are there.*security module apparmor/)
    const locked = { modules: undefined, lockdown: 'integrity', seccomp: true, noNewPrivileges: false }
    expect(reason({ policy: locked })).toMatch(/kernel lockdown \(integrity\), the seccomp filter/)
    expect(reason({ inUserNamespace: true })).toMatch(/user namespace only.*token/)
  })

  it('names the sysctl with which Debian keeps perf events from all but root', () => {
    const reason = (given: Partial<Host>) => whyRefused('kprobe', ATTACHMENTS.kprobe, 'EACCES', host(given))
    expect(reason(paranoid(3))).toBe(
      'kprobe: kernel.perf_event_paranoid is 3, with which this kernel wants CAP_SYS_ADMIN: sysctl kernel.perf_event_paranoid=2, or grant CAP_SYS_ADMIN',
    )
    expect(reason(paranoid(2))).toMatch(/security policy/)
    expect(reason(paranoid(undefined))).toMatch(/security policy/)
    expect(whyRefused('netkit', netkit, 'EPERM', host(paranoid(3)))).toMatch(/security policy/)
  })

  it('says nothing where the requirement explains nothing', () => {
    expect(whyRefused('netkit', netkit, 'EINVAL', host())).toBeUndefined()
    const error = new BpfError('EINVAL', 'program x: failed', { hint: 'Old hint', errno: 22, call: 'bpf' })
    expect(withRequirement(error, 'netkit', netkit, host())).toBe(error)
  })

  it('takes the place of a hint that knows less', () => {
    const error = new BpfError('EPERM', 'program x: failed', { hint: 'Old hint', errno: 1, call: 'bpf' })
    const better = withRequirement(error, 'netkit', netkit, host({ effective: 0n }))
    expect(better.message).toBe('program x: failed. netkit: CAP_NET_ADMIN is missing')
    expect(better).toMatchObject({ code: 'EPERM', errno: 1, call: 'bpf' })
  })
})

describe('why an object was not loaded', () => {
  const refused = (subject: string, code: string) => new BpfError(code, `${subject}: bpf_object__load failed: … (${code})`, { errno: 1 })

  it('is told by the type of the program, or of the map', () => {
    const programs = [{ name: 'drop', type: P.XDP }]
    const maps = [{ name: 'pages', type: 33 }]
    expect(explainLoad(refused("program 'drop'", 'EPERM'), programs, maps, host({ effective: 0n }))?.hint).toBe(
      'programs of type xdp: CAP_BPF and CAP_NET_ADMIN are missing',
    )
    expect(explainLoad(refused("map 'pages'", 'EINVAL'), programs, maps, host({ release: '6.1.0' }))?.hint).toBe(
      'maps of type arena: Linux has it since 6.9, and this is 6.1.0',
    )
    expect(explainLoad(refused("program 'other'", 'EPERM'), programs, maps, host())).toBeUndefined()
  })

  it('is told by the helper that the verifier refused', () => {
    expect(helperHint('unknown func bpf_loop#181', host({ release: '5.10.0' }))).toBe('bpf_loop() is in Linux since 5.17, and this is 5.10.0')
    expect(helperHint('invalid func unknown#181', host({ release: '5.10.0' }))).toMatch(/bpf_loop\(\) is in Linux since 5.17/)
    expect(helperHint('program of this type cannot use helper bpf_redirect#23', host({ release: '6.12.0' }))).toMatch(/bpf_redirect\(\) is not for/)
    const locked = { modules: undefined, lockdown: 'confidentiality', seccomp: false, noNewPrivileges: false }
    expect(helperHint('program of this type cannot use helper bpf_probe_read_kernel#113', host({ policy: locked }))).toMatch(
      /^bpf_probe_read_kernel\(\): kernel lockdown \(confidentiality\)/,
    )
    expect(helperHint('R1 invalid mem access', host({ release: '6.12.0' }))).toBeUndefined()
  })
})

describe('the table of requirements', () => {
  it('knows every program type, map type and helper', () => {
    for (const { type, since } of PROGRAM_TYPES) expect(programRequirement(type)).toMatchObject({ since })
    for (const { type, since } of MAP_TYPES) expect(mapRequirement(type)).toMatchObject({ since })
    for (const { name } of HELPERS) expect(helperSince(name)).toMatch(/^[3-6]\.\d+$/)
    expect(helperSince('bpf_loop')).toBe('5.17')
    expect(helperSince('nothing')).toBeUndefined()
  })

  it('knows what every SEC() name is attached as, save those that are attached to nothing', () => {
    const nowhere = SECTIONS.filter(({ prefix }) => sectionRequirement(prefix) === undefined).map(({ prefix }) => prefix)
    expect(nowhere).toEqual(['syscall'])
  })
})

describe('explainPrivileges()', () => {
  it('tells programs that load from those that do not, and what to grant', () => {
    const agent = host({ effective: capabilitySet('CAP_BPF', 'CAP_PERFMON') })
    const { programs, maps, missing, needs, grant } = explainPrivileges(objectPath('test/program_run'), agent)
    const loads = Object.fromEntries(programs.map(({ name, loads: { answer } }) => [name, answer]))
    expect(loads).toMatchObject({ xdp_context: 'no', skb_context: 'no', filter: 'yes', answer: 'yes', lookup: 'yes' })
    expect(programs.find(({ name }) => name === 'xdp_context')?.loads.because).toBe('xdp: CAP_NET_ADMIN is missing')
    expect(programs.find(({ name }) => name === 'answer')?.attaches).toBeUndefined()
    expect(maps.every(({ loads: { answer } }) => answer === 'yes')).toBe(true)
    expect(missing).toEqual(['CAP_NET_ADMIN'])
    expect(needs).toEqual(['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'])
    expect(grant).toEqual({
      setcap: 'setcap cap_bpf,cap_perfmon,cap_net_admin=ep ./node',
      systemd: 'AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_NET_ADMIN\nCapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_NET_ADMIN\n',
      kubernetes: 'securityContext:\n  capabilities:\n    add: [BPF, PERFMON, NET_ADMIN]\n',
      docker: '--cap-add BPF --cap-add PERFMON --cap-add NET_ADMIN',
    })
  })

  describe('of machines with policies', () => {
    const policy = (lockdown: string, modules: readonly string[] = ['lockdown', 'bpf']): Partial<Host> => ({
      policy: { modules, lockdown, seccomp: false, noNewPrivileges: false },
    })
    /** Which programs load and attach, and the reasons of those that don't. */
    function judged(given: Partial<Host>) {
      const options = new Map([...ALL, 'CONFIG_BPF_LSM', 'CONFIG_DEBUG_INFO_BTF', 'CONFIG_CGROUP_BPF'].map((name) => [name, 'y']))
      const { programs, obstacles } = explainPrivileges(objectPath('test/conditions'), host({ options, ...given }))
      const answers = Object.fromEntries(
        programs.map(({ name, loads, attaches }) => [name, `${loads.answer} ${attaches?.answer} ${loads.because ?? attaches?.because ?? ''}`.trim()]),
      )
      return { answers, obstacles }
    }

    it('says nothing where there is nothing to say', () => {
      const { answers, obstacles } = judged({ effective: capabilitySet('CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN', 'CAP_SYSLOG') })
      expect(new Set(Object.values(answers))).toEqual(new Set(['yes yes']))
      expect(obstacles).toEqual([])
    })

    it('names lockdown, which takes helpers away, and with confidentiality kprobes too', () => {
      const { answers } = judged(policy('integrity'))
      expect(answers).toMatchObject({ reads_kernel: 'yes yes', on_open: 'yes yes' })
      expect(answers['writes_user']).toBe('no no raw_tracepoint: kernel lockdown (integrity) lets no program write to the memory of processes')
      const { answers: all, obstacles } = judged(policy('confidentiality'))
      // Also in a function that the program calls.
      expect(all['reads_kernel']).toBe('no no raw_tracepoint: kernel lockdown (confidentiality) lets no program read the memory of the kernel')
      expect(all['on_open']).toBe('yes no attaching on_open: kernel lockdown (confidentiality) allows no kprobes')
      expect(all['for_everybody']).toBe('yes yes')
      expect(obstacles.map(({ remedy }) => remedy)).toContainEqual(expect.stringContaining('Secure Boot'))
    })

    it('names security modules of which bpf is none', () => {
      const { answers, obstacles } = judged(policy('none', ['lockdown', 'yama', 'apparmor']))
      expect(answers['on_file_open']).toBe(
        'yes no attaching on_file_open: bpf is not among the active security modules, which are lockdown, yama, apparmor',
      )
      expect(obstacles.map(({ remedy }) => remedy)).toContainEqual(expect.stringContaining("'lsm=…,bpf'"))
    })

    it('attaches no LSM program that would never run', () => {
      const lsm = { name: 'guard', section: 'lsm/file_open', type: P.LSM }
      const at = (modules: readonly string[] | undefined) => () => ({ ...host(), ...policy('none', modules) })
      expect(() => assertLsmRuns(lsm, at(['lockdown', 'yama']))).toThrow(/'guard' \(lsm\/file_open\): it would never run.*lockdown, yama\. It takes 'lsm=/)
      expect(() => assertLsmRuns(lsm, at(['lockdown', 'bpf']))).not.toThrow()
      expect(() => assertLsmRuns(lsm, () => host({ policy: { ...host().policy, modules: undefined } }))).not.toThrow()
      expect(() => assertLsmRuns({ ...lsm, type: P.XDP }, at(['yama']))).not.toThrow()
    })

    it('names the sysctls that hide addresses', () => {
      const remedyAt = (kptrRestrict: number, level: number, ...capabilities: readonly Capability[]) =>
        judged({
          effective: capabilitySet('CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN', ...capabilities),
          sysctls: { paranoid: level, kptrRestrict, unprivilegedBpfDisabled: 2 },
        }).obstacles[0]?.remedy
      expect(remedyAt(0, 1)).toBeUndefined()
      expect(remedyAt(0, 2)).toMatch(/CAP_SYSLOG/)
      expect(remedyAt(1, 1, 'CAP_SYSLOG')).toBeUndefined()
      expect(remedyAt(2, 1, 'CAP_SYSLOG')).toBe('sysctl kernel.kptr_restrict=1')
      expect(remedyAt(2, 1)).toBe('sysctl kernel.kptr_restrict=1, and grant CAP_SYSLOG')
    })
  })

  it('tells what an old kernel lacks', () => {
    const old = host({ release: '5.10.0', effective: capabilitySet('CAP_SYS_ADMIN') })
    const { programs, missing } = explainPrivileges(objectPath('test/program_run'), old)
    expect(missing).toEqual([])
    expect(programs.find(({ name }) => name === 'answer')?.loads).toEqual({
      answer: 'no',
      because: 'syscall: Linux has it since 5.14, and this is 5.10.0',
    })
  })
})
