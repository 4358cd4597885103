/**
 * The kernel functions (kfuncs) that programs can call here. Linux numbers them by its BTF; engines call them like helpers, by ids that no helper has.
 */

/** By name, how many arguments each takes. */
const KFUNCS = {
  bpf_iter_num_new: 3,
  bpf_iter_num_next: 1,
  bpf_iter_num_destroy: 1,
  bpf_rcu_read_lock: 0,
  bpf_rcu_read_unlock: 0,
  bpf_preempt_disable: 0,
  bpf_preempt_enable: 0,
  bpf_local_irq_save: 1,
  bpf_local_irq_restore: 1,
  bpf_rdonly_cast: 2,
  bpf_task_from_pid: 1,
  bpf_task_from_vpid: 1,
  bpf_task_acquire: 1,
  bpf_task_release: 1,
  bpf_arena_alloc_pages: 5,
  bpf_arena_free_pages: 3,
} as const

export type KfuncName = keyof typeof KFUNCS

/** Helpers have small numbers, and libbpf marks dead calls with large ones: between them. */
const FIRST = 0x100000
const NAMES = Object.keys(KFUNCS) as readonly KfuncName[]

/** What engines know a kernel function by; undefined: it can't be called here. */
export function kfuncId(name: string): number | undefined {
  const at = NAMES.findIndex((known) => known === name)
  return at < 0 ? undefined : FIRST + at
}

export function kfuncName(id: number): KfuncName | undefined {
  return NAMES[id - FIRST]
}

/** Arguments of a function, by id; undefined: it is no kernel function. */
export function kfuncArity(id: number): number | undefined {
  const name = kfuncName(id)
  return name === undefined ? undefined : KFUNCS[name]
}

export const ITER_NUM_NEXT = FIRST + NAMES.indexOf('bpf_iter_num_next')
