/** What of user probes and USDT goes beyond the contract of attachments: offsets, processes, suggestions. */
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { open } from '../../lib/open.js'
import type { BpfObject } from '../../lib/index.js'
import { resolveBinary, withBinary } from '../../lib/native/binaries.js'
import { nativeKernel } from '../../lib/native/kernel.js'
import { loadTracing } from '../support/attachments.js'
import { code } from '../support/errors.js'
import { missingHere } from '../support/kernel-needs.js'
import { objectPath } from '../support/kernels.js'
import { thrownBy } from '../support/native.js'
import { patience } from '../support/patience.js'
import { probeTarget, removeProbeTarget, startTarget, type TargetProcess } from '../support/probe-target.js'
import { addonHas, describeSince, linuxIsAtLeast, nativeIsAllowed, requires } from '../support/require-kernel.js'

afterAll(removeProbeTarget)

let target: TargetProcess
let other: TargetProcess

requires({ since: '5.8', config: ['UPROBES'] })('user probes', () => {
  beforeAll(async () => {
    target = await startTarget()
    other = await startTarget()
  }, patience(60_000))
  afterAll(async () => {
    await target[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
  })
  const load = (program: string): BpfObject => loadTracing(program, { tgid: target.pid })

  it('are set at an offset in the file, and behind the start of a function', async () => {
    using object = load('on_uprobe')
    const offset = withBinary(probeTarget(), (binary) => binary.functions().get('traced_1')) ?? -1
    using atOffset = object.program('on_uprobe').attachUprobe(probeTarget(), { offset })
    using atStart = object.program('on_uprobe').attachUprobe(probeTarget(), { function: 'traced_1', offset: 0 })
    await target.pass()
    expect(object.bss['runs']).toBe(2n)
    expect(object.bss['last_value']).toBe(20n)
    expect([atOffset.target, atStart.target]).toEqual([
      `uprobe/${probeTarget()}:0x${offset.toString(16)}`,
      `uprobe/${probeTarget()}:traced_1`,
    ])
  })

  it('of one process leave others alone', async () => {
    using object = load('on_uprobe')
    using link = object.program('on_uprobe').attachUprobe(probeTarget(), { function: 'traced_0', pid: other.pid })
    await target.pass()
    expect(object.bss['runs']).toBe(0n)
    expect(link.closed).toBe(false)
  })

  it('count themselves in a semaphore of the program', async () => {
    using object = load('on_uprobe')
    const refCtrOffset = await target.semaphoreOffset()
    expect(await target.pass()).toBe(0)
    const link = object.program('on_uprobe').attachUprobe(probeTarget(), { function: 'traced_0', refCtrOffset, pid: target.pid })
    expect([await target.pass(), await other.pass()]).toEqual([1, 0])
    expect(object.bss['runs']).toBe(1n)
    link.close()
    expect(await target.pass()).toBe(0)
  })

  /** The tracing file system is where the oldest ones are made. */
  const modes = existsSync('/sys/kernel/tracing/uprobe_events') ? (['legacy', 'perf', 'link'] as const) : (['perf', 'link'] as const)
  it.runIf(addonHas('structOpsLink')).each(modes)('are made as one likes (libbpf 1.2): %s', async (mode) => {
    using object = load('on_uprobe')
    const link = object.program('on_uprobe').attachUprobe(probeTarget(), { function: 'traced_0', pid: target.pid, mode })
    await target.pass()
    expect(object.bss['runs']).toBe(1n)
    expect(link.info().type).toBe(mode === 'link' ? 'perf_event' : 'none')
    link.close()
    await target.pass()
    expect(object.bss['runs']).toBe(1n)
  })

  it.skipIf(addonHas('structOpsLink'))('are made as libbpf likes before its version 1.2', () => {
    using object = load('on_uprobe')
    const attach = () => object.program('on_uprobe').attachUprobe(probeTarget(), { function: 'traced_0', mode: 'perf' })
    expect(thrownBy(attach)).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('libbpf 1.2') as string })
  })

  it('name the nearest function, library and file', () => {
    using object = load('on_uprobe')
    const program = object.program('on_uprobe')
    const nearest = (binary: string, name: string): string | undefined =>
      thrownBy(() => program.attachUprobe(binary, { function: name })).message
    expect(nearest(probeTarget(), 'trased_1')).toMatch(/has no function 'trased_1'\. Did you mean .*'traced_1'/)
    expect(nearest('libc', 'mallok')).toMatch(/Did you mean .*'malloc'/)
    expect(nearest('libstdc+', 'x')).toMatch(/binary 'libstdc\+'.*Did you mean 'libstdc\+\+/)
    expect(nearest('/no/such/file', 'x')).toMatch(/'\/no\/such\/file'.*ENOENT/)
    expect(nearest(import.meta.filename, 'x')).toContain('is no ELF file')
  })

  it('refuse what makes no sense', () => {
    using object = load('on_uprobe')
    const program = object.program('on_uprobe')
    expect(code(() => program.attachUprobe('libc', {} as never))).toBe('BAD_VALUE')
    expect(code(() => program.attachUprobe('libc', { function: 'umask', pid: -5 }))).toBe('BAD_VALUE')
    expect(code(() => program.attachUprobe('libc', { function: 'umask', cookie: -1n }))).toBe('BAD_VALUE')
    expect(code(() => program.attachUprobe('lib\0c', { function: 'umask' }))).toBe('BAD_VALUE')
    expect(thrownBy(() => program.attachXdp('lo')).message).toContain('attachUprobe()')
    expect(thrownBy(() => program.attachUprobeMulti('libc', { functions: '*' })).message).toContain('attachUprobe()')
    // @ts-expect-error a tracepoint has no process
    expect(code(() => program.attachTracepoint('a', 'b', { pid: 1 }))).toBe('BAD_VALUE')
  })
})

describeSince('6.6')('uprobe.multi', () => {
  it('counts its places in semaphores', async () => {
    await using traced = await startTarget()
    using object = loadTracing('on_uprobe_multi', { tgid: traced.pid })
    const counter = await traced.semaphoreOffset()
    const options = { functions: ['traced_0', 'traced_1'], refCtrOffsets: [counter, 0], pid: traced.pid }
    const link = object.program('on_uprobe_multi').attachUprobeMulti(probeTarget(), options)
    expect(await traced.pass()).toBe(1)
    expect(object.bss['runs']).toBe(2n)
    link.close()
    expect(await traced.pass()).toBe(0)
  })

  it('takes offsets, and names what matches nothing', async () => {
    await using traced = await startTarget()
    using object = loadTracing('on_uprobe_multi', { tgid: traced.pid })
    const program = object.program('on_uprobe_multi')
    const functions = withBinary(probeTarget(), (binary) => binary.functions())
    const offsets = [functions.get('traced_0') ?? 0, functions.get('traced_2') ?? 0]
    using link = program.attachUprobeMulti(probeTarget(), { offsets })
    await traced.pass()
    expect(object.bss['runs']).toBe(2n)
    expect(link.info()).toMatchObject(
      linuxIsAtLeast('6.8') ? { path: probeTarget(), offsets: offsets.map(BigInt), retprobe: false, pid: 0 } : {},
    )
    const message = (functions: string | string[], cookies?: bigint[]): string =>
      thrownBy(() => program.attachUprobeMulti(probeTarget(), { functions, ...(cookies && { cookies }) })).message
    expect(message('trased_*')).toMatch(/has no function 'trased_\*'/)
    expect(message(['traced_9'])).toMatch(/Did you mean .*'traced_0'/)
    expect(message('traced_*', [1n])).toContain('cookies go with a list')
    expect(message(['traced_0', 'traced_1'], [1n])).toContain('cookies must be as many')
  })
})

/** The object is compiled with the headers of Debian 12. */
const isOldLibbpf = nativeIsAllowed() && nativeKernel().facts.runsWith.minor < 7

describeSince('5.15')('USDT programs of an older header', () => {
  it.skipIf(isOldLibbpf)('are refused, as they would see wrong arguments', () => {
    expect(() => open(objectPath('test/usdt'), { kernel: 'native' })).toThrow(/usdt\.bpf\.h of libbpf before 1\.7/)
  })
})

describe.skipIf(!isOldLibbpf || missingHere({ since: '5.15', config: ['UPROBES'] }) !== undefined)('USDT probes', () => {
  it('fire with argument and cookie, of one process', async () => {
    await using traced = await startTarget()
    await using another = await startTarget()
    using object = open(objectPath('test/usdt'), { kernel: 'native' }).load()
    const link = object
      .program('on_probe')
      .attachUsdt(probeTarget(), 'libbpf_node', 'leave', { pid: traced.pid, cookie: 77n })
    expect(link.target).toBe(`usdt/${probeTarget()}:libbpf_node:leave`)
    await traced.pass()
    await another.pass()
    expect(object.bss['runs']).toBe(1n)
    expect(object.bss['last_value']).toBe(20n)
    expect(object.bss['last_cookie']).toBe(77n)
    // libbpf holds several attachments in what it calls a link.
    expect(link.id).toBe(0)
    expect(link.info().type).toBe('none')
    expect(thrownBy(() => link.pin('/sys/fs/bpf/never')).message).toContain('no BPF link')
    link.close()
    await traced.pass()
    expect(object.bss['runs']).toBe(1n)
  })

  it('tell the program by its semaphore that somebody watches', async () => {
    await using traced = await startTarget()
    using object = open(objectPath('test/usdt'), { kernel: 'native' }).load()
    const link = object.program('on_probe').attachUsdt(probeTarget(), 'libbpf_node', 'enter', { pid: traced.pid })
    expect(await traced.pass()).toBe(1)
    link.close()
    expect(await traced.pass()).toBe(0)
  })

  it('name the nearest provider and probe', () => {
    using object = open(objectPath('test/usdt'), { kernel: 'native' }).load()
    const program = object.program('on_probe')
    const message = (provider: string, name: string): string =>
      thrownBy(() => program.attachUsdt(probeTarget(), provider, name)).message
    expect(message('libpbf_node', 'enter')).toMatch(/no USDT provider 'libpbf_node'.*Did you mean 'libbpf_node'/)
    expect(message('libbpf_node', 'entr')).toMatch(/no USDT probe 'entr'.*Did you mean 'enter'/)
    expect(message('libbpf_node', 'qqqqqq')).toContain('It has libbpf_node:enter, libbpf_node:leave')
    expect(thrownBy(() => program.attachUsdt('/bin/true', 'a', 'b')).message).toContain('without USDT probes')
  })
})

describeSince('5.8')('binaries', () => {
  it('are found as the linker and the shell find them', () => {
    expect(resolveBinary('libc.so.6')).toMatch(/\/libc\.so\.6$/)
    expect(resolveBinary('libc')).toBe(resolveBinary('libc.so.6'))
    expect(resolveBinary('true')).toMatch(/\/true$/)
    expect(resolveBinary('/bin/true')).toBe('/bin/true')
  })
})
