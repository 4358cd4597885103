/** Helpers of struct __sk_buff: bytes, bounds, tags, hashes. net/core/filter.c. */
import { SKB_FIELD } from '../../linux/context-access.js'
import { EFAULT, EINVAL } from '../errors.js'
import { Access } from '../memory.js'
import { adjustFlags, adjustRoom } from '../packets/adjust-room.js'
import { flowHash } from '../packets/flow-hash.js'
import type { SkBuff } from '../packets/sk-buff.js'
import type { Engine, Registers } from '../vm/types.js'
import type { Machine } from '../machine.js'
import { flagsIn, give, givePointer, giveWide, pointer, unsigned, type HelperFamily } from './arguments.js'
import { onSkb } from './packet-arguments.js'

const BPF_F_RECOMPUTE_CSUM = 1
const BPF_F_INVALIDATE_HASH = 2
const MAX_INT = 0x7fffffff
const MAX_RELATIVE = 0xffff
const HEADER = { MAC: 0, NET: 1 } as const

export const skbHelpers: HelperFamily = (machine) => ({
  /** bpf_skb_store_bytes, Linux 4.1 */
  9: onSkb(machine, 9, (skb, registers, engine) => {
    const size = unsigned(registers, 4)
    const from = pointer(machine.memory, registers, 3, size, Access.read, engine, 9)
    const flags = flagsIn(registers, 5)
    if (flags > (BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH)) return give(registers, EINVAL)
    const offset = unsigned(registers, 2)
    const at = offset > MAX_INT ? -1 : skb.inside(offset, size)
    if (at < 0) return give(registers, EFAULT)
    skb.bytes.copyWithin(at, from, from + size)
    if ((flags & BPF_F_INVALIDATE_HASH) !== 0) skb.setField(SKB_FIELD.hash, 0)
    give(registers, 0)
  }),
  /** bpf_get_cgroup_classid and bpf_get_route_realm, Linux 4.3 and 4.4: packets of test runs have neither. */
  17: onSkb(machine, 17, (_skb, registers) => give(registers, 0)),
  24: onSkb(machine, 24, (_skb, registers) => give(registers, 0)),
  /** bpf_skb_vlan_push and bpf_skb_vlan_pop, Linux 4.3 */
  18: onSkb(machine, 18, (skb, registers) =>
    give(registers, skb.pushVlan(unsigned(registers, 2) & 0xffff, unsigned(registers, 3) & 0xffff)),
  ),
  19: onSkb(machine, 19, (skb, registers) => give(registers, skb.popVlan())),
  /** bpf_skb_load_bytes, Linux 4.5 */
  26: onSkb(machine, 26, (skb, registers, engine) => {
    const offset = unsigned(registers, 2)
    const size = unsigned(registers, 4)
    load(machine, registers, engine, 26, size, offset > MAX_INT ? -1 : skb.inside(offset, size))
  }),
  /** bpf_skb_load_bytes_relative, Linux 4.18 */
  68: onSkb(machine, 68, (skb, registers, engine) => {
    const offset = unsigned(registers, 2)
    const size = unsigned(registers, 4)
    const start = headerOf(skb, unsigned(registers, 5))
    const at = start < 0 || offset > MAX_RELATIVE || start + offset + size > skb.end ? -1 : start + offset
    load(machine, registers, engine, 68, size, at)
  }),
  /** bpf_skb_change_proto and bpf_skb_change_type, Linux 4.8 */
  31: onSkb(machine, 31, (skb, registers) =>
    give(
      registers,
      flagsIn(registers, 3) !== 0 ? EINVAL : skb.changeProtocol(unsigned(registers, 2) & 0xffff),
    ),
  ),
  32: onSkb(machine, 32, (skb, registers) => give(registers, skb.changeType(unsigned(registers, 2)))),
  /** bpf_get_hash_recalc, Linux 4.8 */
  34: onSkb(machine, 34, (skb, registers) => {
    if (skb.field(SKB_FIELD.hash) === 0) skb.setField(SKB_FIELD.hash, flowHash(skb))
    giveWide(registers, skb.field(SKB_FIELD.hash))
  }),
  /** bpf_skb_change_tail, Linux 4.9 */
  38: onSkb(machine, 38, (skb, registers) =>
    give(registers, flagsIn(registers, 3) !== 0 ? EINVAL : skb.changeTail(unsigned(registers, 2))),
  ),
  /** bpf_skb_pull_data, Linux 4.9 */
  39: onSkb(machine, 39, (skb, registers) => give(registers, skb.pullData(unsigned(registers, 2)))),
  /** bpf_set_hash_invalid, Linux 4.9 */
  41: onSkb(machine, 41, (skb, registers) => {
    skb.setField(SKB_FIELD.hash, 0)
    give(registers, 0)
  }),
  /** bpf_skb_change_head, Linux 4.10 */
  43: onSkb(machine, 43, (skb, registers) =>
    give(registers, flagsIn(registers, 3) !== 0 ? EINVAL : skb.changeHead(unsigned(registers, 2))),
  ),
  /** bpf_get_socket_cookie, Linux 4.12 */
  46: onSkb(machine, 46, ({ socket }, registers) => {
    if (socket.cookie === 0) socket.cookie = machine.newSocketCookie()
    giveWide(registers, socket.cookie)
  }),
  /** bpf_get_socket_uid, Linux 4.12: root's. */
  47: onSkb(machine, 47, (_skb, registers) => give(registers, 0)),
  /** bpf_set_hash, Linux 4.13 */
  48: onSkb(machine, 48, (skb, registers) => {
    skb.setField(SKB_FIELD.hash, unsigned(registers, 2))
    give(registers, 0)
  }),
  /** bpf_skb_adjust_room, Linux 4.13 */
  50: onSkb(machine, 50, (skb, registers) => {
    const flags = adjustFlags(registers.lo[4] ?? 0, registers.hi[4] ?? 0)
    if (flags === undefined) return give(registers, EINVAL)
    give(registers, adjustRoom(skb, registers.lo[2] ?? 0, unsigned(registers, 3), flags))
  }),
  /** bpf_sk_fullsock, Linux 5.1: sockets of test runs are whole ones. */
  95: (registers) => givePointer(registers, unsigned(registers, 1)),
  /** bpf_tcp_sock, Linux 5.1: and none is TCP's. */
  96: (registers) => give(registers, 0),
})

/** Address of the header that offsets count from; -1: there is no such header. */
function headerOf(skb: SkBuff, start: number): number {
  if (start === HEADER.MAC) return skb.macHeader
  return start === HEADER.NET ? skb.networkHeader : -1
}

/** Copies bytes of the packet into r3; where it hasn't got them, zeroes. */
function load(
  { memory }: Machine,
  registers: Registers,
  engine: Engine,
  helper: number,
  size: number,
  at: number,
): void {
  const to = pointer(memory, registers, 3, size, Access.write, engine, helper)
  if (at < 0) memory.u8.fill(0, to, to + size)
  else memory.u8.copyWithin(to, at, at + size)
  give(registers, at < 0 ? EFAULT : 0)
}
