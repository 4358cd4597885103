import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { perfEventByName } from '../../lib/linux/perf-events.js'
import { resolveBinary, withBinary } from '../../lib/native/binaries.js'
import { open } from '../../lib/open.js'
import { loadTracing } from '../support/attachments.js'
import { cgroupRoot, TestCgroup } from '../support/cgroup.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { thrownBy } from '../support/native.js'
import { describeSince, linuxIsAtLeast, requires } from '../support/require-kernel.js'
import { isVirtual } from '../support/this-machine.js'

/** Samples of this process come while it uses a CPU. */
function burn(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

function burnUntil(isEnough: () => boolean): void {
  for (let i = 0; i < 200 && !isEnough(); i++) burn(20)
}

/** What the link of one event is. */
const oneEvent = linuxIsAtLeast('5.15') ? 'perf_event' : 'none'

describeSince('5.8')('perf events', () => {
  it('sample each CPU by a frequency, as one link', () => {
    using object = loadTracing('on_perf_event', { cookies: '5.15' })
    const cookie = linuxIsAtLeast('5.15') ? { cookie: 5n } : {}
    const link = object.program('on_perf_event').attachPerfEvent('cpu-clock', { frequency: 200, ...cookie })
    burnUntil(() => Number(object.bss['runs']) >= 3)
    expect(Number(object.bss['runs'])).toBeGreaterThanOrEqual(3)
    expect(object.bss['last_cookie']).toBe(linuxIsAtLeast('5.15') ? 5n : 0n)
    const { type } = link.info()
    expect(type).toBe(availableParallelism() > 1 ? 'group' : oneEvent)
    link.close()
    const runs = object.bss['runs']
    burn(50)
    expect(object.bss['runs']).toBe(runs)
  })

  it('sample one process by a period, wherever it runs', () => {
    using object = loadTracing('on_perf_event')
    using link = object
      .program('on_perf_event')
      .attachPerfEvent({ type: 1, config: 0 }, { period: 2_000_000n, pid: 'self' })
    burnUntil(() => Number(object.bss['runs']) >= 3)
    expect(Number(object.bss['runs'])).toBeGreaterThanOrEqual(3)
    const event = linuxIsAtLeast('6.6') ? { event: { kind: 'event', config: 0n } } : {}
    expect(link.info()).toMatchObject({ type: oneEvent, ...event })
  })

  it('are told apart by CPU', () => {
    using object = loadTracing('on_perf_event')
    using link = object.program('on_perf_event').attachPerfEvent('cpu-clock', { frequency: 1, cpus: [0] })
    expect(link.info().type).toBe(oneEvent)
    expect(link.target).toBe('perf_event type 1, config 0')
  })

  it('say what is wrong', () => {
    using object = loadTracing('on_perf_event')
    const program = object.program('on_perf_event')
    const message = (...args: Parameters<typeof program.attachPerfEvent>): string =>
      thrownBy(() => program.attachPerfEvent(...args)).message
    expect(message('cpu-clok' as never, { frequency: 1 })).toMatch(/Did you mean 'cpu-clock'/)
    expect(message('cpu-clock', {} as never)).toContain('a frequency or a period')
    expect(message('cpu-clock', { frequency: 0 })).toContain('greater than 0')
    expect(message('cpu-clock', { frequency: 1, cpus: [8191] })).toMatch(/CPU/)
    expect(message({ type: 1, config: 999 }, { frequency: 1 })).toContain('no perf event of type 1 and config 999')
    expect(code(() => program.attachPerfEvent('cpu-clock', { frequency: 1, pid: 0x7fff_fff0 }))).toBe('ESRCH')
  })

  it.runIf(!readdirSync('/sys/bus/event_source/devices').some((name) => name.startsWith('cpu')))(
    'of hardware are explained where there is none',
    () => {
      using object = loadTracing('on_perf_event')
      const program = object.program('on_perf_event')
      for (const event of ['cpu-cycles', 'LLC-load-misses', { type: 4, config: 0x3c }] as const)
        expect(() => program.attachPerfEvent(event, { period: 1_000_000 })).toThrow(/no hardware counters on this machine/)
    },
  )
})

/** Counts samples of this process and of others, in the kernel and outside. */
function loadCounter() {
  const spec = open(objectPath('test/perf_events'), { kernel: 'native' })
  spec.rodata['target_tgid'] = process.pid
  const object = spec.load()
  return { object, program: object.program('on_sample'), count: (name: string) => Number(object.bss[name]) }
}

/** Time in the kernel and outside, of a process that another one starts. */
const BUSY = 'for (let i = 0; i < 40; i++) { require("fs").readdirSync("/proc"); for (let j = 0; j < 1e5; j++); }'

describeSince('5.8')('perf events of software', () => {
  it.each([
    ['task-clock', 100_000],
    ['page-faults', 1],
    ['minor-faults', 1],
    ['context-switches', 1],
  ] as const)('fire: %s', async (event, period) => {
    const { object, program, count } = loadCounter()
    using _ = object
    using link = program.attachPerfEvent(event, { period, pid: 'self' })
    const pages: Uint8Array[] = []
    for (let i = 0; i < 50 && count('own') === 0; i++) {
      pages.push(new Uint8Array(1 << 20).fill(1))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(count('own')).toBeGreaterThan(0)
    expect(count('of_others')).toBe(0)
    expect(link.target).toContain('perf_event type 1')
  })

  it.each([['user', 'in_user'], ['kernel', 'in_kernel']] as const)('leave out what is excluded: %s', (excluded, counter) => {
    const { object, program, count } = loadCounter()
    using _ = object
    using link = program.attachPerfEvent('cpu-clock', { period: 200_000, pid: 'self', exclude: [excluded] })
    const other = counter === 'in_user' ? 'in_kernel' : 'in_user'
    for (let i = 0; i < 500 && count(other) < 3; i++) {
      readdirSync('/proc')
      burn(2)
    }
    expect(count(other)).toBeGreaterThanOrEqual(3)
    expect(count(counter)).toBe(0)
    expect(link.info().type).toBe(oneEvent)
  })

  it.each([true, false])('go with the processes that are started, or not: inherit %s', async (inherit) => {
    const { object, program, count } = loadCounter()
    using _ = object
    using __ = program.attachPerfEvent('cpu-clock', { period: 200_000, pid: 'self', inherit })
    await once(spawn(process.execPath, ['-e', BUSY]), 'exit')
    expect(count('of_others') > 0).toBe(inherit)
  })

  requires({ since: '5.8', config: ['CGROUP_PERF'] })('of a cgroup', () => {
    it('count its processes alone', async () => {
      // Nobody has enabled a controller there: until then, the cgroups have no state for perf events.
      if (isVirtual) writeFileSync(join(cgroupRoot(), 'cgroup.subtree_control'), '+pids')
      await using cgroup = new TestCgroup()
      const { object, program, count } = loadCounter()
      using _ = object
      using link = program.attachPerfEvent('cpu-clock', { period: 200_000, cgroup: cgroup.path })
      burn(50)
      expect(count('own') + count('of_others')).toBe(0)
      cgroup.run(process.execPath, '-e', BUSY)
      expect(count('own')).toBe(0)
      expect(count('of_others')).toBeGreaterThan(0)
      link.close()
    })
  })

  it('check their options', () => {
    const { object, program } = loadCounter()
    using _ = object
    const message = (options: object): string =>
      thrownBy(() => program.attachPerfEvent('cpu-clock', { frequency: 1, ...options })).message
    expect(message({ pid: 1, cgroup: '/' })).toContain('a process or a cgroup')
    expect(message({ exclude: ['kernal'] })).toMatch(/exclude must be one of kernel, user, hypervisor/)
    expect(message({ precise: 4 })).toMatch(/precise must be one of 0, 1, 2, 3/)
    expect(message({ cgroup: '/proc' })).toContain('no folder of cgroup2')
  })
})

/** Where a function of libc is in this process. */
function addressInLibc(name: string): bigint {
  const path = realpathSync(resolveBinary('libc'))
  const offset = withBinary(path, (file) => file.functions().get(name)) ?? 0
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const [, start = '', end = '', from = ''] = /^(\w+)-(\w+) \S+ (\w+) .* (?:\/\S*)$/.exec(line) ?? []
    if (!line.endsWith(path)) continue
    const [low, high, first] = [BigInt(`0x${start}`), BigInt(`0x${end}`), BigInt(`0x${from}`)]
    const address = low + BigInt(offset) - first
    if (BigInt(offset) >= first && address < high) return address
  }
  throw new Error(`${name} is nowhere in memory`)
}

describe.runIf(existsSync('/sys/bus/event_source/devices/breakpoint'))('hardware breakpoints', () => {
  // A hypervisor may give them out, and let none happen.
  requires({ since: '5.8', machine: true })('of this process', () => {
    it('run a program when a function is called', () => {
      const { object, program, count } = loadCounter()
      using _ = object
      const address = addressInLibc('umask')
      using link = program.attachPerfEvent({ breakpoint: 'execute', address }, { period: 1, pid: 'self' })
      const before = count('own')
      process.umask(process.umask())
      expect(count('own') - before).toBeGreaterThanOrEqual(2)
      expect(object.bss['last_address']).toBe(address)
      expect(link.target).toBe(`perf_event breakpoint at 0x${address.toString(16)}`)
      link.close()
      const after = count('own')
      process.umask(process.umask())
      expect(count('own')).toBe(after)
    })

  })

  describeSince('5.8')('of no process', () => {
    it('say what is wrong with the address', () => {
      const { object, program } = loadCounter()
      using _ = object
      const attach = (event: object) => () => program.attachPerfEvent(event as never, { period: 1, pid: 'self' })
      expect(attach({ breakpoint: 'write', address: 0x1001n, length: 4 })).toThrow(/multiple of the length: 0x1001, 4 bytes/)
      expect(attach({ breakpoint: 'wrote', address: 8n })).toThrow(/breakpoint must be one of execute, write, readWrite/)
      expect(attach({ breakpoint: 'write', address: 8n, length: 3 })).toThrow(/length must be one of 1, 2, 4, 8/)
    })
  })
})

describe('names of perf events', () => {
  it('are those of perf, of caches too', () => {
    expect(perfEventByName('cache-misses')).toEqual({ type: 0, config: 3 })
    expect(perfEventByName('L1-dcache-load-misses')).toEqual({ type: 3, config: 0x1_00_00 })
    expect(perfEventByName('LLC-stores')).toEqual({ type: 3, config: 0x0_01_02 })
    expect(perfEventByName('iTLB-prefetch-misses')).toEqual({ type: 3, config: 0x1_02_04 })
    expect(perfEventByName('L4-loads')).toBeUndefined()
  })
})
