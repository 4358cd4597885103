/** Words for what C++ reports: raw facts in, a `BpfError` with a code, a message and a hint out. */
import { BpfError, systemError, unsupported } from '../errors.js'
import { errnoName, errnoText } from '../linux/errno.js'
import { sectionRequirement } from '../linux/requirements.js'
import { resolveSection, whyNotAttachable } from '../linux/sections.js'
import type { FailureReason, RawFailure } from './addon-types.js'
import { permissionAdvice, whyRefused } from './lacks.js'
import { loadFailure } from './load-failure.js'
import { permissionHint } from './privileges.js'

/** The Error for a failure: what the addon calls before it throws. */
export function toError(raw: RawFailure): Error {
  if (raw.reason !== '') return BY_REASON[raw.reason](raw)
  return (BY_CALL[raw.call] ?? systemFailure)(raw)
}

/** What libbpf's skeleton calls say of what was said already. */
const SAYS_NOTHING = /^failed to (?:initialize skeleton BPF object|load BPF skeleton) |^prog '[^']*': failed to auto-attach: /

/** What libbpf printed, without its prefix; its first line is mostly the cause. */
function printedLines(log: string): readonly string[] {
  return log
    .split('\n')
    .map((line) => line.replace(/^libbpf: /, '').trim())
    .filter((line) => line !== '' && !SAYS_NOTHING.test(line))
}

const BY_REASON: Readonly<Record<Exclude<FailureReason, ''>, (raw: RawFailure) => Error>> = {
  closed: ({ call, subject }) => new BpfError('CLOSED', `${subject} was closed`, { call }),
  busy: ({ call, subject }) =>
    new BpfError('BAD_PHASE', `${subject} is being loaded`, { call, hint: 'Await loadAsync() first' }),
  phase: ({ call, subject }) => {
    const hint = PHASE_HINTS[call]
    return new BpfError('BAD_PHASE', `${subject} is in another phase`, { call, ...(hint && { hint }) })
  },
  reentrant: ({ call, subject }) =>
    new BpfError('BAD_PHASE', `${subject}: consume() was called from inside the sink`, {
      call,
      hint: 'The batch that the sink looks at would be overwritten: call it when the sink has returned',
    }),
  argument: ({ call, subject }) => new BpfError('BAD_VALUE', `${subject} has the wrong type`, { call }),
  range: ({ call, subject, expected, actual }) =>
    new BpfError('BAD_VALUE', `${subject} is ${actual}, which is out of range: the limit is ${expected}`, { call }),
  size: ({ call, subject, expected, actual }) =>
    new BpfError('BAD_VALUE', `${subject} has ${actual} bytes instead of ${expected}`, { call }),
  noLink: ({ call, subject }) =>
    new BpfError('UNSUPPORTED', `${subject} is no BPF link, and so can be closed only`, {
      call,
      hint: 'Links have ids, information and pins; probes and tracepoints are links since Linux 5.15; USDT probes, clsact filters and socket filters are none',
    }),
  unsupported: ({ subject }) => unsupported(subject),
}

const PHASE_HINTS: Readonly<Record<string, string>> = {
  bpf_map__set_max_entries: 'A map gets its size before load()',
  bpf_map__set_type: 'A map gets its type before load()',
  bpf_map__set_pin_path: 'After load(), map.pin() pins a map',
  bpf_map__reuse_fd: 'Another map takes its place before load()',
  bpf_program__set_autoload: 'What is loaded is chosen before load()',
  bpf_program__set_attach_target: 'The verifier must know the target: it is set before load()',
  bpf_object__attach_skeleton: 'Programs exist after a load() that worked',
  bpf_map__initial_value: 'After load(), global data is read from the map',
  bpf_map__set_initial_value: 'After load(), global data is written to the map',
  bpf_object__load: 'An object is loaded once, whether that worked or not: open it again',
  bpf_map__fd: 'Maps exist after a load() that worked',
  bpf_program__fd: 'Programs exist after a load() that worked',
}

const BY_CALL: Readonly<Record<string, (raw: RawFailure) => BpfError>> = {
  bpf_object__open_skeleton: openFailure,
  bpf_object__load: loadFailure,
  bpf_program__attach: attachFailure,
  bpf_object__attach_skeleton: attachFailure,
  bpf_program__set_attach_target: attachTargetFailure,
  'bpf(BPF_PROG_TEST_RUN)': runFailure,
  bpf_xdp_attach: netlinkFailure,
  bpf_tc_hook_create: netlinkFailure,
  bpf_tc_attach: netlinkFailure,
}

const PERF_HINTS = {
  EINVAL: 'Only maps of type BPF_MAP_TYPE_PERF_EVENT_ARRAY take perf buffers, of a power of two of pages',
  EPERM: 'Perf buffers need CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN), and count as locked memory (ulimit -l, kernel.perf_event_mlock_kb)',
  EACCES: 'Perf buffers need CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN), or a lower kernel.perf_event_paranoid',
  ENOMEM: 'There is no memory for buffers of that size: give fewer pages',
  EMFILE: 'Raise the limit of open files (ulimit -n): each CPU takes one',
} as const

const BY_ID = 'CAP_SYS_ADMIN is needed to look for programs, maps, links and BTF by id; what this process has open, it may look at by handle'

/** Hints by call and errno. */
const HINTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  bpf_map__set_max_entries: { EINVAL: 'The size of a map of global data, or of struct_ops, is that of its variables' },
  bpf_map__set_type: { EINVAL: 'Maps of global data, and of struct_ops, keep their type' },
  bpf_map__set_key_size: { EINVAL: 'The size of a map of global data, or of struct_ops, is that of its variables' },
  bpf_map__set_value_size: { EINVAL: 'The size of a map of global data, or of struct_ops, is that of its variables' },
  bpf_map__set_inner_map_fd: { EINVAL: 'Only a map of maps has a template for what it holds, and it is set once' },
  bpf_map__set_autocreate: { EBUSY: 'It was created, or found, already' },
  bpf_map__reuse_fd: { EINVAL: 'Another map takes the place of one of global data only if its type and sizes are the same; of struct_ops, never' },
  bpf_link__update_map: {
    EINVAL: 'The map must implement the same struct under the same name as the one that is attached',
    EOPNOTSUPP: 'The kernel cannot replace structs of this type',
  },
  bpf_map__attach_struct_ops: {
    EEXIST: 'Something of the same name is registered already',
    EINVAL: 'The kernel refuses what the struct says, or the programs that it lacks',
    EOPNOTSUPP: 'The kernel cannot register structs of this type',
  },
  mmap: { EBUSY: 'A process maps an arena once: use the memory of the handle that has it' },
  'bpf(BPF_MAP_UPDATE_ELEM)': {
    E2BIG: 'The map is full, or the index lies behind its end: give it more maxEntries',
    ENOSPC: 'The map is full: give it more maxEntries',
    EPERM: 'The map is frozen or read-only for programs in user space, as .rodata is',
    EOPNOTSUPP: 'Maps of this type are not updated from user space',
    EEXIST: 'BPF_NOEXIST was asked for, and the key is there',
    ENOENT: 'BPF_EXIST was asked for, and the key is not there',
    ENOMEM: 'The kernel has no memory for it; a CPU map says so too of a program that is not in SEC("xdp/cpumap")',
    EINVAL: 'The flags or the value do not suit maps of this type; BPF_F_LOCK wants a bpf_spin_lock in the value',
  },
  'bpf(BPF_MAP_LOOKUP_ELEM)': {
    EOPNOTSUPP: 'Maps of this type are not read by key',
    EPERM: 'The map is write-only for programs in user space',
    EINVAL: 'The flags do not suit maps of this type; BPF_F_LOCK wants a bpf_spin_lock in the value',
  },
  'bpf(BPF_MAP_DELETE_ELEM)': {
    EINVAL: 'Entries of an array are not deleted: overwrite them',
    EOPNOTSUPP: 'Entries of this type of map are not deleted',
    EPERM: 'The map is frozen or read-only for programs in user space, as .rodata is',
  },
  'bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM)': {
    EOPNOTSUPP: 'Queues and stacks are taken from; hash maps since Linux 5.14',
    ENOTSUPP: 'Queues and stacks are taken from; hash maps since Linux 5.14',
    EINVAL: 'The flags do not suit maps of this type, or this kernel takes from queues and stacks only (hash maps: Linux 5.14)',
    EPERM: 'The map is frozen or read-only for programs in user space',
  },
  'bpf(BPF_MAP_CREATE)': {
    EINVAL: 'Key size, value size, maxEntries or flags do not suit maps of this type, or this kernel is too old for the type',
    E2BIG: 'Keys and values together are too large, or too many',
    ENOTSUPP: 'This kernel has no maps of this type with these attributes',
    EOPNOTSUPP: 'This kernel has no maps of this type with these attributes',
  },
  'bpf(BPF_MAP_FREEZE)': {
    EBUSY: 'Its memory is mapped for writing: freeze it before its memory is asked for. (Or it is frozen already, in Linux 6.1 and before)',
    EPERM: 'It is frozen already, or read-only for user space',
    ENOTSUPP: 'Maps of this type are not frozen',
  },
  'bpf(BPF_OBJ_PIN)': {
    EINVAL: 'The path must be in a mounted BPF file system: mount -t bpf bpf /sys/fs/bpf',
    EPERM: 'The path must be in a mounted BPF file system (mount -t bpf bpf /sys/fs/bpf) where this process may write',
    EEXIST: 'Something has that name already: unpin it first',
  },
  'bpf(BPF_OBJ_GET)': {
    EINVAL: 'What is pinned there is something else',
    EACCES: 'What is pinned there is something else, or this process may not use it',
  },
  'bpf(BPF_MAP_GET_FD_BY_ID)': {
    ENOENT: 'No map has that id any more',
    EPERM: 'CAP_SYS_ADMIN is needed to open maps by id',
  },
  'bpf(BPF_PROG_GET_FD_BY_ID)': { ENOENT: 'No program has that id any more', EPERM: BY_ID },
  'bpf(BPF_BTF_GET_FD_BY_ID)': { ENOENT: 'No BTF has that id any more', EPERM: BY_ID },
  'bpf(BPF_PROG_GET_NEXT_ID)': { EPERM: BY_ID },
  'bpf(BPF_MAP_GET_NEXT_ID)': { EPERM: BY_ID },
  'bpf(BPF_BTF_GET_NEXT_ID)': { EPERM: BY_ID },
  'bpf(BPF_LINK_GET_NEXT_ID)': { EPERM: BY_ID, EINVAL: 'Links have ids since Linux 5.8' },
  'bpf(BPF_TASK_FD_QUERY)': { EPERM: 'CAP_SYS_ADMIN is needed to ask what a process runs', EACCES: 'CAP_SYS_ADMIN is needed to ask what a process runs' },
  'bpf(BPF_ENABLE_STATS)': { EPERM: 'CAP_SYS_ADMIN is needed; or set sysctl kernel.bpf_stats_enabled to 1', EINVAL: 'Statistics are switched on by bpf() since Linux 5.8; sysctl kernel.bpf_stats_enabled does it since 5.1' },
  'bpf(BPF_PROG_QUERY)': { EPERM: 'CAP_NET_ADMIN is needed to ask what is attached', EBADF: 'It is no cgroup of cgroup2' },
  'bpf(BPF_LINK_GET_FD_BY_ID)': {
    ENOENT: 'No link has that id any more',
    EPERM: 'CAP_SYS_ADMIN is needed to open links by id',
    EINVAL: 'This kernel opens no links by id: it takes Linux 5.8',
  },
  'bpf(BPF_LINK_UPDATE)': {
    EINVAL: 'Links of tracing keep their program, and others take one of the same type: attach the new one, and close this',
    EOPNOTSUPP: 'Links of this type keep their program: attach the new one, and close this',
    EPERM: 'Another program than the expected one is attached, or this process may not change the attachment',
  },
  'bpf(BPF_LINK_DETACH)': {
    EOPNOTSUPP: 'Links of this type (tracing, probes, iterators) end with close(), and with what else holds them: pins, other processes',
    EINVAL: 'Links are detached by force since Linux 5.9',
  },
  'bpf(BPF_ITER_CREATE)': { EINVAL: 'It is no link of an iterator' },
  'bpf(BPF_MAP_GET_NEXT_KEY)': { EOPNOTSUPP: 'Maps of this type have no keys to walk over' },
  ring_buffer__new: {
    EINVAL: 'Only maps of type BPF_MAP_TYPE_RINGBUF have a ring',
    EBUSY: 'It has a reader in another thread of this process, and a record goes to one reader: close() that one first',
  },
  perf_buffer__new_raw: PERF_HINTS,
  perf_event_open: PERF_HINTS,
  user_ring_buffer__new: { EINVAL: 'Only maps of type BPF_MAP_TYPE_USER_RINGBUF (Linux 6.1) are written to from user space' },
  user_ring_buffer__reserve: { E2BIG: 'The record, with its header of 8 bytes, is larger than the ring: give the map more maxEntries' },
  bpf_prog_stream_read: { EINVAL: 'Programs have streams since Linux 6.17' },
  'fcntl(F_DUPFD_CLOEXEC)': {
    EBADF: 'The map was not created: its type may be unknown to this kernel',
    EMFILE: 'Raise the limit of open files (ulimit -n), or close objects that are no longer used',
  },
  'bpf(BPF_OBJ_GET_INFO_BY_FD)': { EBADF: 'It was not loaded: its autoload is off' },
}

function systemFailure({ call, errno, subject }: RawFailure): BpfError {
  const name = errnoName(errno)
  const hint = HINTS[call]?.[name] ?? (name === 'EPERM' || name === 'EACCES' ? (permissionHint() ?? permissionAdvice()) : undefined)
  return systemError(call, errno, subject, hint === undefined ? {} : { hint })
}

/** libbpf's own error numbers: 4000 and on. See `enum libbpf_errno`. */
const LIBBPF_ERRNO_START = 4000

function openFailure({ call, errno, subject, log }: RawFailure): BpfError {
  const [cause, ...rest] = printedLines(log)
  const reason = cause ?? (errno >= LIBBPF_ERRNO_START ? `libbpf error ${errno}` : errnoText(errno))
  return new BpfError('BAD_OBJECT', `${subject}: libbpf cannot open it: ${reason}`, {
    call,
    ...(errno < LIBBPF_ERRNO_START && { errno }),
    hint: rest.length > 0 ? rest.join('; ') : 'It takes a little-endian BPF ELF file: clang -O2 -g -target bpf -c',
  })
}

function attachFailure({ call, errno, subject, log }: RawFailure): BpfError {
  const name = errnoName(errno)
  const [cause] = printedLines(log)
  const section = /SEC\("([^"]*)"\)/.exec(subject)?.[1]
  const why = section === undefined ? undefined : whyNotAttachable(section)
  if (errno === EOPNOTSUPP && why !== undefined) {
    return new BpfError('UNSUPPORTED', `${subject} cannot be attached by the name of its section: ${why}`, {
      call,
      errno,
    })
  }
  const hint = attachHint(name, section ?? '')
  const error = systemError(call, errno, subject, hint === undefined ? {} : { hint })
  if (cause === undefined) return error
  return new BpfError(error.code, `${error.message.replace(`. ${hint}`, '')}: ${cause}`, {
    call,
    errno,
    ...(hint !== undefined && { hint }),
  })
}

/** What the kernel has said besides the errno, libbpf prints. */
function netlinkFailure(raw: RawFailure): BpfError {
  const [said] = printedLines(raw.log)
  if (said === undefined) return systemFailure(raw)
  return systemError(raw.call, raw.errno, raw.subject, { hint: said.replace(/^Kernel error message:/, 'Linux says:') })
}

function attachTargetFailure(raw: RawFailure): BpfError {
  const [cause] = printedLines(raw.log)
  const { call, errno, subject } = raw
  const hints: Readonly<Record<string, string>> = {
    ENOENT: 'The function does not exist in the target, or was inlined',
    ESRCH: 'The function does not exist in the kernel, or was inlined: see /proc/kallsyms',
    EINVAL: 'Programs of this type take no target, or the target has no type information: compile it with -g',
  }
  const hint = hints[errnoName(errno)] ?? cause
  return systemError(call, errno, subject, hint === undefined ? {} : { hint })
}

function attachHint(errno: string, section: string): string | undefined {
  const prefix = resolveSection(section)?.prefix
  const requirement = prefix === undefined ? undefined : sectionRequirement(prefix)
  const missing = requirement && whyRefused(`SEC("${prefix}")`, requirement, errno)
  if (missing !== undefined) return missing
  if (/^(kprobe|kretprobe|ksyscall|kretsyscall)/.test(section)) {
    if (errno === 'ENOENT') return 'This kernel has no kprobes (CONFIG_KPROBES), or no function of that name: see /proc/kallsyms'
    if (errno === 'ESRCH') return 'This kernel has no function of that name, or it was inlined: see /proc/kallsyms'
  }
  if (/^(uprobe|uretprobe|usdt)/.test(section) && errno === 'ENOENT') return 'No such file or symbol: name the file by its whole path'
  if (/^(tp|tracepoint|raw_tp|raw_tracepoint)/.test(section) && errno === 'ENOENT') {
    return 'No such tracepoint, or no tracefs to look it up in: mount -t tracefs tracefs /sys/kernel/tracing'
  }
  if (errno === 'EBUSY' || errno === 'EEXIST') return 'Something is attached there already'
  return undefined
}

/** Numbers of "not supported": of POSIX, and Linux's own, which is unknown to user space. */
const EOPNOTSUPP = 95
const ENOTSUPP = 524

function runFailure(raw: RawFailure): BpfError {
  const { call, errno, subject } = raw
  if (errno === ENOTSUPP || errno === EOPNOTSUPP) {
    return new BpfError('UNSUPPORTED', `${subject}: this kernel cannot run programs of its type on demand`, { call, errno })
  }
  return systemFailure(raw)
}
