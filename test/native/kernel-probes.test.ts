/** What of probes and tracepoints of the kernel goes beyond the contract of attachments: suggestions, replaced functions, struct_ops. */
import { closeSync, openSync } from 'node:fs'
import { expect, it } from 'vitest'
import { open } from '../../lib/open.js'
import { loadTracing } from '../support/attachments.js'
import { code } from '../support/errors.js'
import { missingHere } from '../support/kernel-needs.js'
import { objectPath } from '../support/kernels.js'
import { thrownBy } from '../support/native.js'
import { addonHas, describeSince, linuxIsAtLeast, nativeIsAllowed, requires } from '../support/require-kernel.js'

requires({ since: '5.8', config: ['KPROBES'] })('kprobes', () => {
  it('name the nearest function and system call', () => {
    using object = loadTracing('on_kprobe')
    const program = object.program('on_kprobe')
    expect(thrownBy(() => program.attachKprobe('do_sys_openat9')).message).toMatch(/no function 'do_sys_openat9'.*Did you mean .*'do_sys_openat2'/)
    expect(code(() => program.attachKprobe('do_sys_openat9'))).toBe('ENOENT')
    using other = loadTracing('on_ksyscall')
    expect(thrownBy(() => other.program('on_ksyscall').attachKsyscall('opennat')).message).toMatch(/no system call 'opennat'.*Did you mean .*'openat'/)
  })

  it.runIf(addonHas('structOpsLink')).each(['legacy', 'perf', 'link'] as const)('are made as one likes (libbpf 1.2): %s', (mode) => {
    using object = loadTracing('on_kprobe')
    const link = object.program('on_kprobe').attachKprobe('do_sys_openat2', { mode })
    closeSync(openSync('/dev/null', 'r'))
    expect(Number(object.bss['runs'])).toBeGreaterThan(0)
    expect(link.info().type).toBe(mode === 'link' && linuxIsAtLeast('5.15') ? 'perf_event' : 'none')
    link.close()
    object.bss['runs'] = 0n
    closeSync(openSync('/dev/null', 'r'))
    expect(object.bss['runs']).toBe(0n)
  })

  it('are set behind the start of a function, and refused within an instruction', () => {
    using object = loadTracing('on_kprobe')
    const program = object.program('on_kprobe')
    expect(code(() => program.attachKprobe('do_sys_openat2', { offset: 1_000_000 }))).toMatch(/EINVAL|ENOENT|EADDRNOTAVAIL|EILSEQ/)
    expect(code(() => program.attachKprobe('do_sys_openat2', { mode: 'odd' as never }))).toBe('BAD_VALUE')
  })
})

requires({ since: '5.18', config: ['FPROBE', 'KPROBES'] })('kprobe.multi', () => {
  it('names the nearest function, and tells addresses and cookies', () => {
    using object = loadTracing('on_kprobe_multi')
    const program = object.program('on_kprobe_multi')
    const message = (functions: string | string[]): string => thrownBy(() => program.attachKprobeMulti(functions)).message
    expect(message('do_sys_openat9*')).toMatch(/matches 'do_sys_openat9\*'.*Did you mean .*'do_sys_openat2'/)
    expect(message(['vfs_unlink', 'do_sys_openat9'])).toMatch(/no function 'do_sys_openat9'/)
    using link = program.attachKprobeMulti(['vfs_unlink', 'do_sys_openat2'], { cookies: [5n, 6n] })
    const info = link.info()
    if (info.type !== 'kprobe_multi') throw new Error(`it is ${info.type}`)
    expect(info.retprobe).toBe(false)
    expect(info.addresses).toHaveLength(linuxIsAtLeast('6.6') ? 2 : 0)
    // In the order of the addresses.
    expect(new Set(info.cookies)).toEqual(new Set(linuxIsAtLeast('6.9') ? [5n, 6n] : []))
  })
})

describeSince('5.8')('kernels without kprobes', () => {
  it.runIf(missingHere({ since: '5.8', config: ['KPROBES'] }) !== undefined && nativeIsAllowed())('say so', () => {
    using object = loadTracing('on_kprobe')
    const error = thrownBy(() => object.program('on_kprobe').attachKprobe('do_sys_openat2'))
    expect(error.message).toContain('CONFIG_KPROBES')
  })
})

describeSince('5.8')('tracepoints', () => {
  it('name the nearest raw tracepoint', () => {
    using object = loadTracing('on_raw_tracepoint')
    const program = object.program('on_raw_tracepoint')
    const error = thrownBy(() => program.attachRawTracepoint('sched_swich'))
    expect(error).toMatchObject({ code: 'ENOENT', errno: 2 })
    expect(error.message).toMatch(/no raw tracepoint 'sched_swich'\. Did you mean .*'sched_switch'/)
    expect(thrownBy(() => program.attachRawTracepoint('sched/sched_switch')).message).toContain("'sched_switch'")
    expect(thrownBy(() => program.attachTracepoint('sched', 'sched_switch')).message).toContain('attachRawTracepoint()')
  })

  it('suggest also what a misspelt SEC() name means, one by one and all at once', () => {
    for (const [program, suggestion] of [
      ['on_misspelt', /no raw tracepoint 'sched_swich'.*Did you mean .*'sched_switch'/],
      ['on_misspelt_function', /has no function 'umaks'.*Did you mean .*'umask'/],
      ['on_misspelt_library', /binary 'libk\.so\.6'.*Did you mean .*'libc\.so\.6'/],
    ] as const) {
      using object = loadTracing(program)
      expect(() => object.program(program).attach()).toThrow(suggestion)
      expect(() => object.attach()).toThrow(suggestion)
    }
  })

  it('take category and name apart', () => {
    using object = loadTracing('on_tracepoint')
    const program = object.program('on_tracepoint')
    expect(code(() => program.attachTracepoint('sched/sched_switch', 'x'))).toBe('BAD_VALUE')
  })
})

/** What is chosen when the object is loaded: libbpf looks for it in the types of the kernel. */
describeSince('5.8')('places of programs by their types', () => {
  const openOnly = (program: string) => {
    const spec = open(objectPath('test/misspelt'), { kernel: 'native' })
    for (const [name, settings] of Object.entries(spec.programs)) settings.autoload = name === program
    return spec
  }

  it.each([
    ['entry', /has no function 'do_sys_openat9'\. Did you mean .*'do_sys_openat2'/],
    ['at_exit', /has no function 'vfs_unlnk'\. Did you mean .*'vfs_unlink'/],
    ['hook', /has no LSM hook 'file_opne'\. Did you mean .*'file_open'/],
    ['tracepoint', /has no tracepoint 'sched_process_frok'\. Did you mean .*'sched_process_fork'/],
    ['iterator', /has no iterator 'bpf_mapp'\. Did you mean .*'bpf_map'/],
  ])('suggest the nearest when the object is loaded: %s', (program, words) => {
    const spec = openOnly(program)
    expect(thrownBy(() => spec.load()).message).toMatch(words)
  })

  it('suggest the nearest symbol for an extern', () => {
    const spec = open(objectPath('test/misspelt_symbol'), { kernel: 'native' })
    expect(thrownBy(() => spec.load()).message).toMatch(/extern 'do_sys_openat9' is not in this kernel\. Did you mean .*'do_sys_openat2'/)
  })

  it('suggest the nearest when another is set', () => {
    using spec = openOnly('entry')
    const error = thrownBy(() => spec.programs['entry']?.setAttachTarget('vfs_unlnk'))
    expect(error).toMatchObject({ code: 'ESRCH', call: 'bpf_program__set_attach_target', message: expect.stringContaining("'vfs_unlink'") as string })
    spec.programs['entry']?.setAttachTarget('vfs_unlink')
  })
})

requires({ since: '5.8', tracefs: true })('tracepoints by tracefs', () => {
  it('name the nearest tracepoint, category, and the right category of a name', () => {
    using object = loadTracing('on_tracepoint')
    const program = object.program('on_tracepoint')
    const message = (category: string, name: string): string => thrownBy(() => program.attachTracepoint(category, name)).message
    expect(message('sched', 'sched_swich')).toMatch(/category 'sched' has no tracepoint 'sched_swich'.*'sched_switch'/)
    expect(message('scheds', 'whatever')).toMatch(/no category of tracepoints 'scheds'.*'sched'/)
    expect(message('sched', 'task_newtask')).toContain("Did you mean 'task/task_newtask'")
  })
})

requires({ since: '5.10', machine: true })('freplace', () => {
  it('puts a function into the place of another, and gives the old one back', () => {
    using base = loadTracing('with_replaceable')
    const packet = { data: new Uint8Array(64) }
    const program = base.program('with_replaceable')
    expect(program.run(packet).retval).toBe(1)
    const spec = open(objectPath('test/tracing'), { kernel: 'native' })
    for (const [name, setting] of Object.entries(spec.programs)) setting.autoload = name === 'replacement'
    spec.programs['replacement']?.setAttachTarget('replaceable', program)
    using object = spec.load()
    const replacement = object.program('replacement')
    const link = replacement.attachFreplace()
    expect(program.run(packet).retval).toBe(42)
    expect(link.info()).toMatchObject({ type: 'tracing', programId: replacement.id, targetObjectId: linuxIsAtLeast('5.13') ? program.id : 0 })
    link.close()
    expect(program.run(packet).retval).toBe(1)
    using again = replacement.attachFreplace(program, 'replaceable')
    expect(program.run(packet).retval).toBe(42)
    again.close()
    expect(code(() => replacement.attachFreplace(program, 'no_such_function'))).not.toBeUndefined()
    expect(thrownBy(() => program.attachFreplace()).message).toContain('attachTc()')
  })
})

requires({ since: '6.2', machine: true })('fmod_ret', () => {
  it("takes the function's place", () => {
    using object = loadTracing('on_modify_return')
    const program = object.program('on_modify_return')
    // The answer has 4 of the function in it, and what Linux adds to it since 6.3.
    const before = program.run().retval
    using link = program.attachTrace()
    expect((program.run().retval - before) & 0xffff).toBe((-7 - 4) & 0xffff)
    expect(link.info()).toMatchObject({ attachType: 'modify_return' })
  })
})
