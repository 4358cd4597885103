/** Tracepoints: their arguments, and the programs attached to them. */
import { BpfError } from '../../errors.js'
import { errno } from '../../linux/errno.js'
import { describe } from '../describe.js'
import { didYouMean } from '../../nearest.js'

/** One argument, as the kernel's tracepoint has it. */
export interface TracepointArgument {
  readonly name: string
  /** In C: `int`, `u64`, `bool`, `struct task_struct *`. */
  readonly type: string
}

/** A program as a tracepoint runs it. */
export interface TracepointProgram {
  readonly name: string
}

const TASK = 'struct task_struct *'

/**
 * Arguments by tracepoint: TP_PROTO of include/trace/events/{sched,signal,syscalls,task}.h, Linux 6.18. Newer kernels append
 * arguments; a program that reads fewer runs on all.
 */
const TABLE: Readonly<Record<string, readonly (readonly [name: string, type: string])[]>> = {
  sched_process_fork: [
    ['parent', TASK],
    ['child', TASK],
  ],
  sched_process_exec: [
    ['p', TASK],
    ['old_pid', 'pid_t'],
    ['bprm', 'struct linux_binprm *'],
  ],
  sched_process_exit: [
    ['p', TASK],
    ['group_dead', 'bool'],
  ],
  sched_process_free: [['p', TASK]],
  sched_process_wait: [['pid', 'struct pid *']],
  sched_process_hang: [['tsk', TASK]],
  sched_switch: [
    ['preempt', 'bool'],
    ['prev', TASK],
    ['next', TASK],
    ['prev_state', 'unsigned int'],
  ],
  sched_wakeup: [['p', TASK]],
  sched_wakeup_new: [['p', TASK]],
  sched_waking: [['p', TASK]],
  sched_migrate_task: [
    ['p', TASK],
    ['dest_cpu', 'int'],
  ],
  sched_stat_runtime: [
    ['tsk', TASK],
    ['runtime', 'u64'],
  ],
  sched_stat_wait: [
    ['tsk', TASK],
    ['delay', 'u64'],
  ],
  sched_stat_sleep: [
    ['tsk', TASK],
    ['delay', 'u64'],
  ],
  sched_stat_iowait: [
    ['tsk', TASK],
    ['delay', 'u64'],
  ],
  sched_stat_blocked: [
    ['tsk', TASK],
    ['delay', 'u64'],
  ],
  sched_pi_setprio: [
    ['tsk', TASK],
    ['pi_task', TASK],
  ],
  sched_kthread_stop: [['t', TASK]],
  sched_kthread_stop_ret: [['ret', 'int']],
  sys_enter: [
    ['regs', 'struct pt_regs *'],
    ['id', 'long'],
  ],
  sys_exit: [
    ['regs', 'struct pt_regs *'],
    ['ret', 'long'],
  ],
  signal_generate: [
    ['sig', 'int'],
    ['info', 'struct kernel_siginfo *'],
    ['task', TASK],
    ['group', 'int'],
    ['result', 'int'],
  ],
  signal_deliver: [
    ['sig', 'int'],
    ['info', 'struct kernel_siginfo *'],
    ['ka', 'struct k_sigaction *'],
  ],
  task_newtask: [
    ['task', TASK],
    ['clone_flags', 'u64'],
  ],
  task_rename: [
    ['task', TASK],
    ['comm', 'const char *'],
  ],
}

/** Bytes of an argument by its type in C; what ends in `*` is a pointer. */
const SCALARS: Readonly<Record<string, number>> = {
  bool: 1,
  char: 1,
  u8: 1,
  s8: 1,
  short: 2,
  'unsigned short': 2,
  u16: 2,
  s16: 2,
  int: 4,
  unsigned: 4,
  'unsigned int': 4,
  u32: 4,
  s32: 4,
  pid_t: 4,
  uid_t: 4,
  gid_t: 4,
  gfp_t: 4,
  umode_t: 2,
  long: 8,
  'unsigned long': 8,
  'long long': 8,
  'unsigned long long': 8,
  u64: 8,
  s64: 8,
  size_t: 8,
  ssize_t: 8,
  loff_t: 8,
  sector_t: 8,
}

/** How an argument becomes 64 bits: `bytes` of a scalar; or the struct that it points to, empty for anything else. */
export type ArgumentKind =
  { readonly kind: 'scalar'; readonly bytes: number } | { readonly kind: 'pointer'; readonly struct: string }

/** @throws BpfError `BAD_VALUE` for a type that isn't known */
export function argumentKind(type: string): ArgumentKind {
  const bare = type
    .replace(/\bconst\b/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  if (bare.endsWith('*'))
    return { kind: 'pointer', struct: /^(?:struct|union) (\w+) ?\*$/.exec(bare)?.[1] ?? '' }
  const bytes = bare.startsWith('enum ') ? 4 : SCALARS[bare]
  if (bytes !== undefined) return { kind: 'scalar', bytes }
  throw new BpfError('BAD_VALUE', `argument type '${type}' isn't known`, {
    hint: `Pointers end in '*', as 'struct task_struct *'; else one of ${Object.keys(SCALARS).join(', ')}, or an enum`,
  })
}

/** A raw tracepoint hands on twelve arguments at most. */
export const MAX_ARGUMENTS = 12

interface Tracepoint<P> {
  readonly args: readonly TracepointArgument[]
  readonly attached: Set<{ readonly program: P }>
}

/** The tracepoints of one kernel. */
export class Tracepoints<P extends TracepointProgram> {
  readonly #table = new Map<string, Tracepoint<P>>()

  constructor() {
    for (const [name, args] of Object.entries(TABLE)) {
      this.define(
        name,
        args.map(([name, type]) => ({ name, type })),
      )
    }
  }

  /** Names of all tracepoints. */
  get names(): readonly string[] {
    return [...this.#table.keys()]
  }

  /**
   * Adds a tracepoint of one's own, or gives one other arguments.
   *
   * @param args names and types in C, as in the kernel's TP_PROTO
   * @throws BpfError `BAD_VALUE` for a bad name, an unknown type, or more than 12 arguments; `EBUSY` while programs are attached to it
   */
  define(name: string, args: readonly TracepointArgument[]): void {
    if (typeof name !== 'string' || !/^\w+$/.test(name))
      throw new BpfError('BAD_VALUE', `a tracepoint's name is a C identifier, not ${describe(name)}`)
    const isArgument = (arg: unknown): boolean =>
      typeof arg === 'object' &&
      arg !== null &&
      typeof (arg as Partial<TracepointArgument>).name === 'string' &&
      typeof (arg as Partial<TracepointArgument>).type === 'string'
    if (!Array.isArray(args) || !args.every(isArgument)) {
      throw new BpfError(
        'BAD_VALUE',
        `tracepoint '${name}': its arguments are an array such as [{ name: 'pid', type: 'int' }], not ${describe(args)}`,
      )
    }
    if (args.length > MAX_ARGUMENTS)
      throw new BpfError('BAD_VALUE', `tracepoint '${name}' has more than ${MAX_ARGUMENTS} arguments`)
    for (const { type } of args) argumentKind(type)
    if ((this.#table.get(name)?.attached.size ?? 0) > 0) {
      throw new BpfError('EBUSY', `tracepoint '${name}' can't change: programs are attached to it`)
    }
    this.#table.set(name, { args: [...args], attached: new Set() })
  }

  /** @throws BpfError `ENOENT` with the nearest names */
  argumentsOf(name: string): readonly TracepointArgument[] {
    return this.#find(name).args
  }

  /** Attached programs, in the order in which they were attached. */
  attachedTo(name: string): readonly P[] {
    return Array.from(this.#find(name).attached, ({ program }) => program)
  }

  /** @returns a function that detaches */
  attach(name: string, program: P): () => void {
    const { attached } = this.#find(name)
    const attachment = { program }
    attached.add(attachment)
    return () => void attached.delete(attachment)
  }

  /** Whether there is a tracepoint of this name. */
  has(name: string): boolean {
    return this.#table.has(name)
  }

  /** The error for a name that isn't known: `ENOENT` where Linux looks for it at attach, `ESRCH` where it does so at load. */
  unknown(name: string, code: 'ENOENT' | 'ESRCH'): BpfError {
    const near = didYouMean(name, this.#table.keys()) ?? ''
    return new BpfError(code, `the simulated kernel has no tracepoint '${name}'`, {
      errno: errno(code),
      hint: `${near} More of them: kernel.tracepoints.define(name, args)`.trim(),
    })
  }

  #find(name: string): Tracepoint<P> {
    const found = this.#table.get(name)
    if (found === undefined) throw this.unknown(name, 'ENOENT')
    return found
  }
}
