import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { expect, it } from 'vitest'
import { loadTracing } from '../support/attachments.js'
import { code } from '../support/errors.js'
import { thrownBy } from '../support/native.js'
import { describeSince, linuxIsAtLeast } from '../support/require-kernel.js'

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

  it.runIf(!existsSync('/sys/bus/event_source/devices/cpu'))('of hardware are explained where there is none', () => {
    using object = loadTracing('on_perf_event')
    expect(() => object.program('on_perf_event').attachPerfEvent('cpu-cycles', { period: 1_000_000 })).toThrow(
      /virtual machines mostly have no hardware events/,
    )
  })
})
