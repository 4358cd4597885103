/**
 * What producers and consumers of a ring buffer share: a block of words in the kernel's memory, so that compiled programs produce without a call. Byte offsets
 * in the block.
 */
export const RING_CONTROL = {
  /** i64 each: positions, which only grow. The oldest record that isn't committed lies at PENDING or behind. */
  CONSUMER: 0,
  PRODUCER: 8,
  PENDING: 16,
  /** i32: bytes of the ring, less one. */
  MASK: 24,
  /** i32: address of the data, twice as long as the ring. */
  DATA: 28,
  /** i32: how many want to be woken. */
  WAITERS: 32,
  BYTES: 48,
} as const

/** In front of each record: its length and state, and four bytes that are 0 here. */
export const RING_HEADER = 8
/** Bits of a record's header. */
export const RING_BUSY = 0x80000000
export const RING_DISCARD = 0x40000000
export const RING_LENGTH = 0x3fffffff
