/** Programs on functions and security hooks of the kernel: Linux and the fallback's verifier say the same. */
import { compareVerifiers } from '../support/both-verifiers.js'

compareVerifiers('programs on functions and hooks', {
  needs: { since: '6.12', machine: true },
  object: 'kernel_hooks',
  accepted: [
    'entry_path',
    'entry_socket',
    'exit_pointer',
    'exit_number',
    'arguments_by_helper',
    'hook',
    'hook_without_result',
    'hook_that_sleeps',
    'hook_result',
    'untrusted_hook',
  ],
  // 6.12 and 6.18.15 take a result for 0, which 7.2 does not.
  countedOtherwise: ['hook_result'],
  refused: [
    [
      'entry_returns_one',
      /^At program exit the register R0 has smin=1 smax=1 should have been in \[0, 0\]$/,
    ],
    ['entry_result', /^invalid bpf_context access off=8 size=8$/],
    ['entry_writes', /^only read is supported$/],
    ['entry_path_helper', /^helper call is not allowed in probe$/],
    ['entry_wrong_struct', /^R1 is of type path but sock_common is expected$/],
    [
      'hook_returns_one',
      /^At program exit the register R0 has smin=1 smax=1 should have been in \[-4095, 0\]$/,
    ],
    [
      'hook_returns_any',
      /^At program exit the register R0 has unknown scalar value should have been in \[-4095, 0\]$/,
    ],
    ['hook_may_not_sleep', /is not sleepable$|points to disabled hook/],
    ['disabled_hook', /points to disabled hook bpf_lsm_getprocattr$/],
    ['hook_prints', /^program of this type cannot use helper bpf_seq_write#127$/],
    ['third_argument', /^invalid bpf_context access off=8 size=8$/],
  ],
})
