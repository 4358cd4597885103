/** Programs that follow the kernel's objects: Linux and the fallback's verifier say the same, by the same types. */
import { compareVerifiers } from '../support/both-verifiers.js'

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

compareVerifiers('programs that follow kernel objects', {
  object: 'kernel_objects',
  accepted: ACCEPTED,
  refused: REFUSED,
})
