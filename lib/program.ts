/** A loaded program. */
import { attachCgroup, type CgroupOptions, type CgroupProgramOptions } from './attach/cgroup.js'
import { attachIterator, type IteratorOptions } from './attach/iterator.js'
import {
  attachFreplace,
  attachKprobe,
  attachKprobeMulti,
  attachKsyscall,
  attachLsm,
  attachRawTracepoint,
  attachTrace,
  attachTracepoint,
  type KprobeMultiOptions,
  type KprobeOptions,
  type KsyscallOptions,
} from './attach/kernel-probes.js'
import {
  attachLwt,
  attachNetfilter,
  attachNetns,
  type LwtOptions,
  type NetfilterOptions,
} from './attach/network.js'
import type { CookieOption } from './attach/options.js'
import { attachPerfEvent, type PerfEvent, type PerfEventOptions } from './attach/perf-event.js'
import {
  attachSockmap,
  attachSocket,
  type SocketOptions,
  type SocketReference,
  type SockmapOptions,
} from './attach/socket.js'
import type { InterfaceReference } from './attach/targets.js'
import {
  attachTc,
  type ClsactOptions,
  type NetkitOptions,
  type TcOptions,
  type TcxOptions,
} from './attach/tc.js'
import {
  attachUprobe,
  attachUprobeMulti,
  attachUsdt,
  type UprobeMultiOptions,
  type UprobeOptions,
  type UsdtOptions,
} from './attach/user-probes.js'
import { attachXdp, type XdpNetlinkOptions, type XdpOptions } from './attach/xdp.js'
import type { Btf } from './btf/types.js'
import type { IteratorLink } from './iterator-link.js'
import type { KernelProgram } from './kernel.js'
import { Link } from './link.js'
import { programTypeName } from './linux/program-types.js'
import type { MapLike, ProgramLike } from './program-like.js'
import {
  runProgram,
  runProgramAsync,
  type AsyncRunOptions,
  type RunOptions,
  type RunResult,
} from './program-run.js'
import {
  openProgramStream,
  readProgramStream,
  type ProgramStream,
  type ProgramStreamOptions,
} from './program-stream.js'

/** A program that the kernel accepted. It lives as long as its object, or a link to it, is open. */
export class Program {
  readonly #program: KernelProgram
  readonly #btf: Btf | undefined

  /**
   * @internal
   * @param btf types of its object: for contexts
   */
  constructor(program: KernelProgram, btf?: Btf) {
    this.#program = program
    this.#btf = btf
  }

  get name(): string {
    return this.#program.info.name
  }

  /** The `SEC()` name. */
  get section(): string {
    return this.#program.info.section
  }

  /** Program type under bpftool's name: `tracing`, `xdp`, `sched_cls` … */
  get type(): string {
    return programTypeName(this.#program.info.type)
  }

  /** Kernel id. */
  get id(): number {
    return this.#program.info.id
  }

  /** Its file descriptor, to be handed to other processes or libraries; it stays the program's. Undefined in the fallback kernel. */
  get fd(): number | undefined {
    return this.#program.fd
  }

  /** Tag of the instructions (8 bytes, hex), as `bpftool prog` prints it; empty in the fallback. */
  get tag(): string {
    return this.#program.info.tag
  }

  /** What the verifier told of it, where its `logLevel` asked for that before `load()`; else empty. */
  get log(): string {
    return this.#program.info.log
  }

  /**
   * Attaches it where its `SEC()` name says.
   *
   * @throws BpfError `EPERM` naming the capability, `ENOENT` for a target that doesn't exist, `UNSUPPORTED` for a section
   *   that says no place
   */
  attach(): Link {
    return new Link(this.#program.attach(), this.name)
  }

  /**
   * Attaches a kprobe or kretprobe program to a function of the kernel. `CAP_BPF` and `CAP_PERFMON`, CONFIG_KPROBES; cookies: Linux 5.15.
   *
   * @param name as /proc/kallsyms has it
   * @throws BpfError `ENOENT` with the nearest names, `UNSUPPORTED` for a kernel without kprobes
   * @example
   * program.attachKprobe('tcp_connect', { retprobe: true, cookie: 7n })
   */
  attachKprobe(name: string, options: KprobeOptions = {}): Link {
    return attachKprobe(this.#program, name, options)
  }

  /**
   * Attaches a kprobe.multi or kprobe.session program to many functions with one link. Linux 5.18 (sessions: 6.10), CONFIG_FPROBE.
   *
   * @param functions a pattern with `*` and `?`, matched against what can be traced; or names
   * @throws BpfError `ENOENT` with the nearest names
   * @example
   * program.attachKprobeMulti('tcp_*')
   * program.attachKprobeMulti(['vfs_read', 'vfs_write'], { cookies: [1n, 2n] })
   */
  attachKprobeMulti(functions: string | readonly string[], options: KprobeMultiOptions = {}): Link {
    return attachKprobeMulti(this.#program, functions, options)
  }

  /**
   * Attaches a kprobe program to a system call, whatever this architecture calls its function. As `attachKprobe()`.
   *
   * @example
   * program.attachKsyscall('openat')
   */
  attachKsyscall(syscall: string, options: KsyscallOptions = {}): Link {
    return attachKsyscall(this.#program, syscall, options)
  }

  /**
   * Attaches a uprobe or uretprobe program to a function, or any place, of an executable or library. `CAP_SYS_ADMIN`
   * (Linux 6.17, and older ones since July 2025; before: `CAP_BPF` and `CAP_PERFMON`): {@link attachUprobeMulti} does with less.
   *
   * @param binary path, or a name that the linker or PATH finds: `libc`, `libssl.so.3`, `node`. In a container: `/proc/PID/root/…`
   * @throws BpfError `ENOENT` with the nearest files or functions
   * @example
   * program.attachUprobe('libc', { function: 'malloc', pid: 'self' })
   */
  attachUprobe(binary: string, options: UprobeOptions): Link {
    return attachUprobe(this.#program, binary, options)
  }

  /**
   * Attaches a uprobe.multi or uprobe.session program to many places of a binary with one link. Linux 6.6 (sessions: 6.13).
   *
   * @throws BpfError `ENOENT` with the nearest files or functions
   * @example
   * program.attachUprobeMulti('libssl', { functions: 'SSL_*' })
   */
  attachUprobeMulti(binary: string, options: UprobeMultiOptions): Link {
    return attachUprobeMulti(this.#program, binary, options)
  }

  /**
   * Attaches a `usdt` program to a probe that a program was compiled with.
   *
   * @throws BpfError `ENOENT` with the nearest provider or probe
   * @example
   * program.attachUsdt('/usr/bin/postgres', 'postgresql', 'query__start')
   */
  attachUsdt(binary: string, provider: string, name: string, options: UsdtOptions = {}): Link {
    return attachUsdt(this.#program, binary, provider, name, options)
  }

  /**
   * Attaches it to a tracepoint. Needs tracefs; cookies: Linux 5.15.
   *
   * @throws BpfError `ENOENT` with the nearest names
   * @example
   * program.attachTracepoint('sched', 'sched_switch')
   */
  attachTracepoint(category: string, name: string, options: CookieOption = {}): Link {
    return attachTracepoint(this.#program, category, name, options)
  }

  /**
   * Attaches it to a raw tracepoint, by its name without the category. Linux 4.17; cookies: 6.10.
   *
   * @throws BpfError `ENOENT` with the nearest names, `EINVAL` where the program reads more arguments than there are
   */
  attachRawTracepoint(name: string, options: CookieOption = {}): Link {
    return attachRawTracepoint(this.#program, name, options)
  }

  /**
   * Attaches a tp_btf, fentry, fexit or fmod_ret program where it was loaded for: `SEC()` or `setAttachTarget()` says so. Linux 5.5; cookies:
   * 6.0 (tp_btf: 6.10).
   */
  attachTrace(options: CookieOption = {}): Link {
    return attachTrace(this.#program, options)
  }

  /** Attaches it to the LSM hook that it was loaded for. Linux 5.7, with `bpf` in the list of security modules: see /sys/kernel/security/lsm. */
  attachLsm(): Link {
    return attachLsm(this.#program)
  }

  /**
   * Puts an freplace program into the place of a function of another program: of the one that it was loaded for, or of `target`, which has the
   * same function (Linux 5.10).
   */
  attachFreplace(target?: ProgramLike, name?: string): Link {
    return attachFreplace(this.#program, target, name)
  }

  /**
   * Attaches it to a perf event: it runs at each sample. One event on each CPU, under one link. `CAP_PERFMON`.
   *
   * @param event by perf's name (`'cpu-clock'`, `'cache-misses'`, `'L1-dcache-load-misses'` …), by numbers, or a hardware breakpoint
   * @throws BpfError `ENOENT` or `EOPNOTSUPP` for an event that this machine doesn't have: most virtual ones have no hardware counters
   * @example
   * program.attachPerfEvent('cpu-clock', { frequency: 99 })
   * program.attachPerfEvent({ breakpoint: 'write', address }, { period: 1, pid }) // at each write to a variable
   */
  attachPerfEvent(event: PerfEvent, options: PerfEventOptions): Link {
    return attachPerfEvent(this.#program, event, options)
  }

  /**
   * Attaches an iterator: over what its name says, or over one map, cgroup or task. Linux 5.8. What it finds, the link reads.
   *
   * @example
   * using tasks = program.attachIterator({ task: { pid: process.pid } })
   * for await (const line of tasks.lines()) console.log(line)
   */
  attachIterator(options: IteratorOptions = {}): IteratorLink {
    return attachIterator(this.#program, options)
  }

  /**
   * Attaches it to a network interface's XDP hook. `CAP_NET_ADMIN`; Linux 5.9, without a link 4.8.
   *
   * @param interfaceReference name or index
   * @throws BpfError `ENODEV` with the nearest name, `EBUSY` where a program is attached, `EOPNOTSUPP` for a mode that the driver lacks
   * @example
   * using link = program.attachXdp('eth0')
   * link.update(object.programs.newer)
   */
  attachXdp(interfaceReference: InterfaceReference, options: XdpOptions | XdpNetlinkOptions = {}): Link {
    return attachXdp(this.#program, interfaceReference, options)
  }

  /**
   * Attaches it to traffic control of a network interface: by tcx (Linux 6.6) where it can, else by a filter of clsact, or to an end of a netkit
   * pair (Linux 6.7). `link.target` says which. `CAP_NET_ADMIN`.
   *
   * @throws BpfError `ENODEV` with the nearest name, `ESTALE` for an old revision, `ENOENT` where its neighbour isn't attached
   * @example
   * program.attachTc('eth0', { direction: 'ingress' })
   * program.attachTc('eth0', { direction: 'ingress', order: { before: object.programs.filter } })
   * program.attachTc('eth0', { direction: 'egress', via: 'clsact', handle: 1, priority: 1, replace: true })
   */
  attachTc(
    interfaceReference: InterfaceReference,
    options: TcOptions | TcxOptions | ClsactOptions | NetkitOptions = {},
  ): Link {
    return attachTc(this.#program, interfaceReference, options)
  }

  /**
   * Attaches it to a cgroup: also `sockops` and `lsm_cgroup` programs. `CAP_NET_ADMIN`; Linux 5.7, without a link 4.10, lsm_cgroup 6.0.
   *
   * @param cgroup path of a folder of cgroup2, or a file descriptor of one
   * @throws BpfError `ENOENT` with the nearest name
   * @example
   * program.attachCgroup('/sys/fs/cgroup/system.slice/nginx.service')
   */
  attachCgroup(cgroup: string | number, options: CgroupOptions | CgroupProgramOptions = {}): Link {
    return attachCgroup(this.#program, cgroup, options)
  }

  /**
   * Attaches an `sk_lookup` or `flow_dissector` program to a network namespace. `CAP_NET_ADMIN`; Linux 5.9 (flow dissectors: 5.8).
   *
   * @param netns a name as `ip netns` gives them, a path (`/proc/self/ns/net`), or a file descriptor
   * @throws BpfError `ENOENT` with the nearest name
   */
  attachNetns(netns: string | number): Link {
    return attachNetns(this.#program, netns)
  }

  /**
   * Attaches it to a hook of netfilter. `CAP_NET_ADMIN`, Linux 6.4.
   *
   * @example
   * program.attachNetfilter({ protocol: 'ipv4', hook: 'input', priority: -128 })
   */
  attachNetfilter(options: NetfilterOptions): Link {
    return attachNetfilter(this.#program, options)
  }

  /**
   * Attaches an `sk_msg` or `sk_skb` program to a sockmap or sockhash: it runs for the sockets that are in there. `CAP_NET_ADMIN`; a link from
   * Linux 6.10 on.
   */
  attachSockmap(map: MapLike | number, options: SockmapOptions = {}): Link {
    return attachSockmap(this.#program, map, options)
  }

  /**
   * Attaches a `socket` program to one socket, or, as `sk_reuseport` programs always, to all that share its port. It goes with the socket, and takes
   * the place of the one before.
   *
   * @param socket a socket of Node's that is bound or connected, or a file descriptor; it stays the caller's
   * @example
   * const socket = createSocket('udp4').bind(5353, () => program.attachSocket(socket))
   */
  attachSocket(socket: SocketReference, options: SocketOptions = {}): Link {
    return attachSocket(this.#program, socket, options)
  }

  /**
   * Adds a route whose packets pass it: `lwt_in`, `lwt_out` and `lwt_xmit` programs (CONFIG_LWTUNNEL_BPF); or, of IPv6, one at which packets of
   * segment routing end a segment, by the action End.BPF: `lwt_seg6local` programs (CONFIG_IPV6_SEG6_BPF). Closing the link removes the route.
   * `CAP_NET_ADMIN`.
   *
   * @param destination address and length of the prefix: `10.1.0.0/24`
   * @throws BpfError `EEXIST` where there is such a route
   */
  attachLwt(destination: string, options: LwtOptions): Link {
    return attachLwt(this.#program, destination, options)
  }

  /**
   * Runs it in the kernel on a given input (BPF_PROG_TEST_RUN, Linux 4.12+; `CAP_BPF` and what the type needs). Which types Linux runs, and
   * on what: docs/api/program-run.md.
   *
   * @throws BpfError `UNSUPPORTED` for a type that isn't run on demand, `EINVAL` for input that doesn't suit the type, `ETIMEDOUT`
   * @example
   * program.run({ data: packet, ctx: { ingress_ifindex: 1 } }) // { retval: 2, durationNs: 31, data: …, ctx: { … } }
   */
  run<C extends object = Uint8Array>(options: RunOptions<C> = {}): RunResult<C> {
    return runProgram(this.#program, this.#btf, options)
  }

  /** Like `run()`, off the event loop's thread: for many repetitions, and with an abort signal. */
  runAsync<C extends object = Uint8Array>(options: AsyncRunOptions<C> = {}): Promise<RunResult<C>> {
    return runProgramAsync(this.#program, this.#btf, options)
  }

  /**
   * What the program has written to a stream with `bpf_stream_printk()` since the last call; on `stderr` also what the kernel has to tell of it:
   * a page fault in an arena, a `may_goto` loop that took too long. The kernel keeps 100,000 bytes and drops what comes then.
   *
   * Needs Linux 6.17 and an addon that was built with libbpf 1.6 or newer.
   *
   * @throws BpfError `UNSUPPORTED` where the addon or the kernel has none
   */
  stream(name: 'stdout' | 'stderr'): string {
    return readProgramStream(this.#program, name)
  }

  /** Reads the same line by line, as the program writes it: see {@link ProgramStream}. @throws as `stream()` does */
  streamReader(name: 'stdout' | 'stderr', options: ProgramStreamOptions = {}): ProgramStream {
    return openProgramStream(this.#program, name, options)
  }

  /** @internal */
  get kernelProgram(): KernelProgram {
    return this.#program
  }
}
