/** Fields of values and objects that the kernel manages: how large they are. */

const SIZES: Readonly<Record<string, number>> = {
  bpf_spin_lock: 4,
  bpf_res_spin_lock: 4,
  bpf_refcount: 4,
  bpf_timer: 16,
  bpf_wq: 16,
  bpf_list_head: 16,
  bpf_list_node: 24,
  bpf_rb_root: 16,
  bpf_rb_node: 32,
}

/** Bytes: pointers and the like have eight. */
export function fieldSize(kind: string): number {
  return SIZES[kind] ?? 8
}
