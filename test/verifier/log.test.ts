/** The verifier's log: written in Linux's format, and read whoever wrote it, however old the kernel. */
import { describe, expect, it } from 'vitest'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { parseVerifierLog, verify } from '../../lib/index.js'
import { casesOf, titleOf, topics } from './case-file.js'
import { programOf, verifierProgram } from './case-program.js'

const bpf = (name: string): string => new URL(`../../bpf/test/${name}.bpf.o`, import.meta.url).pathname

const logOf = (object: string, program: string, logLevel: number): string =>
  verify(bpf(object), { program, logLevel })[0]?.log ?? ''

describe('the log of a refused program', () => {
  const lines = logOf('rejected', 'careless', 1).split('\n')

  it('starts with what the program starts with', () => {
    expect(lines[0]).toBe('0: R1=ctx() R10=fp0')
  })

  it('shows source lines with their places, once each', () => {
    expect(lines.filter((line) => line.startsWith('; '))).toEqual([
      '; int careless(void *ctx) { @ rejected.bpf.c:15',
      '; u32 key = 7; @ rejected.bpf.c:16',
      '; u32 *value = bpf_map_lookup_elem(&values, &key); @ rejected.bpf.c:17',
      '; return *value; @ rejected.bpf.c:18',
    ])
  })

  it('shows what an instruction did behind it, in the column where Linux has it', () => {
    expect(lines).toContain('3: (07) r2 += -4                      ; R2=fp-4')
    expect(lines).toContain(
      '6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=values,ks=4,vs=4)',
    )
  })

  it('ends with the failing instruction, the reason and the summary', () => {
    expect(lines.slice(-4)).toEqual([
      '7: (61) r0 = *(u32 *)(r0 +0)',
      "R0 invalid mem access 'map_value_or_null'",
      'processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0',
      '',
    ])
  })
})

describe('the log of an accepted program', () => {
  it('keeps nothing but the summary at level 1', () => {
    expect(logOf('contract', 'bump', 1)).toMatch(/^processed 27 insns .* mark_read 0\n$/)
  })

  it('keeps all paths at level 2', () => {
    const log = logOf('contract', 'bump', 2)
    expect(log).toMatch(
      /^1: \(61\) r1 = .*; R1=scalar\(smin=0,smax=umax=0xffffffff,var_off=\(0x0; 0xffffffff\)\) R6=ctx\(\)$/m,
    )
    expect(log).toMatch(/\n\nfrom 10 to 14: safe\n/)
  })

  it('has the time at level 4', () => {
    expect(logOf('contract', 'bump', 4)).toMatch(/^verification time \d+ usec\nprocessed 27 insns/)
  })
})

describe('level 2', () => {
  const cases = topics().flatMap((topic) =>
    casesOf(topic).filter((one) => one.settings.get('only') === undefined),
  )
  const logOfCase = (topic: string, rule: string, variant: string, level: number): readonly string[] => {
    const one = cases.find((each) => each.topic === topic && each.rule === rule && each.variant === variant)
    if (one === undefined) throw new Error(`no case ${topic}: ${rule}: ${variant}`)
    return verifyProgram(verifierProgram(programOf(one)), { log: { level, lines: [] } }).log.split('\n')
  }
  const loop = logOfCase('callbacks', 'callbacks of bpf_loop', 'r3 = r1', 2)

  it('starts with functions and live registers', () => {
    expect(loop.slice(0, 4)).toEqual([
      'func#0 @0',
      'func#1 @8',
      'Live regs before insn:',
      '      0: .......... (b7) r1 = 10',
    ])
  })

  it('remarks what is precise, and why, as Linux does', () => {
    expect(loop.filter((line) => line.startsWith('mark_precise')).slice(0, 4)).toEqual([
      'mark_precise: frame0: last_idx 5 first_idx 5 subseq_idx -1 ',
      'mark_precise: frame0: parent state regs=r4 stack=:  R1=10 R2=func() R3=0 R4=P0 R10=fp0',
      'mark_precise: frame0: last_idx 4 first_idx 0 subseq_idx 5 ',
      'mark_precise: frame0: regs=r4 stack= before 4: (b7) r4 = 0',
    ])
    expect(loop).toContain('frame 0: propagating r1,r4')
  })

  it('remarks calls and returns', () => {
    const at = loop.indexOf('returning from callee:')
    expect(loop.slice(at, at + 4)).toEqual([
      'returning from callee:',
      ' frame1: R0=0 R1=scalar(id=1) R2=0 R3=scalar(id=1) R10=fp0 cb',
      'to caller at 5:',
      ' R1=10 R2=func() R3=0 R4=0 R10=fp0',
    ])
  })

  it('alone has them', () => {
    const path = logOfCase('callbacks', 'callbacks of bpf_loop', 'r10 = 0', 1)
    expect(path.filter((line) => /^(?:mark_precise|func#|Live|frame \d)/.test(line))).toEqual([])
  })

  it('changes nothing: paths are walked back by single steps for its remarks, and in one go without them', () => {
    for (const one of cases) {
      const program = verifierProgram(programOf(one))
      const figures = [verifyProgram(program), verifyProgram(program, { log: { level: 2, lines: [] } })].map(
        ({ accepted, reason, insn, insnsProcessed, totalStates, peakStates }) =>
          JSON.stringify({ accepted, reason, insn, insnsProcessed, totalStates, peakStates }),
      )
      expect(figures[1], `${one.topic}: ${titleOf(one)}`).toBe(figures[0])
    }
  })

  it('is read: the same reason and instruction, and no reason where there is none', () => {
    for (const one of cases) {
      const verdict = verifyProgram(verifierProgram(programOf(one)), { log: { level: 2, lines: [] } })
      const { reason, steps } = parseVerifierLog(verdict.log)
      const title = `${one.topic}: ${titleOf(one)}`
      const isAtInsn = !verdict.accepted && verdict.insn !== undefined
      expect({ title, reason, insn: isAtInsn ? steps.at(-1)?.insn : undefined }).toEqual({
        title,
        reason: verdict.reason,
        insn: verdict.insn,
      })
    }
  })
})

const NEW = `func#0 @0
0: R1=ctx() R10=fp0
; int f(void *ctx) @ probe.bpf.c:10
0: (79) r2 = *(u64 *)(r1 +0)          ; R1=ctx() R2=scalar()
; if (index > 9) @ probe.bpf.c:12
1: (25) if r2 > 0x9 goto pc+2         ; R2=scalar(smin=smin32=0,smax=umax=9,var_off=(0x0; 0xf))
2: (b7) r0 = 0                        ; R0=0
3: (95) exit

from 1 to 4: R1=ctx() R2=scalar(umin=10) R10=fp0 fp-8=mmmm????
; return *index; @ probe.bpf.c:14
4: (71) r0 = *(u8 *)(r2 +0)
R2 invalid mem access 'scalar'
verification time 50 usec
stack depth 8
processed 5 insns (limit 1000000) max_states_per_insn 1 total_states 2 peak_states 3 mark_read 0
`

const OLD = `Func#0 is global and valid. Skipping.
0: R1=ctx(id=0,off=0,imm=0) R10=fp0
; int f(void *ctx)
0: (79) r2 = *(u64 *)(r1 +0)
1: R1=ctx(id=0,off=0,imm=0) R2_w=inv(id=0) R10=fp0
; if (index > 9)
1: (25) if r2 > 0x9 goto pc+2
 R1=ctx(id=0,off=0,imm=0) R2_w=inv(id=0,umax_value=9,var_off=(0x0; 0xf)) R10=fp0
2: (b7) r0 = 0
last_idx 2 first_idx 0
regs=4 stack=0 before 1: (25) if r2 > 0x9 goto pc+2
3: (95) exit

from 1 to 4: R1=ctx(id=0,off=0,imm=0) R2_w=inv(id=0,umin_value=10) R10=fp0
; return *index;
4: (71) r0 = *(u8 *)(r2 +0)
R2 invalid mem access 'inv'
processed 5 insns (limit 1000000) max_states_per_insn 1 total_states 2 peak_states 3 mark_read 1
`

describe('parseVerifierLog()', () => {
  it.each([
    ['new', NEW, "R2 invalid mem access 'scalar'", 'scalar(umin=10)'],
    ['old', OLD, "R2 invalid mem access 'inv'", 'inv(id=0,umin_value=10)'],
  ])('reads the %s format: reason, path, registers, statistics', (_age, log, reason, r2) => {
    const report = parseVerifierLog(log)
    expect(report.reason).toBe(reason)
    // Not the instructions of the path that ended well.
    expect(report.steps.map(({ insn }) => insn)).toEqual([0, 1, 4])
    expect(report.state['R2']).toBe(r2)
    expect(report.statistics).toEqual({
      insnsProcessed: 5,
      maxStatesPerInsn: 1,
      totalStates: 2,
      peakStates: 3,
    })
  })

  it('has places of source lines where the kernel tells them', () => {
    expect(parseVerifierLog(NEW).steps.at(-1)?.source).toEqual({
      text: 'return *index;',
      file: 'probe.bpf.c',
      line: 14,
    })
    expect(parseVerifierLog(OLD).steps.at(-1)?.source).toEqual({
      text: 'return *index;',
      file: undefined,
      line: undefined,
    })
  })

  it('reads what Linux 7.2 adds: a summary of its own, and sources behind jumps', () => {
    const log = `; if (!value) return XDP_PASS; @ hints.bpf.c:71
7: (15) if r0 == 0x0 goto pc+2        ; R0=map_value(map=table,ks=4,vs=64)
; while (*value != 7) @ hints.bpf.c:72
8: (79) r1 = *(u64 *)(r0 +0)          ; R0=map_value(map=table,ks=4,vs=64) R1=scalar()
9: (55) if r1 != 0x7 goto pc-2 ; while (*value != 8) @ hints.bpf.c:73
infinite loop detected at insn 8
cur state: R0=map_value(map=table,ks=4,vs=64) R10=fp0
old state: R0=map_value(map=table,ks=4,vs=64) R10=fp0
verification time 7631 usec
stack depth 8 max 0
insns processed 12
processed 12 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0
`
    const { reason, steps, statistics } = parseVerifierLog(log)
    expect(reason).toBe('infinite loop detected at insn 8')
    expect(statistics?.insnsProcessed).toBe(12)
    expect(steps.map(({ insn, text, source }) => [insn, text, source?.line])).toEqual([
      [7, 'if r0 == 0x0 goto pc+2', 71],
      [8, 'r1 = *(u64 *)(r0 +0)', 72],
      [9, 'if r1 != 0x7 goto pc-2', 72],
    ])
  })

  it('finds no reason in the log of an accepted program', () => {
    expect(parseVerifierLog(logOf('contract', 'bump', 6)).reason).toBeUndefined()
  })

  it('knows the frame of a function from that of its caller', () => {
    const report = parseVerifierLog(`0: R1=ctx() R10=fp0
0: (bf) r6 = r1                       ; R1=ctx() R6=ctx()
1: (85) call pc+1
caller:
 R6=ctx() R10=fp0
callee:
 frame1: R1=ctx() R10=fp0
3: frame1: R1=ctx() R10=fp0
3: (61) r0 = *(u32 *)(r2 +0)
R2 !read_ok
`)
    expect(report.state).toEqual({ R1: 'ctx()', R10: 'fp0' })
    expect(report.reason).toBe('R2 !read_ok')
  })

  it('takes anything', () => {
    expect(parseVerifierLog('')).toEqual({ steps: [], reason: undefined, state: {}, statistics: undefined })
    expect(parseVerifierLog('R1=(((\n1: (ff')).toMatchObject({ steps: [] })
  })
})
