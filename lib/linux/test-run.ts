/**
 * Programs run on demand (BPF_PROG_TEST_RUN): which types Linux runs, and on what.
 *
 * Source: net/bpf/test_run.c, kernel/bpf/syscall.c and net/bpf/bpf_dummy_struct_ops.c of Linux 6.18; the commits' release for versions.
 */
import { BPF_PROG_TYPE as P } from './program-types.js'

export interface TestRunInfo {
  /** First Linux that runs the type on demand. */
  readonly since: string
  /** A packet of at least `leastData` bytes, or none; some give it back as the program left it. */
  readonly data: 'packet' | 'none'
  readonly leastData: number
  readonly givesData: boolean
  /**
   * `'optional'`, `'required'`, or `'none'`. It is given back where `givesContext` says `'copy'`; `'in place'`: the caller's buffer is written.
   */
  readonly ctx: 'none' | 'optional' | 'required'
  readonly givesContext: 'no' | 'copy' | 'in place'
  /** The struct that `ctx` holds, where the type decides it: see contexts.ts. */
  readonly context?: string
  /** Whether it may be run several times with one call. */
  readonly repeats: boolean
  /** Whether it can be told the CPU. */
  readonly onCpu: boolean
}

const NOTHING: TestRunInfo = {
  since: '4.12',
  data: 'none',
  leastData: 0,
  givesData: false,
  ctx: 'none',
  givesContext: 'no',
  repeats: false,
  onCpu: false,
}

/** An Ethernet header. */
const LEAST_PACKET = 14

const PACKET: TestRunInfo = {
  ...NOTHING,
  data: 'packet',
  leastData: LEAST_PACKET,
  givesData: true,
  ctx: 'optional',
  givesContext: 'copy',
  repeats: true,
}
const SKB: TestRunInfo = { ...PACKET, context: '__sk_buff' }

/** By BPF_PROG_TYPE_*. Neither lwt_seg6local nor sk_skb: asked, Linux 6.18 says no. */
export const TEST_RUNS: ReadonlyMap<number, TestRunInfo> = new Map<number, TestRunInfo>([
  [P.SOCKET_FILTER, SKB],
  [P.SCHED_CLS, SKB],
  [P.SCHED_ACT, SKB],
  [P.CGROUP_SKB, SKB],
  [P.LWT_IN, SKB],
  [P.LWT_OUT, SKB],
  [P.LWT_XMIT, SKB],
  [P.XDP, { ...PACKET, context: 'xdp_md' }],
  // What it gives back as data are the flow keys.
  [
    P.FLOW_DISSECTOR,
    { ...PACKET, since: '5.0', ctx: 'optional', givesContext: 'no', context: 'bpf_flow_keys' },
  ],
  [
    P.SK_LOOKUP,
    {
      ...NOTHING,
      since: '5.13',
      ctx: 'required',
      givesContext: 'copy',
      context: 'bpf_sk_lookup',
      repeats: true,
    },
  ],
  // Calls the kernel's test functions: only what is attached to those runs.
  [P.TRACING, { ...NOTHING, since: '5.7' }],
  [P.RAW_TRACEPOINT, { ...NOTHING, since: '5.10', ctx: 'optional', onCpu: true }],
  [P.SYSCALL, { ...NOTHING, since: '5.14', ctx: 'optional', givesContext: 'in place' }],
  // Of bpf_dummy_ops alone.
  [P.STRUCT_OPS, { ...NOTHING, since: '5.17', ctx: 'required' }],
  [
    P.NETFILTER,
    { ...PACKET, since: '6.4', leastData: 20, ctx: 'optional', givesContext: 'no', givesData: false },
  ],
])

/** Flags of BPF_PROG_TEST_RUN. */
export const TEST_RUN_FLAGS = {
  /** Run on `cpu`. raw_tracepoint; Linux 5.10. */
  BPF_F_TEST_RUN_ON_CPU: 1 << 0,
  /** Packets that XDP passes, sends or redirects do travel. Linux 5.18. */
  BPF_F_TEST_XDP_LIVE_FRAMES: 1 << 1,
  /** The packet's checksum is complete. skb types; Linux 6.12. */
  BPF_F_TEST_SKB_CHECKSUM_COMPLETE: 1 << 2,
} as const

export type TestRunFlag = keyof typeof TEST_RUN_FLAGS

/** What a program of a type is run on, for people: the hint where Linux answers EINVAL. */
export function testRunUsage(type: number): string {
  const info = TEST_RUNS.get(type)
  if (info === undefined) return 'Linux does not run programs of its type on demand'
  const { data, leastData, ctx, context, repeats, onCpu } = info
  const struct = context === undefined ? '' : ` (struct ${context})`
  return `It takes ${[
    data === 'packet' ? `data: a packet of ${leastData} bytes or more` : 'no data',
    ctx === 'none' ? 'no ctx' : `ctx${struct}${ctx === 'optional' ? ', if one likes' : ''}`,
    ...(repeats ? [] : ['no repeat']),
    ...(onCpu ? [] : ['no cpu']),
  ].join('; ')}`
}
