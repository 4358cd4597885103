/** Programs that call the kernel's functions and refer to its variables: Linux and the fallback's verifier say the same. */
import { readFileSync } from 'node:fs'
import { compareVerifiers } from '../support/both-verifiers.js'
import { linuxIsAtLeast } from '../support/this-machine.js'

/** Whether this kernel knows where its data is (KALLSYMS_ALL): without, it refuses whatever refers to a variable. */
const knowsData = / runqueues$/m.test(readFileSync('/proc/kallsyms', 'utf8'))

compareVerifiers("programs that call the kernel's functions", {
  object: 'kernel_functions',
  accepted: [
    'sums',
    'acquires',
    'under_rcu',
    'finds',
    'masks',
    'walks_tasks',
    'slices',
    'addresses',
    'exchanges',
    ...(knowsData ? ['per_cpu'] : []),
  ],
  refused: [
    ['keeps', /^BPF_EXIT instruction in main prog would lead to reference leak$/],
    ['releases_borrowed', /^release kernel function bpf_task_release expects refcounted PTR_TO_BTF_ID$/],
    ['unchecked_release', /^Possibly NULL pointer passed to trusted arg0$/],
    ['use_after_release', /^R\d invalid mem access 'scalar'$/],
    [
      'releases_wrong',
      /^kernel function bpf_task_release args#0 expected pointer to STRUCT task_struct but R1 has a pointer to STRUCT cgroup$/,
    ],
    ['not_destroyed', /^BPF_EXIT instruction in main prog would lead to reference leak$/],
    ['not_made', /^expected an initialized iter_num as arg #0$/],
    ['made_twice', /^expected uninitialized iter_num as arg #0$/],
    [
      'beyond_array',
      /^math between map_value pointer and register with unbounded min value is not allowed$/,
    ],
    [
      'locked_at_exit',
      /^BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region$/,
    ],
    ['unlocks_twice', /^unmatched rcu read unlock \(kernel function bpf_rcu_read_unlock\)$/],
    [
      'not_preempted',
      /^BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region$/,
    ],
    // Linux 7.2 gives raw tracepoints the kernel functions of tracing; the fallback follows 6.18.
    ...(linuxIsAtLeast('7.0')
      ? []
      : [['not_in_raw_tracepoints', /^calling kernel function bpf_task_from_pid is not allowed$/] as const]),
    ['sleeps', /^program must be sleepable to call sleepable kfunc bpf_copy_from_user_str$/],
    ['forgets_exchanged', /^BPF_EXIT instruction in main prog would lead to reference leak$/],
    ['stores_referenced', /^store to referenced kptr disallowed$/],
    ['puts_borrowed', /^R2 must be referenced when passed to release function$/],
    ['acquires_seen', /^R1 must be a rcu pointer$/],
    ['half_kptr', /^kptr access size must be BPF_DW$/],
    ['variable_slice', /^R4 must be a known constant$/],
    ...(knowsData ? ([['writes_variable', /^only read is supported$/]] as const) : []),
  ],
})
