/** Which verb attaches programs of which type. */
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { requireVerb } from '../../lib/attach/verbs.js'
import { BPF_ATTACH_TYPE } from '../../lib/linux/attach-types.js'
import { BPF_PROG_TYPE, PROGRAM_TYPES } from '../../lib/linux/program-types.js'
import type { ProgramInfo } from '../../lib/kernel.js'
import { thrownBy } from '../support/native.js'

const program = (type: number, expectedAttachType = 0): ProgramInfo => ({
  name: 'p', section: 's', id: 1, type, expectedAttachType, tag: '', log: '',
}) // prettier-ignore

/** What is said where a verb is the wrong one. */
function hintFor(type: number, attachType = 0): string | undefined {
  const verb = type === BPF_PROG_TYPE.XDP ? 'attachTc' : 'attachXdp'
  const error = thrownBy(() => requireVerb(program(type, attachType), verb))
  return error instanceof BpfError ? error.hint : undefined
}

describe('the verb for a program', () => {
  it('is told by the wrong one, for every type; or what else one does with it', () => {
    for (const { type } of PROGRAM_TYPES) expect(hintFor(type)).toMatch(/\w+\(\)|ir-keytable|No verb/)
    expect(hintFor(BPF_PROG_TYPE.SYSCALL)).toContain('program.run()')
    expect(hintFor(BPF_PROG_TYPE.STRUCT_OPS)).toContain('attachStructOps()')
  })

  it('goes by the attach type where a program type has several', () => {
    expect(hintFor(BPF_PROG_TYPE.TRACING, BPF_ATTACH_TYPE.TRACE_ITER)).toBe('Use attachIterator()')
    expect(hintFor(BPF_PROG_TYPE.TRACING, BPF_ATTACH_TYPE.TRACE_FSESSION)).toBe('Use attachTrace()')
    expect(hintFor(BPF_PROG_TYPE.LSM, BPF_ATTACH_TYPE.LSM_CGROUP)).toBe('Use attachCgroup()')
    expect(hintFor(BPF_PROG_TYPE.KPROBE, BPF_ATTACH_TYPE.TRACE_KPROBE_MULTI)).toBe('Use attachKprobeMulti()')
  })

  it('there is none of, for infrared receivers', () => {
    expect(thrownBy(() => requireVerb(program(BPF_PROG_TYPE.LIRC_MODE2), 'attachXdp'))).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('lirc_mode2') as string,
    })
  })
})
