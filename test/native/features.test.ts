/** What the kernel says it has: against the tables, against what is known of this kernel, and for names that nobody knows. */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { describe, expect, it } from 'vitest'
import { features, introspect } from '../../lib/index.js'
import { HELPERS, helperAllowed } from '../../lib/linux/helpers.js'
import { MAP_TYPES } from '../../lib/linux/map-types.js'
import { PROGRAM_TYPES, programTypeByName } from '../../lib/linux/program-types.js'
import { isOlderThan } from '../../lib/linux/release.js'
import { helperSince } from '../../lib/linux/requirements.js'
import { patience } from '../support/patience.js'
import { describeNative, linuxIsAtLeast } from '../support/require-kernel.js'
import { thrownBy } from '../support/native.js'

/** Types that a kernel may refuse by policy, or that take options which distributions leave out. */
const MAY_BE_MISSING: ReadonlySet<string> = new Set(['lirc_mode2', 'ext', 'lsm', 'netfilter', 'xskmap', 'struct_ops'])
/** A table of helper by program type, as tab-separated 0 and 1: a truth from elsewhere for the running kernel. */
const MATRIX = process.env['HELPER_MATRIX']

describeNative('features of the kernel', { timeout: patience(30_000) }, () => {
  it('has the types of its version, and none that are younger', () => {
    const ask = features()
    const types = [
      ...PROGRAM_TYPES.map(({ name, since }) => ({ name, since, ...ask.programType(name) })),
      ...MAP_TYPES.map(({ name, since }) => ({ name, since, ...ask.mapType(name) })),
    ]
    const younger = types.filter(({ since }) => !linuxIsAtLeast(since))
    expect(younger.filter(({ answer, because, since }) => answer !== 'no' || because?.includes(since) !== true)).toEqual([])
    const older = types.filter(({ name, since }) => linuxIsAtLeast(since) && !MAY_BE_MISSING.has(name))
    expect(older.filter(({ answer }) => answer !== 'yes')).toEqual([])
    expect(older.length).toBeGreaterThan(40)
  })

  it('has no helper that is younger than it is', () => {
    const younger = HELPERS.filter(({ name }) => isOlderThan(release(), helperSince(name) ?? '0.0'))
    for (const { name } of younger) {
      for (const type of ['xdp', 'tracepoint', 'socket_filter', 'sched_cls']) {
        expect([name, type, features().helper(type, name).answer]).toEqual([name, type, 'no'])
      }
    }
  })

  it('tells helpers by program type, and by attach type where that counts', () => {
    const ask = features()
    expect(ask.helper('xdp', 'bpf_xdp_adjust_head')).toEqual({ answer: 'yes' })
    expect(ask.helper('socket_filter', 'xdp_adjust_head')).toMatchObject({ answer: 'no' })
    expect(ask.helper('cgroup_sock_addr', 'bind')).toEqual({ answer: 'yes' })
    expect(ask.helper('cgroup_sock_addr', 'bind', 'cgroup_udp4_recvmsg')).toMatchObject({ answer: 'no' })
  })

  it.runIf(release().startsWith('6.18.'))('agrees with the table of helpers, which is of this version', () => {
    const wrong: string[] = []
    for (const { name: type } of PROGRAM_TYPES) {
      if (features().programType(type).answer !== 'yes') continue
      for (const helper of HELPERS) {
        const expected = helperAllowed(helper, programTypeByName(type) ?? 0)
        const { answer, because = '' } = features().helper(type, helper.name)
        const anyAttachType = answer === 'yes' || because.includes('with attach type')
        if (answer !== 'unknown' && expected !== undefined && anyAttachType !== expected) wrong.push(`${type} ${helper.name}`)
      }
    }
    // What only fentry, fexit and fmod_ret programs have: the kernel may refuse those to everybody.
    const ofTrampolines = /^tracing (get_func_(arg|ret|arg_cnt|ip)|get_attach_cookie)$/
    // The verifier knows it in every tracing type, and then refuses the call in most.
    const getFuncIp = / get_func_ip$/
    expect(wrong.filter((one) => !ofTrampolines.test(one) && !getFuncIp.test(one))).toEqual([])
  })

  it.runIf(MATRIX !== undefined)('agrees with a table from elsewhere', () => {
    const [head = [], ...rows] = readFileSync(MATRIX ?? '', 'utf8').trim().split('\n').map((line) => line.split('\t'))
    const ours = rows.map(([id = '', helper = '']) => [
      id,
      helper,
      ...head.slice(2).map((type) => (features().helper(type, helper).answer === 'yes' ? '1' : '0')),
    ])
    expect(rows.length).toBeGreaterThan(200)
    expect(ours).toEqual(rows)
  })

  it('says why there is no attach type', () => {
    const ask = features()
    const option = ask.system().config?.['CONFIG_NETKIT']
    const expected = !linuxIsAtLeast('6.7') || option === 'n' ? 'no' : option === undefined ? 'unknown' : 'yes'
    const reason = linuxIsAtLeast('6.7') ? /CONFIG_NETKIT/ : /older/
    const { answer, because = '' } = ask.attachType('netkit_primary')
    expect([answer, because === '' || reason.test(because)]).toEqual([expected, true])
    // Without the configuration it can't be told whether an attach type that is known is switched on.
    const known = ask.system().config === undefined ? 'unknown' : 'yes'
    expect(ask.attachType('cgroup_inet_ingress').answer).toBe(known)
  })

  it('describes the machine and the process', () => {
    const { config, sysctls, capabilities, btf, mounts, ...rest } = features().system()
    expect(rest.release).toBe(release())
    expect(btf.answer).toBe('yes')
    expect(capabilities.effective).toContain('CAP_BPF')
    expect(capabilities.inUserNamespace).toBe(false)
    expect(config?.['CONFIG_BPF_SYSCALL'] ?? 'y').toBe('y')
    expect(sysctls['kernel.unprivileged_bpf_disabled']).toMatch(/^[012]$/)
    expect(sysctls['kernel.kptr_restrict']).toMatch(/^[012]$/)
    expect(mounts.every(({ path }) => path.startsWith('/'))).toBe(true)
  })

  it('leaves nothing behind', () => {
    // Of others, which may share this process, something may be there, and go meanwhile.
    const held = (kind: 'program' | 'map'): readonly number[] =>
      introspect().holders(kind).filter(({ pid }) => pid === process.pid).map(({ id }) => id)
    const before = { programs: new Set(held('program')), maps: new Set(held('map')) }
    features().helper('xdp', 'bpf_redirect_map')
    features().mapType('hash_of_maps')
    expect(held('program').filter((id) => !before.programs.has(id))).toEqual([])
    expect(held('map').filter((id) => !before.maps.has(id))).toEqual([])
  })
})

describe('features', () => {
  it('says which name was probably meant', () => {
    const ask = features()
    expect(thrownBy(() => ask.programType('xpd')).message).toMatch(/no program type 'xpd'.*xdp/)
    expect(thrownBy(() => ask.mapType('hashs')).message).toMatch(/no map type 'hashs'.*hash/)
    expect(thrownBy(() => ask.helper('xdp', 'bpf_lop')).message).toMatch(/no helper 'lop'.*loop/)
    expect(thrownBy(() => ask.attachType('tcx')).message).toMatch(/no attach type 'tcx'/)
    expect(thrownBy(() => ask.helper('cgroup_sockopt', 'bind', 'xdp')).message).toMatch(/attach type of cgroup_sockopt/)
  })
})
