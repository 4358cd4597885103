/** Options that an attachment can't take are errors of types: `npm run typecheck` fails where one of these lines is right. */
import { describe, expect, it } from 'vitest'
import type { BpfMap, Program } from '../../lib/index.js'

/** Compiled, and never run. */
function wrong(program: Program, map: BpfMap): void {
  // @ts-expect-error: of all processes
  program.attachKprobe('tcp_connect', { pid: 1 })
  // @ts-expect-error: one for each function
  program.attachKprobeMulti('tcp_*', { cookie: 1n })
  // @ts-expect-error: at its start
  program.attachKsyscall('openat', { offset: 4 })
  // @ts-expect-error: neither a function nor an offset
  program.attachUprobe('libc', {})
  // @ts-expect-error: no such way
  program.attachUprobe('libc', { function: 'malloc', mode: 'fast' })
  // @ts-expect-error: one or the other
  program.attachUprobeMulti('libc', { functions: 'mall*', offsets: [1] })
  // @ts-expect-error: probes of USDT don't return
  program.attachUsdt('libc', 'libc', 'setjmp', { retprobe: true })
  // @ts-expect-error: tracepoints don't return
  program.attachTracepoint('sched', 'sched_switch', { retprobe: true })
  // @ts-expect-error: of all processes
  program.attachRawTracepoint('sched_switch', { pid: 1 })
  // @ts-expect-error: the place is known
  program.attachTrace({ offset: 4 })
  // @ts-expect-error: Linux gives it no cookie
  program.attachLsm({ cookie: 1n })
  // @ts-expect-error: one or the other
  program.attachPerfEvent('cpu-clock', { frequency: 1, period: 1n })
  // @ts-expect-error: one or the other
  program.attachPerfEvent('cpu-clock', { frequency: 1, pid: 1, cgroup: '/sys/fs/cgroup' })
  // @ts-expect-error: no such cache
  program.attachPerfEvent('L4-loads', { frequency: 1 })
  // @ts-expect-error: a breakpoint has an address
  program.attachPerfEvent({ breakpoint: 'write' }, { period: 1 })
  // @ts-expect-error: one or the other
  program.attachIterator({ map, task: { pid: 1 } })
  // @ts-expect-error: a link is updated
  program.attachXdp('eth0', { via: 'link', replace: true })
  // @ts-expect-error: no such mode
  program.attachXdp('eth0', { mode: 'fast' })
  // @ts-expect-error: filters have priorities, no order
  program.attachTc('eth0', { direction: 'ingress', via: 'clsact', order: 'first' })
  // @ts-expect-error: links have an order, no priorities
  program.attachTc('eth0', { direction: 'ingress', via: 'tcx', priority: 1 })
  // @ts-expect-error: a link takes no other's place
  program.attachCgroup('/sys/fs/cgroup/a', { sharing: 'link', replace: program })
  // @ts-expect-error: without a priority
  program.attachNetfilter({ protocol: 'ipv4', hook: 'input' })
  // @ts-expect-error: without an interface
  program.attachLwt('10.1.0.0/24', { gateway: '10.0.0.1' })
  // @ts-expect-error: a namespace, by its file or descriptor
  program.attachNetns({ pid: 1 })
}

describe('options', () => {
  it('are checked by their types', () => {
    expect(wrong).toBeTypeOf('function')
  })
})
