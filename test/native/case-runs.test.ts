/** What fuzz:verifier does with many programs, with a few: a kernel says of each what it is, what it gives and what it leaves. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BatchJudge } from '../support/batch-judge.js'
import { inputOf, runHere } from '../support/case-run.js'
import { RemoteBpf } from '../support/remote-bpf.js'
import { describeSince } from '../support/require-kernel.js'
import { parseCases } from '../verifier/case-file.js'
import { programOf, type CaseProgram } from '../verifier/case-program.js'

const MAPS = 'map array = array value=16\nmap values = hash key=8 value=16 max=4\n'

function program(code: string, type = 'syscall'): CaseProgram {
  const [one] = parseCases('runs', `## one\n  ${code.split('; ').join('\n  ')}\naccepted`, MAPS)
  if (one === undefined) throw new Error('no case')
  const flags = type === 'syscall' ? 'sleepable' : ''
  return programOf({ ...one, settings: new Map(Object.entries({ type, flags })) })
}

const LOOKUP = '*(u64 *)(r10 -8) = 1; r2 = r10; r2 += -8; r1 = map[values]; call bpf_map_lookup_elem'

// Running a sleepable program takes Linux 5.14.
describeSince('5.14')('a batch of calls', () => {
  let judge: BatchJudge
  beforeAll(() => {
    judge = new BatchJudge(new RemoteBpf())
  })
  afterAll(() => judge[Symbol.asyncDispose]())

  it.each([
    ['a number', 'r0 = 7; exit'],
    ['the context, written to', '*(u32 *)(r1 +8) = 5; r0 = *(u32 *)(r1 +4); exit'],
    ['values, written to', `${LOOKUP}; if r0 == 0 goto pc+1; *(u64 *)(r0 +8) = 9; r0 = 0; exit`],
    ['a map that isn’t looked at', 'r1 = map[array]; r0 = 1; exit'],
  ])('judges and runs: %s', async (_name, code) => {
    const one = program(code)
    const input = inputOf(one)
    if (input === undefined) throw new Error('nothing to run on')
    const { verdict, run } = await judge.judge(one, input)
    expect(verdict).toMatchObject({ accepted: true, errno: 0 })
    expect(verdict.insnsProcessed).toBeGreaterThan(1)
    expect(run).toHaveProperty('retval')
    expect(run).toEqual(runHere(one, input))
  })

  const PACKET = 'r2 = *(u32 *)(r1 +DATA); r3 = *(u32 *)(r1 +END); r4 = r2; r4 += 20; if r4 <= r3 goto pc+2; r0 = 0; exit'

  it.each([
    ['xdp', `${PACKET.replace('DATA', '0').replace('END', '4')}; *(u8 *)(r2 +15) = 9; r0 = *(u8 *)(r2 +16); exit`],
    ['sched_cls', `${PACKET.replace('DATA', '76').replace('END', '80')}; *(u8 *)(r2 +15) = 9; r0 = *(u32 *)(r1 +0); exit`],
    ['socket_filter', 'r0 = *(u32 *)(r1 +0); exit'],
  ])('judges and runs programs of packets: %s', async (type, code) => {
    const one = program(code, type)
    const input = inputOf(one)
    if (input === undefined) throw new Error('nothing to run on')
    const { run } = await judge.judge(one, input)
    expect(run).toHaveProperty('data')
    expect(run).toEqual(runHere(one, input))
  })

  it('tells what is left in maps', async () => {
    const one = program(`${LOOKUP}; if r0 == 0 goto pc+1; *(u64 *)(r0 +8) = 9; r0 = 0; exit`)
    const { run } = await judge.judge(one, inputOf(one))
    expect(run).toMatchObject({
      maps: ['values 0000000000000000=00112233445566778899aabbccddeeff 0100000000000000=00112233445566770900000000000000'],
    })
  })

  it('says why a program is refused, and goes on', async () => {
    const { verdict, run } = await judge.judge(program('r0 = r5; exit'), { ctx: new Uint8Array(8) })
    expect(verdict).toMatchObject({ accepted: false, errno: 13, insn: 0, reason: 'R5 !read_ok' })
    expect(run).toBeUndefined()
    expect((await judge.judge(program('r0 = 1; exit'))).verdict.accepted).toBe(true)
  })
})
