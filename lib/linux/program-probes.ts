/**
 * How to load a program of a type for no other reason than to see whether Linux takes it: what must be said beside the type. Nothing of it is
 * ever attached.
 *
 * Source: bpf_prog_load_check_attach() of kernel/bpf/syscall.c and check_attach_btf_id() of kernel/bpf/verifier.c, Linux 6.18.
 */
import { BPF_ATTACH_TYPE as A } from './attach-types.js'
import { BPF_PROG_TYPE as P, BPF_PROGRAM_FLAGS } from './program-types.js'

export interface ProgramProbe {
  readonly type: number
  readonly expectedAttachType: number
  readonly flags: number
  /** A function, hook or tracepoint of the kernel without which the type isn't loaded. */
  readonly target: string | undefined
}

interface Variant {
  readonly attach?: number
  readonly flags?: number
  readonly target?: string
}

/**
 * By program type: the ways to load it whose sets of helpers differ. Types that aren't here have but one. The first one is for the type
 * itself.
 */
const VARIANTS: ReadonlyMap<number, readonly Variant[]> = new Map<number, readonly Variant[]>([
  [
    P.CGROUP_SOCK,
    [
      { attach: A.CGROUP_INET_SOCK_CREATE },
      { attach: A.CGROUP_INET4_POST_BIND },
      { attach: A.CGROUP_INET_SOCK_RELEASE },
    ],
  ],
  [
    P.CGROUP_SOCK_ADDR,
    [
      { attach: A.CGROUP_INET4_CONNECT },
      { attach: A.CGROUP_INET4_BIND },
      { attach: A.CGROUP_UDP4_RECVMSG },
      { attach: A.CGROUP_INET4_GETPEERNAME },
    ],
  ],
  [P.CGROUP_SKB, [{ attach: A.CGROUP_INET_INGRESS }]],
  [P.CGROUP_SOCKOPT, [{ attach: A.CGROUP_GETSOCKOPT }, { attach: A.CGROUP_SETSOCKOPT }]],
  // Without an attach type, Linux takes them for something else, and still loads them.
  [P.CGROUP_DEVICE, [{}, { attach: A.CGROUP_DEVICE }]],
  [P.CGROUP_SYSCTL, [{}, { attach: A.CGROUP_SYSCTL }]],
  [P.SK_REUSEPORT, [{ attach: A.SK_REUSEPORT_SELECT }]],
  [P.SK_LOOKUP, [{ attach: A.SK_LOOKUP }]],
  [P.NETFILTER, [{ attach: A.NETFILTER }]],
  [P.SYSCALL, [{ flags: BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE }]],
  [P.KPROBE, [{}, { attach: A.TRACE_KPROBE_MULTI }]],
  [
    P.TRACING,
    [
      { attach: A.TRACE_RAW_TP, target: 'sched_process_exit' },
      { attach: A.TRACE_ITER, target: 'task' },
      { attach: A.TRACE_FENTRY, target: 'bpf_fentry_test1' },
      { attach: A.TRACE_FEXIT, target: 'bpf_fentry_test1' },
    ],
  ],
  [
    P.LSM,
    [
      { attach: A.LSM_MAC, target: 'file_open' },
      { attach: A.LSM_CGROUP, target: 'socket_post_create' },
    ],
  ],
])

/** The ways to load a program of a type; the first one stands for the type. */
export function programProbes(type: number): readonly ProgramProbe[] {
  return (VARIANTS.get(type) ?? [{}]).map(({ attach = 0, flags = 0, target }) => ({
    type,
    expectedAttachType: attach,
    flags,
    target,
  }))
}
