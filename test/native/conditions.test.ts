/** What a process is told of the machine's mounts, sysctls and security modules, and that it is so: in processes under setpriv(1). */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Explanation, PrivilegeReport } from '../../lib/index.js'
import { AGENT, hasSetpriv, runAs, type Refusal, type Surroundings } from '../support/few-privileges.js'
import { patience } from '../support/patience.js'
import { describeSince } from '../support/require-kernel.js'
import { isVirtual } from '../support/this-machine.js'

interface Told {
  readonly of: (name: string) => Explanation
  readonly report: PrivilegeReport
}

/** What a process is told, and what then comes of it. @param scenario of privileges-child.mjs */
async function explain(surroundings: Surroundings): Promise<Told>
async function explain<T>(surroundings: Surroundings, ...scenario: readonly string[]): Promise<Told & { readonly outcome: T }>
async function explain(surroundings: Surroundings, ...scenario: readonly string[]): Promise<Told & { readonly outcome?: unknown }> {
  const words = scenario.length === 0 ? [] : ['+', ...scenario]
  const answer = await runAs<PrivilegeReport | [PrivilegeReport, unknown]>(surroundings, 'explain', 'test/conditions', ...words)
  const [report, outcome] = Array.isArray(answer) ? answer : [answer]
  return {
    report,
    outcome,
    of(name) {
      const found = [...report.programs, ...report.maps].find((one) => one.name === name)
      if (found === undefined) throw new Error(`nothing is said of ${name}`)
      return found
    },
  }
}

/** What is said of one of a program's conditions. @param text how it starts */
const condition = ({ of }: Told, program: string, text: string) => of(program).conditions.find(({ what }) => what.startsWith(text))?.holds

const obstacles = ({ report }: Told): string => report.obstacles.map(({ holds, remedy }) => `${holds.because}: ${remedy}`).join('\n')

const NO_TRACEFS = 'mountpoint -q /sys/kernel/tracing && umount /sys/kernel/tracing; mountpoint -q /sys/kernel/debug && umount /sys/kernel/debug; true'
const TRACEFS = `${NO_TRACEFS}\nmount -t tracefs tracefs /sys/kernel/tracing`
const NO_BPFFS = 'while mountpoint -q /sys/fs/bpf; do umount /sys/fs/bpf; done'

describeSince('5.18')('a process of few capabilities', { timeout: patience(60_000) }, () => {
  describe.runIf(hasSetpriv)('is told', () => {
    it('that tracepoints want tracefs, and what else does', async () => {
      const surroundings = { capabilities: AGENT, prepare: NO_TRACEFS }
      const told = await explain<Record<string, Refusal>>(surroundings, 'attach', 'tracepoint')
      expect(told.of('on_fork').attaches).toEqual({ answer: 'no', because: 'attaching on_fork: tracefs is not mounted' })
      expect(obstacles(told)).toMatch(/mount -t tracefs tracefs \/sys\/kernel\/tracing; raw tracepoints/)
      expect(told.outcome['tracepoint']).toMatchObject({ message: expect.stringContaining('mount -t tracefs') })
    })

    it('that a tracefs of root is not for it, unless it may read everything', async () => {
      const surroundings = { capabilities: AGENT, prepare: TRACEFS }
      const told = await explain<Record<string, Refusal>>(surroundings, 'attach', 'tracepoint')
      expect(told.of('on_fork').attaches).toEqual({
        answer: 'no',
        because: 'attaching on_fork: /sys/kernel/tracing may not be read by this user',
      })
      expect(obstacles(told)).toMatch(/remount,gid=GROUP.*CAP_DAC_READ_SEARCH/)
      expect(told.outcome['tracepoint']).toMatchObject({ message: expect.stringContaining('CAP_DAC_READ_SEARCH') })

      const reader = { ...surroundings, capabilities: [...AGENT, 'dac_read_search'] }
      expect(condition(await explain(reader), 'on_fork', 'tracefs is mounted')).toEqual({ answer: 'yes' })
    })

    it('that it does not see the addresses of symbols, which an object wants', async () => {
      const blind = await explain<string>({ capabilities: AGENT }, 'address')
      expect(blind.of('sees_address')).toMatchObject({ loads: { answer: 'yes' }, attaches: { answer: 'yes' } })
      expect(obstacles(blind)).toMatch(/CAP_SYSLOG is missing: \/proc\/kallsyms shows every address as 0/)
      expect(blind.outcome).toBe('0')

      const seeing = await explain<string>({ capabilities: [...AGENT, 'syslog'] }, 'address')
      expect(obstacles(seeing)).not.toContain('kallsyms')
      expect(BigInt(seeing.outcome)).toBeGreaterThan(0xffff_8000_0000_0000n)
    })

    it('whether maps can be pinned by their names', async () => {
      const without = { capabilities: AGENT, prepare: NO_BPFFS }
      const nowhere = await explain(without, 'pin')
      expect(nowhere.of('pinned').loads).toMatchObject({ answer: 'no', because: expect.stringContaining('no bpf file system is mounted') })
      expect(nowhere.outcome).toMatchObject({ code: expect.stringMatching(/^E/) })

      const ofRoot = { capabilities: AGENT, prepare: `${NO_BPFFS}\nmount -t bpf bpf /sys/fs/bpf -o mode=700` }
      const denied = await explain(ofRoot, 'pin')
      expect(denied.of('pinned').loads).toMatchObject({ answer: 'no', because: expect.stringContaining('may not be written to') })
      expect(denied.outcome).toMatchObject({ code: 'EACCES' })

      // The option `uid` is Linux 6.7: the folder's owner is changed instead.
      const ofUser = { capabilities: AGENT, prepare: `${NO_BPFFS}\nmount -t bpf bpf /sys/fs/bpf -o mode=700 && chown 1000 /sys/fs/bpf` }
      const allowed = await explain(ofUser, 'pin')
      expect(allowed.of('pinned').loads).toEqual({ answer: 'yes' })
      expect(allowed.outcome).toBe('done')
    })

    it('whether LSM programs would ever run', async () => {
      const hidden = 'mountpoint -q /sys/kernel/security && umount /sys/kernel/security; true'
      const blind = await explain({ capabilities: AGENT, prepare: hidden })
      const isActive = (told: Told) => condition(told, 'on_file_open', 'bpf is among the active security modules')
      expect(isActive(blind)).toMatchObject({ answer: 'unknown', because: expect.stringContaining('securityfs is not mounted') })
      const shown = await explain({ capabilities: AGENT, prepare: 'mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security' })
      expect(isActive(shown)).toEqual({ answer: 'yes' })
    })

    it.runIf(isVirtual)('that an LSM program would not run, when it is attached', async () => {
      const capabilities = [...AGENT]
      expect(await runAs({ capabilities }, 'attach', 'lsm')).toEqual({ lsm: 'done' })
      const prepare = 'mount -t tmpfs tmpfs /sys/kernel/security; echo -n lockdown,yama > /sys/kernel/security/lsm; chmod 644 /sys/kernel/security/lsm'
      const { lsm } = await runAs<Record<string, Refusal>>({ capabilities, prepare }, 'attach', 'lsm')
      expect(lsm).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(/would never run.*which are lockdown, yama.*'lsm=…,bpf'/) })
    })

    it('what everybody might do, if the sysctl let them', async () => {
      const level = readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'utf8').trim()
      const { of } = await explain({ capabilities: [] })
      for (const name of ['for_everybody', 'of_cgroup']) {
        const { answer, because = '' } = of(name).loads
        const expected = level === '0' ? /^yes $/ : new RegExp(`^no .*CAP_BPF is missing.*kernel\\.unprivileged_bpf_disabled=0 \\(it is ${level}`)
        expect(`${answer} ${because}`).toMatch(expected)
      }
      expect(of('sees_address').loads.because).not.toContain('unprivileged')
    })
  })
})
