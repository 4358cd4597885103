/** BPF_PROG_TEST_RUN of sk_lookup programs: which socket gets a packet. There are no sockets to choose from here, only the verdict. net/bpf/test_run.c of Linux 6.18. */
import type { RunOptions, RunResult } from '../../kernel.js'
import { E2BIG, EAFNOSUPPORT, EINVAL, ENOSPC, ERANGE } from '../errors.js'
import { Access, type Memory } from '../memory.js'
import { AF_INET, AF_INET6 } from './socket.js'

/** Members of struct bpf_sk_lookup, and its bytes. */
const FIELD = {
  sk: 0,
  family: 8,
  protocol: 12,
  remote_ip4: 16,
  remote_ip6: 20,
  remote_port: 36,
  local_ip4: 40,
  local_ip6: 44,
  local_port: 60,
  ingress_ifindex: 64,
} as const
const SIZE = 72
const COOKIE_SIZE = 8
const MAX_PORT = 0xffff
const SK_DROP = 0
const SK_PASS = 1
const ADDRESSES: Readonly<Record<number, readonly (readonly [start: number, size: number])[]>> = {
  [AF_INET]: [
    [FIELD.remote_ip4, 4],
    [FIELD.local_ip4, 4],
  ],
  [AF_INET6]: [
    [FIELD.remote_ip6, 16],
    [FIELD.local_ip6, 16],
  ],
}

/** @returns a result, or a negative errno */
export function runSkLookup(
  memory: Memory,
  execute: (context: number) => number,
  { data, ctx: given, cpu, flags = 0, batchSize = 0, repeat = 0 }: RunOptions,
): RunResult | number {
  if (flags !== 0 || cpu !== undefined || batchSize !== 0 || (data?.length ?? 0) > 0) return EINVAL
  if (given === undefined || given.length === 0) return EINVAL
  if (given.subarray(SIZE).some((byte) => byte !== 0)) return E2BIG
  const ctx = new Uint8Array(SIZE)
  ctx.set(given.subarray(0, SIZE))
  const view = new DataView(ctx.buffer)
  const isSet = (from: number, to: number): boolean => ctx.subarray(from, to).some((byte) => byte !== 0)
  if (isSet(FIELD.sk, COOKIE_SIZE) || isSet(FIELD.ingress_ifindex, SIZE)) return EINVAL
  if (view.getUint32(FIELD.local_port, true) > MAX_PORT) return ERANGE
  const family = view.getUint16(FIELD.family, true)
  const addresses = ADDRESSES[family]
  if (addresses === undefined) return EAFNOSUPPORT
  const context = memory.alloc(SIZE, Access.read, 16, 'context of a look-up of sockets')
  try {
    const take = (start: number, size: number): void =>
      memory.u8.set(ctx.subarray(start, start + size), context + start)
    take(FIELD.family, 2)
    take(FIELD.protocol, 2)
    take(FIELD.remote_port, 2)
    take(FIELD.local_port, 2)
    for (const [start, size] of addresses) take(start, size)
    const count = Math.max(repeat, 1)
    const start = performance.now()
    let retval = 0
    for (let i = 0; i < count; i++) retval = execute(context) === SK_PASS ? SK_PASS : SK_DROP
    const durationNs = Math.round(((performance.now() - start) * 1e6) / count)
    return given.length < SIZE ? ENOSPC : { retval, durationNs, ctx }
  } finally {
    memory.free(context)
  }
}
