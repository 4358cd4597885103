/** Attachments that are descriptors of a process rather than BPF links. */

/** BPF_FD_TYPE_*, by number, as `bpftool perf` prints them. */
export const TASK_FILE_KINDS = [
  'raw_tracepoint',
  'tracepoint',
  'kprobe',
  'kretprobe',
  'uprobe',
  'uretprobe',
] as const

export interface TaskFileInfo {
  readonly pid: number
  readonly fd: number
  readonly programId: number
  readonly kind: (typeof TASK_FILE_KINDS)[number] | 'unknown'
  /** Tracepoint, function of the kernel, or file; empty for a kprobe by address. */
  readonly name: string
  /** In the function or file. */
  readonly offset: bigint
  /** Of a kprobe by address. */
  readonly address: bigint
}
