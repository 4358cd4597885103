/** Programs that follow the kernel's objects: Linux and the fallback's verifier say the same, by the same types. */
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { verify, type ProgramVerdict } from '../../lib/index.js'

const OBJECT = new URL('../../bpf/test/kernel_objects.bpf.o', import.meta.url).pathname

const ACCEPTED = [
  'walks',
  'through_untrusted',
  'bytes_of_pointer',
  'comm_and_bits',
  'stores_for_task',
  'current_task',
  'trusted_memory',
  'checked_argument',
  'socket_of_packet',
  'dump_task',
  'dump_path',
  'in_hidden_function',
]

const REFUSED: readonly (readonly [program: string, reason: RegExp])[] = [
  ['writes', /^only read is supported$/],
  ['unchecked_argument', /^R\d invalid mem access 'trusted_ptr_or_null_'$/],
  ['unchecked_task', /^R\d invalid mem access 'trusted_ptr_or_null_'$/],
  ['half_pointer', /^cannot access ptr member real_parent with moff \d+ in struct task_struct with off \d+ size 4$/],
  ['far_beyond', /^access beyond struct task_struct at off 100000 size 8$/],
  ['in_front', /^R\d is ptr_task_struct invalid negative access: off=-8$/],
  ['variable_offset', /^R\d is ptr_task_struct invalid variable offset: off=0, var_off=\(0x0; 0x7\)$/],
  ['untrusted_argument', /^R1 type=untrusted_ptr_ expected=ptr_, trusted_ptr_, rcu_ptr_$/],
  ['wrong_struct', /^R1 is of type linux_binprm but task_struct is expected$/],
  ['path_in_tracepoint', /^helper call is not allowed in probe$/],
  ['answers_two', /^At program exit the register R0 has smin=2 smax=2 should have been in \[0, 1\]$/],
  ['prints_in_tracepoint', /^program of this type cannot use helper bpf_seq_write#127$/],
]

function judge(kernel: 'native' | 'fallback', program: string): ProgramVerdict | undefined {
  return verify(OBJECT, { kernel, program })[0]
}

describe.skipIf(!existsSync('/sys/kernel/btf/vmlinux'))('programs that follow kernel objects', () => {
  it.each(ACCEPTED)('%s is accepted by both, after as many instructions', (program) => {
    const linux = judge('native', program)
    expect(linux).toMatchObject({ accepted: true })
    expect(judge('fallback', program)).toMatchObject({ accepted: true, insnsProcessed: linux?.insnsProcessed })
  })

  it.each(REFUSED)('%s is refused by both, at the same instruction, in the same words', (program, reason) => {
    const linux = judge('native', program)
    expect(linux?.reason).toMatch(reason)
    const { errno, insnsProcessed } = linux ?? {}
    const fallback = judge('fallback', program)
    expect(fallback).toMatchObject({ accepted: false, errno, insnsProcessed, reason: linux?.reason })
    expect(fallback?.explanation?.insn).toBe(linux?.explanation?.insn)
  })
})
