/** Which verb attaches programs of which type: so that the wrong one names the right one. */
import { BpfError, unsupported } from '../errors.js'
import type { ProgramInfo } from '../kernel.js'
import { BPF_ATTACH_TYPE as A } from '../linux/attach-types.js'
import { BPF_PROG_TYPE as P, programTypeName } from '../linux/program-types.js'

const PROBES = [
  'attachKprobe',
  'attachKprobeMulti',
  'attachKsyscall',
  'attachUprobe',
  'attachUprobeMulti',
  'attachUsdt',
] as const
const CGROUP = ['attachCgroup'] as const
const NETNS = ['attachNetns'] as const
const SOCKMAP = ['attachSockmap'] as const
const SOCKET = ['attachSocket'] as const
const LWT = ['attachLwt'] as const
const RAW_TRACEPOINT = ['attachRawTracepoint'] as const

/** By program type. */
const VERBS = {
  [P.SOCKET_FILTER]: SOCKET,
  [P.KPROBE]: PROBES,
  [P.SCHED_CLS]: ['attachTc'],
  [P.TRACEPOINT]: ['attachTracepoint'],
  [P.XDP]: ['attachXdp'],
  [P.PERF_EVENT]: ['attachPerfEvent'],
  [P.CGROUP_SKB]: CGROUP,
  [P.CGROUP_SOCK]: CGROUP,
  [P.LWT_IN]: LWT,
  [P.LWT_OUT]: LWT,
  [P.LWT_XMIT]: LWT,
  [P.SOCK_OPS]: CGROUP,
  [P.SK_SKB]: SOCKMAP,
  [P.CGROUP_DEVICE]: CGROUP,
  [P.SK_MSG]: SOCKMAP,
  [P.RAW_TRACEPOINT]: RAW_TRACEPOINT,
  [P.CGROUP_SOCK_ADDR]: CGROUP,
  [P.LWT_SEG6LOCAL]: LWT,
  [P.SK_REUSEPORT]: SOCKET,
  [P.FLOW_DISSECTOR]: NETNS,
  [P.CGROUP_SYSCTL]: CGROUP,
  [P.RAW_TRACEPOINT_WRITABLE]: RAW_TRACEPOINT,
  [P.CGROUP_SOCKOPT]: CGROUP,
  [P.TRACING]: ['attachTrace', 'attachIterator'],
  [P.EXT]: ['attachFreplace'],
  [P.LSM]: ['attachLsm', 'attachCgroup'],
  [P.SK_LOOKUP]: NETNS,
  [P.NETFILTER]: ['attachNetfilter'],
} as const satisfies Readonly<Record<number, readonly string[]>>

/** A method of `Program` that attaches. */
export type AttachVerb = (typeof VERBS)[keyof typeof VERBS][number]

/** Program types whose attachments there is no verb for. */
const UNSUPPORTED_TYPES: Readonly<Record<number, string>> = {
  [P.LIRC_MODE2]: 'attaching lirc_mode2 programs to infrared receivers',
}

/** What one does with a program that no verb attaches. */
const OTHERWISE: Readonly<Record<number, string>> = {
  [P.SYSCALL]: 'Programs of this type are run: program.run()',
  [P.STRUCT_OPS]: 'It is attached with its map: map.attachStructOps()',
  [P.SCHED_ACT]: "Actions belong to other filters: give it the type 'sched_cls', and use attachTc()",
}

const TRACE: readonly AttachVerb[] = ['attachTrace']
const KPROBE_MULTI: readonly AttachVerb[] = ['attachKprobeMulti']

/** Verbs for attach types where the program type has several. */
const BY_ATTACH_TYPE: Readonly<Record<number, readonly AttachVerb[]>> = {
  [A.TRACE_ITER]: ['attachIterator'],
  [A.TRACE_FENTRY]: TRACE,
  [A.TRACE_FEXIT]: TRACE,
  [A.MODIFY_RETURN]: TRACE,
  [A.TRACE_RAW_TP]: TRACE,
  [A.TRACE_FSESSION]: TRACE,
  [A.LSM_MAC]: ['attachLsm'],
  [A.LSM_CGROUP]: ['attachCgroup'],
  [A.TRACE_KPROBE_MULTI]: KPROBE_MULTI,
  [A.TRACE_KPROBE_SESSION]: KPROBE_MULTI,
  // libbpf 1.3 and newer load USDT programs for it, where the kernel has it.
  [A.TRACE_UPROBE_MULTI]: ['attachUprobeMulti', 'attachUsdt'],
  [A.TRACE_UPROBE_SESSION]: ['attachUprobeMulti'],
}

/** Of probes that were loaded for no attach type. */
const SINGLE_PROBES: readonly AttachVerb[] = PROBES.filter((verb) => !verb.endsWith('Multi'))

/** @throws BpfError `BAD_VALUE` that names the verb to use, if programs of this one's type are not attached by `verb` */
export function requireVerb(program: ProgramInfo, verb: AttachVerb): void {
  const verbs = verbsFor(program)
  if (verbs.includes(verb)) return
  const missing = UNSUPPORTED_TYPES[program.type]
  if (missing !== undefined) throw unsupported(missing, 'ir-keytable(1) attaches them')
  const type = programTypeName(program.type)
  const others = verbs.map((name) => `${name}()`).join(' or ')
  throw new BpfError(
    'BAD_VALUE',
    `program '${program.name}' is of type ${type}: ${verb}() does not attach it`,
    {
      hint:
        verbs.length > 0
          ? `Use ${others}`
          : (OTHERWISE[program.type] ?? 'No verb attaches programs of its type'),
    },
  )
}

function verbsFor({ type, expectedAttachType }: ProgramInfo): readonly AttachVerb[] {
  const verbs: Readonly<Record<number, readonly AttachVerb[]>> = VERBS
  const all = verbs[type] ?? []
  // Numbers of attach types start with a cgroup's: only where a type has several verbs do they tell.
  if (all.length < 2) return all
  if (type === P.KPROBE && expectedAttachType === 0) return SINGLE_PROBES
  return BY_ATTACH_TYPE[expectedAttachType]?.filter((verb) => all.includes(verb)) ?? all
}
