import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import type { RawFailure } from '../../lib/native/addon-types.js'
import { toError } from '../../lib/native/failure.js'
import { typeIsTooNew, withSource } from '../../lib/native/load-failure.js'
import { parseVerifierReport } from '../../lib/native/verifier-log.js'

function failure(raw: Partial<RawFailure>): BpfError {
  const error = toError({
    call: 'bpf_object__load',
    errno: 22,
    subject: "object 'demo'",
    log: '',
    reason: '',
    expected: 0,
    actual: 0,
    ...raw,
  })
  if (error instanceof BpfError) return error
  throw error
}

const VERIFIER = [
  "libbpf: prog 'f': BPF program load failed: Permission denied",
  "libbpf: prog 'f': -- BEGIN PROG LOAD LOG --",
  'func#0 @0',
  '; int f(void *ctx) @ demo.bpf.c:4',
  '0: (b7) r1 = 0                        ; R1_w=0',
  '; return *p; @ demo.bpf.c:7',
  '12: (61) r0 = *(u32 *)(r1 +0)',
  "R1 invalid mem access 'scalar'",
  'processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0',
  '-- END PROG LOAD LOG --',
  "libbpf: prog 'f': failed to load: -13",
  '',
].join('\n')

describe('a verifier report', () => {
  it('has the deciding line, its instruction and its source', () => {
    expect(parseVerifierReport(VERIFIER)).toMatchObject({
      summary: "R1 invalid mem access 'scalar'",
      program: 'f',
      insn: 12,
      source: { file: 'demo.bpf.c', line: 7, text: 'return *p;' },
    })
  })

  it('does without a source, as kernels before 6.10 print it', () => {
    const report = parseVerifierReport(VERIFIER.replaceAll(/ @ demo\.bpf\.c:\d+/g, ''))
    expect(report?.insn).toBe(12)
    expect(report?.source).toBeUndefined()
  })

  it('is undefined where libbpf printed none', () => {
    expect(parseVerifierReport("libbpf: map 'm': failed to create: -22\n")).toBeUndefined()
  })
})

describe('the error for a failed load', () => {
  it.each([
    ['VERIFIER_REJECTED', VERIFIER, "program 'f' was refused by the verifier: R1 invalid mem access 'scalar' (demo.bpf.c:7)"],
    ['UNKNOWN_SECTION', "libbpf: prog 'f': missing BPF prog type, check ELF section name 'kprobee/x'\n", 'kprobe/x'],
    [
      'RELOCATION_FAILED',
      VERIFIER.replace("R1 invalid mem access 'scalar'", '7: <invalid CO-RE relocation>\nfailed to resolve CO-RE relocation <byte_off> [8] struct task_struct.gone (0:1 @ offset 4)'),
      'struct task_struct.gone',
    ],
    ['RELOCATION_FAILED', "libbpf: extern (strong ksym) 'gone': not found in kernel BTFs\n", "extern 'gone'"],
    ['ESRCH', "libbpf: prog 'f': failed to find kernel BTF type ID of 'do_gone': -3\n", "'do_gone'"],
    ['UNSUPPORTED', 'libbpf: Error loading vmlinux BTF: -3\n', 'CONFIG_DEBUG_INFO_BTF'],
    ['EINVAL', "libbpf: map 'm': failed to create: Invalid argument(-22)\n", "map 'm'"],
  ])('is %s where libbpf says why', (code, log, text) => {
    const error = failure({ log, errno: code === 'ESRCH' ? 3 : 22 })
    expect(error.code).toBe(code)
    expect(error.message).toContain(text)
  })

  it("says what an object with kconfig externs needs where the kernel's configuration is nowhere", () => {
    const error = failure({ log: 'libbpf: failed to open system Kconfig\n' })
    expect(error.code).toBe('RELOCATION_FAILED')
    expect(error.message).toMatch(/\/proc\/config\.gz.*kconfig:/)
  })

  it('has a hint for a bare EINVAL', () => {
    expect(failure({}).hint).toContain('unknown to it')
  })
})

describe('a refusal by a kernel before 6.10', () => {
  const refused = failure({ log: VERIFIER.replaceAll(/ @ demo\.bpf\.c:\d+/g, '') })
  const position = { file: 'demo.bpf.c', line: 7, column: 3, text: 'return *p;' }

  it('gets its source from the object file', () => {
    const error = withSource(refused, (program, insn) => (program === 'f' && insn === 12 ? position : undefined))
    expect(error).toMatchObject({ code: 'VERIFIER_REJECTED', errno: 22, verifier: { insn: 12, source: position } })
    expect(error?.message).toContain('(demo.bpf.c:7)')
  })

  it('stays as it is without line information, and where the kernel told the source', () => {
    expect(withSource(refused, () => undefined)).toBeUndefined()
    expect(withSource(failure({ log: VERIFIER }), () => position)).toBeUndefined()
    expect(withSource(failure({}), () => position)).toBeUndefined()
  })
})

describe('the error for a program type that is younger than the kernel', () => {
  const programs = [
    { name: 'later', section: 'netfilter', type: 32, autoload: false },
    { name: 'look', section: 'syscall', type: 31, autoload: true },
  ]

  it('names the program, the version that it needs, and the one that runs', () => {
    const error = typeIsTooNew(failure({}), programs, '5.10.0-46-cloud-amd64')
    expect(error?.code).toBe('UNSUPPORTED')
    expect(error?.message).toMatch(/'look'.*syscall.*5\.14/)
    expect(error?.hint).toContain('5.10.0-46')
  })

  it('is none where the version is young enough, or the cause is known', () => {
    expect(typeIsTooNew(failure({}), programs, '5.14.0')).toBeUndefined()
    expect(typeIsTooNew(failure({}), programs, '6.1.0')).toBeUndefined()
    expect(typeIsTooNew(failure({ log: VERIFIER }), programs, '5.10.0')).toBeUndefined()
    expect(typeIsTooNew(failure({ errno: 1 }), programs, '5.10.0')).toBeUndefined()
  })
})

describe('the error for other failures', () => {
  it('says why a section name attaches nothing', () => {
    const error = failure({ call: 'bpf_program__attach', errno: 95, subject: `program 'f' of SEC("xdp")` })
    expect(error).toMatchObject({ code: 'UNSUPPORTED' })
    expect(error.message).toContain('a network interface')
  })

  it('tells where to look for a missing function or tracepoint', () => {
    const attach = { call: 'bpf_program__attach', errno: 2 }
    expect(failure({ ...attach, subject: `program 'f' of SEC("kprobe/gone")` }).hint).toContain('CONFIG_KPROBES')
    const tracepoint = failure({
      ...attach,
      subject: `program 'f' of SEC("tp/sched/gone")`,
      log: "libbpf: failed to determine tracepoint 'sched/gone' perf event ID: No such file or directory\n",
    })
    expect(tracepoint.hint).toContain('tracefs')
    expect(tracepoint.message).toContain("'sched/gone'")
  })

  it('takes over the cause that libbpf prints for a malformed object', () => {
    const error = failure({ call: 'bpf_object__open_skeleton', errno: 4001, log: "libbpf: elf: 'x' is not a proper ELF object\n" })
    expect(error).toMatchObject({ code: 'BAD_OBJECT', errno: undefined })
    expect(error.message).toContain('not a proper ELF object')
  })

  it('has sizes in it', () => {
    const error = failure({ call: 'bpf(BPF_MAP_LOOKUP_ELEM)', reason: 'size', subject: 'key', expected: 4, actual: 8 })
    expect(error).toMatchObject({ code: 'BAD_VALUE', message: 'key has 8 bytes instead of 4' })
  })
})
