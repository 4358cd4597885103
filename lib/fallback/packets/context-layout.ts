/**
 * How contexts with packets lie in the kernel's memory: as the program's struct has it, with addresses behind it. Linux keeps the addresses of a packet in
 * structs of its own, and turns loads of `data`, which has 32 bits in the program's struct, into loads of an address; so do we.
 */
import { accessedField, contextOf, type ContextValue } from '../../linux/context-access.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'

/** Bytes of struct __sk_buff, and of struct xdp_md. */
export const SKB_SIZE = 192
export const XDP_SIZE = 24
/** Behind the struct: the addresses of data, data_end and data_meta, of 8 bytes each. */
const POINTERS = 3
export const POINTER_SIZE = 8

const SKB_TYPES: ReadonlySet<number> = new Set([
  P.SOCKET_FILTER,
  P.SCHED_CLS,
  P.SCHED_ACT,
  P.CGROUP_SKB,
  P.LWT_IN,
  P.LWT_OUT,
  P.LWT_XMIT,
  P.LWT_SEG6LOCAL,
  P.SK_SKB,
  P.FLOW_DISSECTOR,
])

/** Bytes of the struct that programs of a type have for a context; undefined: it holds no addresses of packets that have 32 bits. */
export function structSize(programType: number): number | undefined {
  if (programType === P.XDP) return XDP_SIZE
  return SKB_TYPES.has(programType) ? SKB_SIZE : undefined
}

/** Whether contexts of programs of a type lie otherwise in memory than programs see them. */
export function hasConvertedContext(programType: number): boolean {
  return structSize(programType) !== undefined
}

/** Bytes of a context as it lies in memory. */
export function contextBytes(structBytes: number): number {
  return structBytes + POINTERS * POINTER_SIZE
}

const POINTER_INDEX: Partial<Readonly<Record<ContextValue, number>>> = {
  packet: 0,
  packet_end: 1,
  packet_meta: 2,
}

/** Members of struct __sk_buff that have 16 bits in struct sk_buff: queue_mapping, tc_index, tc_classid. */
const SHORT_FIELDS: ReadonlySet<number> = new Set([12, 44, 72])

export interface ContextAccess {
  readonly offset: number
  /** Bytes. */
  readonly size: number
  readonly write: boolean
}

/**
 * Where an access to the context really goes; undefined: where it says.
 *
 * @param access one that the verifier has allowed
 */
export function convertedAccess(
  programType: number,
  attachType: number,
  { offset, size, write }: ContextAccess,
): Pick<ContextAccess, 'offset' | 'size'> | undefined {
  const struct = structSize(programType)
  const context = contextOf(programType)
  if (struct === undefined || context === undefined) return undefined
  const value = accessedField(context, offset, size, write, attachType)?.value
  const index = value === undefined ? undefined : POINTER_INDEX[value]
  if (index !== undefined) return { offset: struct + index * POINTER_SIZE, size: POINTER_SIZE }
  if (write && struct === SKB_SIZE && size === 4 && SHORT_FIELDS.has(offset)) return { offset, size: 2 }
  return undefined
}
