/** What a compiled program calls in JavaScript. All parameters are i32: 64-bit values go in halves, low half first. */

/** Functions that each module imports, in this order; the helpers come behind them. */
export const IMPORT = {
  /** (slot, low, high, size, rights) -> i32: 0, or 1 where a load gives 0. Throws for a bad address. */
  FAULT: 0,
  /** (slot): throws for an instruction that can't be run. */
  STOP: 1,
  /** (slot): throws, as fuel ran out. */
  OUT_OF_FUEL: 2,
  /** (slot): throws, as there are too many frames. */
  TOO_DEEP: 3,
  /** (slot, size): throws for an atomic operation that doesn't exist. */
  BAD_ATOMIC: 4,
  /** (r1, r2, r3) -> i32: whether another program ran in place of the function. */
  TAIL_CALL: 5,
  /** (slot, r6, offset, size) -> i32: whether the packet had the bytes, which are in RESULT then. */
  PACKET: 6,
  /** (slot, id, r1 … r5): a helper whose id comes in a register. */
  CALL_BY_ID: 7,
  /** (slot, r0): throws for what a callback of bpf_loop may not answer. */
  BAD_CALLBACK: 8,
} as const

/** Parameters of each, and whether it gives an i32. */
export const IMPORT_TYPES: readonly (readonly [parameters: number, result: boolean])[] = [
  [5, true],
  [1, false],
  [1, false],
  [1, false],
  [2, false],
  [6, true],
  [5, true],
  [13, false],
  [3, false],
]

/** How many arguments helpers take that are called often. Five for all others: what is too many isn't looked at. */
const ARITY: ReadonlyMap<number, number> = new Map([
  [1, 2], // map_lookup_elem
  [2, 4], // map_update_elem
  [3, 2], // map_delete_elem
  [4, 3], // probe_read
  [5, 0], // ktime_get_ns
  [7, 0], // get_prandom_u32
  [8, 0], // get_smp_processor_id
  [14, 0], // get_current_pid_tgid
  [15, 0], // get_current_uid_gid
  [16, 2], // get_current_comm
  [35, 0], // get_current_task
  [87, 3], // map_push_elem
  [88, 2], // map_pop_elem
  [89, 2], // map_peek_elem
  [112, 3], // probe_read_user
  [113, 3], // probe_read_kernel
  [114, 3], // probe_read_user_str
  [115, 3], // probe_read_kernel_str
  [118, 0], // jiffies64
  [125, 0], // ktime_get_boot_ns
  [130, 4], // ringbuf_output
  [131, 3], // ringbuf_reserve
  [132, 2], // ringbuf_submit
  [133, 2], // ringbuf_discard
  [158, 0], // get_current_task_btf
  [160, 0], // ktime_get_coarse_ns
  [164, 4], // for_each_map_elem
  [181, 4], // loop
  [195, 3], // map_lookup_percpu_elem
])

export const MOST_ARGUMENTS = 5

/** Arguments that are passed to one of Linux's helpers. */
export function arityOf(helper: number): number {
  return ARITY.get(helper) ?? MOST_ARGUMENTS
}
