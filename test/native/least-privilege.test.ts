/** What works with few capabilities, and what is said of the rest: in processes under setpriv(1). */
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { explainPrivileges, type PrivilegeReport } from '../../lib/index.js'
import { TestCgroup } from '../support/cgroup.js'
import { AGENT, hasSetpriv, runAs, type Refusal } from '../support/few-privileges.js'
import { missingHere, type KernelNeeds } from '../support/kernel-needs.js'
import { objectPath } from '../support/kernels.js'
import { patience } from '../support/patience.js'
import { plainEnvironment } from '../support/plain-environment.js'
import { describeSince, linuxIsAtLeast, nativeIsAllowed, requires } from '../support/require-kernel.js'

const CHILD = fileURLToPath(new URL('privileges-child.mjs', import.meta.url))

const run = <T>(capabilities: readonly string[], ...scenario: readonly string[]): Promise<T> =>
  runAs<T>({ capabilities }, ...scenario)

describeSince('5.18')('with CAP_BPF and CAP_PERFMON alone', { timeout: patience(30_000) }, () => {
  describe.runIf(hasSetpriv)('a process', () => {
    it('traces, and reads what it traced; looks at its own programs, and not for others by id', async () => {
      const { name, path, listing } = await run<{ name: string; path: string; listing: Refusal }>(AGENT, 'agent')
      expect({ name, path }).toEqual({ name: 'handle_exec', path: expect.stringContaining('true') })
      expect(listing).toMatchObject({ code: 'EPERM', message: expect.stringContaining('CAP_SYS_ADMIN is needed') })
    })

    it.runIf(linuxIsAtLeast('6.6'))('probes its own libc, and walks over tasks', async () => {
      const { runs, seen } = await run<{ runs: number; seen: boolean }>(AGENT, 'probes')
      expect(runs).toBeGreaterThan(0)
      expect(seen).toBe(true)
    })

    it.each([
      ['program_run', 'filter'],
      ['program_run', 'lookup'],
      ['program_run', 'on_cpu'],
      ['program_run', 'answer'],
      ['network', 'on_socket_filter'],
    ])('loads %s: %s', async (object, program) => {
      expect(await run(AGENT, 'load', object, program)).toBe('done')
    })

    it('runs a program on demand', async () => {
      expect(await run(AGENT, 'run')).toBe(50)
    })

    it('is told what single user probes take, and what does with less', async () => {
      const answers = await run<Record<string, Refusal>>(AGENT, 'attach', 'uprobe')
      expect(answers['uprobe']).toMatchObject({ code: 'EACCES', message: expect.stringMatching(/CAP_SYS_ADMIN is missing.*uprobe\.multi/) as string })
    })

    it('is told which capability it lacks for networks', async () => {
      const refusal = await run<Refusal>(AGENT, 'load', 'network', 'on_xdp')
      expect(refusal.code).toBe('EPERM')
      expect(refusal.message).toMatch(/programs of type xdp: CAP_NET_ADMIN is missing$/)
    })

    it('is told so before it tries', async () => {
      const { programs, missing } = await run<PrivilegeReport>(AGENT, 'explain', 'test/network')
      expect(missing).toEqual(['CAP_NET_ADMIN'])
      const answers = new Map(programs.map(({ name, loads }) => [name, loads.answer]))
      expect([answers.get('on_xdp'), answers.get('on_socket_filter')]).toEqual(['no', 'yes'])
    })

    it('can tell features, save of what it may not load', async () => {
      expect(await run(AGENT, 'features')).toMatchObject({
        xdp: { answer: 'unknown', because: 'programs of type xdp: CAP_NET_ADMIN is missing' },
        tracing: { answer: 'yes' },
        ringbuf: { answer: 'yes' },
        loop: { answer: 'yes' },
        capabilities: ['CAP_PERFMON', 'CAP_BPF'],
      })
    })
  })
})

describeSince('5.18')('with CAP_NET_ADMIN beside CAP_BPF', { timeout: patience(30_000) }, () => {
  it.runIf(hasSetpriv).each([
    ['network', 'on_tc'],
    ['cgroup', 'on_egress'],
  ])('a process loads %s: %s', async (object, program) => {
    expect(await run(['bpf', 'net_admin'], 'load', object, program)).toBe('done')
  })

  it.runIf(hasSetpriv)('a process is told that tracing takes CAP_PERFMON', async () => {
    const refusal = await run<Refusal>(['bpf', 'net_admin'], 'load', 'program_run', 'on_cpu')
    expect(refusal.message).toMatch(/programs of type raw_tracepoint: CAP_PERFMON is missing$/)
  })
})

/** What attaches with which capabilities alone, and from which Linux on. */
const ATTACHES: readonly (readonly [name: string, needs: KernelNeeds])[] = [
  ['raw_tp', { since: '5.18' }],
  ['tp_btf', { since: '5.18' }],
  ['iter', { since: '5.18' }],
  ['perf_event', { since: '5.18', config: ['PERF_EVENTS'] }],
  ['uprobe.multi', { since: '6.6', config: ['UPROBES'] }],
  ['kprobe', { since: '5.18', config: ['KPROBES'] }],
  ['fentry', { since: '5.18', machine: true }],
  ['fexit', { since: '5.18', machine: true }],
  ['socket filter', { since: '5.18' }],
]
const ATTACHES_TO_NETWORKS: typeof ATTACHES = [
  ['xdp', { since: '5.18' }],
  ['xdp by netlink', { since: '5.18' }],
  ['clsact', { since: '5.18' }],
  ['tcx', { since: '6.6', config: ['NET_XGRESS'] }],
  ['netfilter', { since: '6.4', config: ['NETFILTER_BPF_LINK'] }],
  ['sk_lookup', { since: '5.18' }],
  ['flow_dissector', { since: '5.18' }],
  ['lwt', { since: '5.18', config: ['LWTUNNEL_BPF'] }],
  ['sk_msg', { since: '5.18', config: ['BPF_STREAM_PARSER'] }],
  ['sk_skb verdict', { since: '5.18', config: ['BPF_STREAM_PARSER'] }],
  ['cgroup', { since: '5.18', config: ['CGROUP_BPF'] }],
]

describe.each([
  ['CAP_BPF and CAP_PERFMON', AGENT, ATTACHES],
  ['CAP_BPF and CAP_NET_ADMIN', ['bpf', 'net_admin'], ATTACHES_TO_NETWORKS],
] as const)('with %s alone, without CAP_SYS_RESOURCE', (_, capabilities, rows) => {
  let answers: Promise<Readonly<Record<string, string | Refusal>>>
  let cgroup: TestCgroup
  beforeAll(() => {
    if (!hasSetpriv || !nativeIsAllowed()) return
    cgroup = new TestCgroup()
    const here = rows.filter(([, needs]) => missingHere(needs) === undefined).map(([name]) => name)
    answers = run(capabilities, 'attach', here.join(','), cgroup.path)
  })
  afterAll(() => cgroup?.[Symbol.asyncDispose]())

  for (const [name, needs] of rows) {
    requires(needs)(name, { timeout: patience(60_000) }, () => {
      it.runIf(hasSetpriv)('is attached', async () => {
        expect((await answers)[name]).toBe('done')
      })
    })
  }
})

describeSince('5.18')('tracepoints', { timeout: patience(30_000) }, () => {
  it.runIf(hasSetpriv)('take a tracefs that the process may read, beside CAP_BPF and CAP_PERFMON', async () => {
    const prepare = 'mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing'
    expect(await runAs({ capabilities: [...AGENT, 'dac_read_search'], prepare }, 'attach', 'tracepoint')).toEqual({ tracepoint: 'done' })
  })
})

/** Sets a sysctl of the machine while an action goes on. */
async function withSysctl<T>(name: string, value: string, action: () => Promise<T>): Promise<T> {
  const file = `/proc/sys/${name.replaceAll('.', '/')}`
  const before = readFileSync(file, 'utf8')
  writeFileSync(file, value)
  try {
    return await action()
  } finally {
    writeFileSync(file, before)
  }
}

/** Debian's kernels alone have this level: Linux takes it for 2. */
requires({ since: '5.18', machine: true, config: ['PERF_EVENTS', 'KPROBES'] })('kernel.perf_event_paranoid at 3', { timeout: patience(60_000) }, () => {
  it.runIf(hasSetpriv)('keeps probes and perf events from an agent, which is told so, before and after', async () => {
    await withSysctl('kernel.perf_event_paranoid', '3', async () => {
      const { programs, missing, obstacles } = await run<PrivilegeReport>(AGENT, 'explain', 'test/conditions')
      const because = /kernel\.perf_event_paranoid is 3/
      for (const name of ['on_open', 'on_fork'])
        expect(programs.find((one) => one.name === name)?.conditions.map(({ holds }) => holds.because)).toContainEqual(expect.stringMatching(because))
      expect(programs.find(({ name }) => name === 'on_open')?.attaches).toMatchObject({ answer: 'no', because: expect.stringMatching(because) as string })
      // Of a cgroup's program: no capability does for the others.
      expect(missing).toEqual(['CAP_NET_ADMIN'])
      expect(obstacles.map(({ remedy }) => remedy)).toContainEqual(expect.stringContaining('sysctl kernel.perf_event_paranoid=2'))
      const answers = await run<Record<string, string | Refusal>>(AGENT, 'attach', 'kprobe,perf_event,raw_tp')
      for (const name of ['kprobe', 'perf_event'])
        expect(answers[name]).toMatchObject({ code: 'EACCES', message: expect.stringMatching(/sysctl kernel\.perf_event_paranoid=2/) as string })
      expect(answers['raw_tp']).toBe('done')
    })
  })
})

requires({ since: '5.18', machine: true })('kernel.unprivileged_bpf_disabled at 0', { timeout: patience(60_000) }, () => {
  it.runIf(hasSetpriv)('lets everybody load socket filters, as is said before', async () => {
    await withSysctl('kernel.unprivileged_bpf_disabled', '0', async () => {
      const { programs } = await run<PrivilegeReport>([], 'explain', 'test/conditions')
      const loads = Object.fromEntries(programs.map(({ name, loads: { answer } }) => [name, answer]))
      expect(loads).toMatchObject({ for_everybody: 'yes', of_cgroup: 'yes', on_open: 'no' })
    })
  })
})

describeSince('5.18')('the line for setcap', { timeout: patience(60_000) }, () => {
  it.runIf(hasSetpriv && spawnSync('setcap', ['-h']).error === undefined)('lets a copy of node do what it was said to be for', async () => {
    const { grant, missing } = explainPrivileges(objectPath('test/program_run'))
    const folder = mkdtempSync(join(tmpdir(), 'node-with-capabilities-'))
    try {
      chmodSync(folder, 0o755)
      copyFileSync(process.execPath, join(folder, 'node'))
      execFileSync('sh', ['-c', grant.setcap], { cwd: folder })
      const user = ['--reuid', '1000', '--regid', '1000', '--clear-groups', '--inh-caps', '-all', join(folder, 'node')]
      const options = { timeout: patience(40_000), env: plainEnvironment() }
      const { stdout } = await promisify(execFile)('setpriv', [...user, CHILD, 'run'], options)
      expect({ answer: JSON.parse(stdout) as unknown, missing }).toEqual({ answer: 50, missing: [] })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describeSince('5.18')('without capabilities', { timeout: patience(30_000) }, () => {
  it.runIf(hasSetpriv)('a process gets the fallback, or an error that names all that is missing', async () => {
    expect(await run([], 'auto')).toBe('fallback')
    const refusal = await run<Refusal>([], 'load', 'network', 'on_xdp')
    expect(refusal).toMatchObject({ code: 'NO_NATIVE_KERNEL', message: expect.stringMatching(/CAP_BPF and CAP_NET_ADMIN/) })
  })

  it.runIf(hasSetpriv)('a process can still ask, and is told what stands in the way', async () => {
    expect(await run([], 'features')).toMatchObject({
      tracing: { answer: 'unknown', because: 'programs of type tracing: CAP_BPF and CAP_PERFMON are missing' },
      ringbuf: { answer: 'unknown', because: expect.stringMatching(/^maps of type ringbuf: CAP_BPF is missing/) as string },
      capabilities: [],
    })
  })
})
