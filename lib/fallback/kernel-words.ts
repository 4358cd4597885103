/**
 * Words of the kernel's own in the null page, which is never handed out: what compiled programs read without a call. Byte offsets in the
 * linear memory.
 */
export const KERNEL_WORD = {
  /** i32: where the shadow starts. */
  SHADOW: 8,
  /** i64: granules of the memory, which is how many bytes the shadow has. */
  GRANULES: 16,
  /** i64: nanoseconds since boot, where the clock is a manual one. */
  CLOCK: 24,
  /** i32: the CPU that runs. */
  CPU: 32,
  /** i32: state of the random numbers. */
  RANDOM: 36,
  /** i32: how many of the records below there are. */
  RESERVED: 40,
  /** i32 each: thread and process of the current task. */
  TASK: 48,
  /** i32 each: user and group of the current task. */
  USER: 56,
  /** Records of ring buffers that are reserved: i32 address of the record, i32 address of the ring's block; MOST_RESERVED of them, the newest last. */
  RECORDS: 64,
} as const

/** Records that have room in the null page. */
export const MOST_RESERVED = 4096
