/** What a refusal is explained with: instruction, place, path, registers, and what to do about it. */
import { describe, expect, it } from 'vitest'
import { explainVerifierLog, verify } from '../../lib/index.js'

const object = (name: string): string => new URL(`../../bpf/test/${name}.bpf.o`, import.meta.url).pathname

const LOG = `0: R1=ctx() R10=fp0
0: (79) r2 = *(u64 *)(r1 +0)          ; R2=scalar()
1: (25) if r2 > 0x9 goto pc+2         ; R2=scalar(umax=9)
2: (15) if r2 == 0x0 goto pc+7
10: (71) r0 = *(u8 *)(r2 +0)
`

const refused = (reason: string): string =>
  `${LOG}${reason}\nprocessed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n`

describe('explainVerifierLog()', () => {
  it('names the failing instruction and what registers held', () => {
    expect(explainVerifierLog(refused("R2 invalid mem access 'scalar'"))).toMatchObject({
      reason: "R2 invalid mem access 'scalar'",
      insn: 10,
      instruction: 'r0 = *(u8 *)(r2 +0)',
      registers: { R1: 'ctx()', R2: 'scalar(umax=9)', R10: 'fp0' },
    })
  })

  it('tells the path, fork by fork', () => {
    expect(explainVerifierLog(refused('x'))?.path).toMatchObject([
      { insn: 1, condition: 'r2 > 0x9', holds: false },
      { insn: 2, condition: 'r2 == 0x0', holds: true },
    ])
  })

  it('takes places from line information', () => {
    const lines = [{ offset: 0, file: 'src/a.bpf.c', line: 3, column: 7, text: '  f(x);' }]
    expect(explainVerifierLog(refused('x'), { lines })?.source).toEqual({
      file: 'src/a.bpf.c',
      line: 3,
      column: 7,
      text: 'f(x);',
    })
  })

  it.each([
    ["R0 invalid mem access 'map_value_or_null'", /r0 may be NULL/],
    ["R0 invalid mem access 'ringbuf_mem_or_null'", /r0 may be NULL/],
    ['invalid access to packet, off=0 size=14, R2(id=0,off=0,r=0)', /data_end/],
    ['invalid access to map value, value_size=16 off=64 size=1', /index &= SIZE - 1/],
    ['R0 unbounded memory access, make sure to bounds check any such access', /index &= SIZE - 1/],
    ["R2 min value is negative, either use unsigned or 'var &= const'", /index &= SIZE - 1/],
    ['Unreleased reference id=2 alloc_insn=4', /bpf_ringbuf_submit\(\)/],
    ['BPF_EXIT instruction in main prog would lead to reference leak', /bpf_ringbuf_submit\(\)/],
    ['infinite loop detected at insn 4', /bpf_loop\(\)/],
    ['back-edge from insn 6 to 2', /bpf_loop\(\)/],
    ['BPF program is too large. Processed 1000001 insn', /bpf_loop\(\)/],
    [
      'program of this type cannot use helper bpf_sys_bpf#166',
      /bpf_sys_bpf\(\) is not for programs of type xdp/,
    ],
    ['unknown func bpf_loop#181', /bpf_loop\(\) is not for programs of type xdp/],
    ['cannot call GPL-restricted function from non-GPL compatible program', /licence/],
    ['R3 !read_ok', /r3 was never written/],
    ['R0 !read_ok', /without a return value/],
    ['invalid read from stack R2 off -16+0 size 8', /never written/],
    ['UNSUPPORTED: kfunc bpf_cpumask_create', /--kernel native/],
  ])('knows what to do about: %s', (reason, hint) => {
    expect(explainVerifierLog(refused(reason), { programType: 'xdp' })?.hint).toMatch(hint)
  })

  it('takes the line before for what Linux 7.2 says of all memory', () => {
    const outside = 'R2 min value is outside of the allowed memory range'
    const inPacket = `invalid access to packet, off=12 size=1, R2(id=0,off=12,r=12)\n${outside}`
    expect(explainVerifierLog(refused(inPacket))).toMatchObject({
      reason: outside,
      hint: expect.stringContaining('data_end') as unknown,
    })
    expect(explainVerifierLog(refused(outside))?.hint).not.toContain('data_end')
  })

  it('has no hint for what it does not know', () => {
    expect(explainVerifierLog(refused('dereference of modified ctx ptr'))?.hint).toBeUndefined()
  })

  it('has nothing to explain of an accepted program', () => {
    expect(explainVerifierLog('processed 2 insns (limit 1000000)')).toBeUndefined()
  })
})

describe('verify()', () => {
  it('explains with file, line and column of the C source', () => {
    const [verdict] = verify(object('rejected'))
    expect(verdict).toMatchObject({
      program: 'careless',
      type: 'socket_filter',
      accepted: false,
      errno: 13,
      reason: "R0 invalid mem access 'map_value_or_null'",
      insnsProcessed: 7,
      explanation: {
        insn: 7,
        source: { line: 18, column: 10, text: 'return *value;' },
        registers: { R0: 'map_value_or_null(id=1,map=values,ks=4,vs=4)' },
      },
    })
  })

  it('says nothing more of accepted programs', () => {
    const [verdict] = verify(object('contract'), { program: 'bump' })
    expect(verdict).toMatchObject({ accepted: true, errno: 0, insnsProcessed: 27, peakStates: 1, log: '' })
    expect([verdict?.reason, verdict?.explanation]).toEqual([undefined, undefined])
  })

  it('verifies as another type on demand', () => {
    const [verdict] = verify(object('rejected'), { type: 'xdp' })
    expect(verdict?.type).toBe('xdp')
  })

  it('gives a verdict on what never comes before the verifier', () => {
    const [verdict] = verify(object('refused'), { program: 'unknown_section' })
    expect(verdict).toMatchObject({ accepted: false, errno: 22, insnsProcessed: undefined })
    expect(verdict?.reason).toMatch(/sysfall\/typo/)
  })

  it.each([
    [{ program: 'bumb' }, 'NOT_FOUND', /bump/],
    [{ type: 'xpd' }, 'BAD_VALUE', /xdp/],
    [{ logLevel: 8 }, 'BAD_VALUE', /logLevel/],
  ])('refuses %o', (options, code, message) => {
    expect(() => verify(object('contract'), options)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })
})
