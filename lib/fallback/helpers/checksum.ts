/** Helpers of checksums. net/core/filter.c. */
import { EACCES, EFAULT, EINVAL, ENOTSUPP } from '../errors.js'
import { Access } from '../memory.js'
import {
  difference,
  partialSum,
  replaced2,
  replaced4,
  replacedByDifference,
  shortSum,
} from '../packets/checksum.js'
import type { SkBuff } from '../packets/sk-buff.js'
import type { Registers } from '../vm/types.js'
import { flagsIn, give, pointer, unsigned, type HelperFamily } from './arguments.js'
import { onSkb } from './packet-arguments.js'

/** BPF_F_HDR_FIELD_MASK: bytes of what has changed. */
const FIELD_SIZE = 0x0f
/** Of bpf_l4_csum_replace(). The pseudo header's only matters to checksums that hardware computes. */
const BPF_F_PSEUDO_HDR = 0x10
const BPF_F_MARK_MANGLED_0 = 0x20
const BPF_F_MARK_ENFORCE = 0x40
const BPF_F_IPV6 = 0x80
const L4_FLAGS = FIELD_SIZE | BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_IPV6
/** What stands for a checksum of 0 where 0 stands for none. */
const MANGLED_0 = 0xffff
const MAX_OFFSET = 0xffff
/** BPF_CSUM_LEVEL_*: what the level is, one more, one fewer, none. */
const LEVEL_QUERY = 0
const LEVEL_RESET = 3

export const checksumHelpers: HelperFamily = (machine) => ({
  /** bpf_l3_csum_replace, Linux 4.1 */
  10: onSkb(machine, 10, (skb, registers) => {
    const flags = flagsIn(registers, 5)
    give(
      registers,
      (flags & ~FIELD_SIZE) !== 0 || flags > FIELD_SIZE ? EINVAL : replace(skb, registers, flags, false),
    )
  }),
  /** bpf_l4_csum_replace, Linux 4.1 */
  11: onSkb(machine, 11, (skb, registers) => {
    const flags = flagsIn(registers, 5)
    give(registers, flags > L4_FLAGS ? EINVAL : replace(skb, registers, flags, true))
  }),
  /** bpf_csum_diff, Linux 4.6; in 16 bits since 6.13 */
  28: (registers, engine) => {
    const { memory } = machine
    const fromSize = unsigned(registers, 2)
    const toSize = unsigned(registers, 4)
    const seed = unsigned(registers, 5)
    const from = pointer(memory, registers, 1, fromSize, Access.read, engine, 28)
    const to = pointer(memory, registers, 3, toSize, Access.read, engine, 28)
    const old = memory.u8.subarray(from, from + fromSize)
    const now = memory.u8.subarray(to, to + toSize)
    give(registers, shortSum(change(old, now, seed)))
  },
  /** bpf_csum_update, Linux 4.9: of packets whose checksum hardware has computed. */
  40: onSkb(machine, 40, (_skb, registers) => give(registers, ENOTSUPP)),
  /** bpf_csum_level, Linux 5.7 */
  135: onSkb(machine, 135, (skb, registers) => {
    const level = registers.hi[2] === 0 ? unsigned(registers, 2) : Infinity
    if (level === LEVEL_QUERY) give(registers, skb.checksumLevel < 0 ? EACCES : skb.checksumLevel)
    else give(registers, level <= LEVEL_RESET ? skb.changeChecksumLevel(level) : EINVAL)
  }),
})

function change(from: Uint8Array, to: Uint8Array, seed: number): number {
  if (from.length > 0 && to.length > 0) return difference(partialSum(to, seed), partialSum(from, 0))
  if (to.length > 0) return partialSum(to, seed)
  return from.length > 0 ? ~partialSum(from, ~seed >>> 0) >>> 0 : seed
}

function replace(skb: SkBuff, registers: Registers, flags: number, isTransport: boolean): number {
  const offset = unsigned(registers, 2)
  if (offset > MAX_OFFSET || (offset & 1) !== 0) return EFAULT
  const at = skb.inside(offset, 2)
  if (at < 0) return EFAULT
  const { bytes } = skb
  const checksum = (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
  const mayBeNone = isTransport && (flags & BPF_F_MARK_MANGLED_0) !== 0
  if (mayBeNone && (flags & BPF_F_MARK_ENFORCE) === 0 && checksum === 0) return 0
  const from = unsigned(registers, 3)
  const to = unsigned(registers, 4)
  let result: number
  switch (flags & FIELD_SIZE) {
    case 0:
      if (from !== 0 || registers.hi[3] !== 0) return EINVAL
      result = replacedByDifference(checksum, to)
      break
    case 2:
      result = isTransport
        ? replaced4(checksum, from & 0xffff, to & 0xffff)
        : replaced2(checksum, from & 0xffff, to & 0xffff)
      break
    case 4:
      result = replaced4(checksum, from, to)
      break
    default:
      return EINVAL
  }
  if (mayBeNone && result === 0) result = MANGLED_0
  bytes[at] = result & 0xff
  bytes[at + 1] = result >> 8
  return 0
}
