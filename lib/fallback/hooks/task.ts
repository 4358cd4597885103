/** A simulated task: a thread, which leads its process or belongs to one. */
import { BpfError } from '../../errors.js'
import { KernelStruct, type ChangeCounter, type FieldValues } from './kernel-struct.js'
import { checkId, checkIdentity, checkOptions, checkProgram, checkText, statusOf } from './task-checks.js'
import type { Exit, TaskIdentity } from './task-options.js'
import { userAddress, type UserMemory } from './user-memory.js'

export interface ForkOptions extends TaskIdentity {
  /** Default: the next free one. */
  readonly pid?: number
}

/** What tasks need of the machine that they live on. */
export interface TaskWorld {
  readonly changes: ChangeCounter
  now(): bigint
  createUserMemory(): UserMemory
  /** Checks the pid, or finds a free one. @throws BpfError `BAD_VALUE` if it is taken */
  claimPid(wanted: number | undefined): number
  /** Puts it into the list of tasks. */
  enter(task: Task): void
  /** Takes it out, and hands its children on to the first process. */
  leave(task: Task): void
  /** Its user or group is another one now. */
  identityChanged(task: Task): void
  /** Runs what is attached to a tracepoint, with `current` as the current task. */
  fire(tracepoint: string, args: readonly unknown[], current: Task): void
}

const TASK_COMM_LEN = 16
/** Pid of the first process. */
const INIT = 1
/** include/linux/sched/signal.h */
const SIGNAL_GROUP_EXIT = 4
/** include/linux/sched.h */
const PF_EXITING = 4
const PF_FORKNOEXEC = 0x40
const SIGCHLD = 17
const DEFAULT_PRIORITY = 120

/** What all threads of a process have in common. */
export interface Process {
  readonly leader: Task
  readonly threads: Set<Task>
  readonly signal: KernelStruct
  memory: UserMemory | undefined
  mm: KernelStruct | null
}

const encoder = new TextEncoder()

export class Task {
  /** Of the thread: what `gettid()` tells. */
  readonly pid: number
  /** Of the process: what `getpid()` tells, and what people call a pid. */
  readonly tgid: number
  /** The task's `struct task_struct`. */
  readonly struct: KernelStruct
  /** @internal */
  readonly process: Process
  readonly #world: TaskWorld
  readonly #cred: KernelStruct
  #comm: string
  #uid: number
  #gid: number
  #parent: Task | null
  #exitCode: number | undefined

  /** @internal */
  constructor(
    world: TaskWorld,
    init: { pid: number; comm: string; uid: number; gid: number; fields: FieldValues; flags: number },
    parent: Task | null,
    process: Process | undefined,
  ) {
    this.#world = world
    this.pid = init.pid
    this.tgid = process?.leader.pid ?? init.pid
    this.#comm = cut(init.comm)
    this.#uid = checkId(init.uid, 'uid')
    this.#gid = checkId(init.gid, 'gid')
    this.#parent = parent
    this.#cred = new KernelStruct('cred', this.#credentials(), world.changes)
    const now = world.now()
    this.struct = new KernelStruct('task_struct', { ...init.fields }, world.changes)
    this.process = process ?? {
      leader: this,
      threads: new Set(),
      signal: new KernelStruct('signal_struct', {}, world.changes),
      memory: undefined,
      mm: null,
    }
    this.process.threads.add(this)
    this.#countThreads()
    this.struct.set({
      pid: this.pid,
      tgid: this.tgid,
      comm: this.#comm,
      flags: init.flags,
      start_time: now,
      start_boottime: now,
      real_start_time: now,
      real_parent: parent?.struct ?? this.struct,
      parent: parent?.struct ?? this.struct,
      group_leader: this.process.leader.struct,
      real_cred: this.#cred,
      cred: this.#cred,
      mm: this.process.mm,
      active_mm: this.process.mm,
      signal: this.process.signal,
      exit_signal: process === undefined ? SIGCHLD : -1,
      prio: DEFAULT_PRIORITY,
      static_prio: DEFAULT_PRIORITY,
      normal_prio: DEFAULT_PRIORITY,
      ...init.fields,
    })
    world.enter(this)
  }

  /** Name, at most 15 bytes. */
  get comm(): string {
    return this.#comm
  }

  set comm(comm: string) {
    checkText('comm', comm)
    this.#comm = cut(comm)
    this.struct.set({ comm: this.#comm })
  }

  get uid(): number {
    return this.#uid
  }

  set uid(uid: number) {
    this.#uid = checkId(uid, 'uid')
    this.#cred.set(this.#credentials())
    this.#world.identityChanged(this)
  }

  get gid(): number {
    return this.#gid
  }

  set gid(gid: number) {
    this.#gid = checkId(gid, 'gid')
    this.#cred.set(this.#credentials())
    this.#world.identityChanged(this)
  }

  /** The task that forked the process; null for the first one. */
  get parent(): Task | null {
    return this.#parent
  }

  set parent(parent: Task | null) {
    this.#parent = parent
    const struct = parent?.struct ?? this.struct
    this.struct.set({ real_parent: struct, parent: struct })
  }

  /** The first thread of the process. */
  get leader(): Task {
    return this.process.leader
  }

  /** False once it has ended. */
  get alive(): boolean {
    return this.#exitCode === undefined
  }

  /** As `waitpid()` tells it: code << 8 | signal; undefined while it lives. */
  get exitCode(): number | undefined {
    return this.#exitCode
  }

  /** The task's credentials: its `struct cred`. */
  get credentials(): KernelStruct {
    return this.#cred
  }

  /** Sets members of the `struct task_struct` by name. */
  setFields(fields: FieldValues): void {
    checkIdentity({ fields })
    this.struct.set(fields)
  }

  /** Starts a process, as `fork()` does. Fires `sched_process_fork`. */
  fork(options: ForkOptions = {}): Task {
    return this.#clone(options, undefined)
  }

  /** Starts a thread in this task's process. Fires `sched_process_fork`. */
  thread(options: ForkOptions = {}): Task {
    return this.#clone(options, this.process)
  }

  /**
   * Replaces the program, as `execve()` does: new memory with the arguments, and `comm` from the file's name unless given. Fires
   * `sched_process_exec`.
   *
   * @param argv the arguments; the first is the program's own name. Default: the file's name
   */
  exec(
    filename: string,
    argv: readonly string[] = [filename],
    options: { readonly comm?: string } = {},
  ): this {
    this.#assertAlive('execute')
    checkProgram(filename, argv)
    checkOptions('exec', options, "{ comm: 'curl' }")
    if (options.comm !== undefined) checkText('comm', options.comm)
    const { process } = this
    const memory = this.#world.createUserMemory()
    const args = encoder.encode(argv.map((arg) => `${arg}\0`).join(''))
    const start = userAddress(memory.place(args, `arguments of ${filename}`))
    const end = start + BigInt(args.length)
    const name = filename.slice(filename.lastIndexOf('/') + 1)
    const dentry = new KernelStruct(
      'dentry',
      { d_name: { name, len: encoder.encode(name).length } },
      this.#world.changes,
    )
    const file = new KernelStruct('file', { f_path: { dentry } }, this.#world.changes)
    process.memory?.release()
    process.memory = memory
    process.mm = new KernelStruct(
      'mm_struct',
      {
        arg_start: start,
        arg_end: end,
        env_start: end,
        env_end: end,
        exe_file: file,
        mm_users: 1,
        mm_count: 1,
      },
      this.#world.changes,
    )
    this.#comm = cut(options.comm ?? name)
    const flags = Number(this.struct.fields['flags'] ?? 0) & ~PF_FORKNOEXEC
    this.struct.set({ mm: process.mm, active_mm: process.mm, comm: this.#comm, flags })
    const bprm = new KernelStruct(
      'linux_binprm',
      {
        filename,
        interp: filename,
        argc: argv.length,
        envc: 0,
        cred: this.#cred,
        mm: process.mm,
        file,
        p: start,
      },
      this.#world.changes,
    )
    this.#world.fire('sched_process_exec', [this, this.pid, bprm], this)
    return this
  }

  /** Puts bytes or a NUL-terminated text into the process's memory. @returns the user address */
  place(data: Uint8Array | string): bigint {
    this.#assertAlive('place data in')
    if (!(data instanceof Uint8Array)) checkText('data', data)
    this.process.memory ??= this.#world.createUserMemory()
    const bytes = typeof data === 'string' ? encoder.encode(`${data}\0`) : data
    return userAddress(this.process.memory.place(bytes, `user data of ${this.#comm}`))
  }

  /**
   * Ends the whole process, as `exit_group()` or a deadly signal does. Fires `sched_process_exit` for each thread, this one first.
   *
   * @param exit a code, or a signal
   */
  exit(exit: Exit = 0): void {
    this.#assertAlive('exit from')
    this.#assertMayEnd()
    const status = statusOf(exit)
    this.process.signal.set({ group_exit_code: status, flags: SIGNAL_GROUP_EXIT })
    const others = [...this.process.threads].filter((thread) => thread !== this)
    this.#end(status)
    for (const thread of others) thread.#end(status)
  }

  /** Ends this thread alone, as the system call `exit()` does. Fires `sched_process_exit`. */
  exitThread(code = 0): void {
    this.#assertAlive('exit from')
    if (this.process.threads.size === 1) this.#assertMayEnd()
    this.#end(statusOf(code))
  }

  #clone(options: ForkOptions, process: Process | undefined): Task {
    this.#assertAlive('fork from')
    checkOptions(process === undefined ? 'fork' : 'thread', options, "{ pid: 42, comm: 'worker' }")
    checkIdentity(options)
    const pid = this.#world.claimPid(options.pid)
    const child = new Task(
      this.#world,
      {
        pid,
        comm: options.comm ?? this.#comm,
        uid: options.uid ?? this.#uid,
        gid: options.gid ?? this.#gid,
        fields: options.fields ?? {},
        flags: PF_FORKNOEXEC,
      },
      process === undefined ? this.leader : this.#parent,
      process,
    )
    if (process === undefined && this.process.memory !== undefined) {
      child.process.memory = this.process.memory.retain()
      child.process.mm = new KernelStruct('mm_struct', this.process.mm?.fields ?? {}, this.#world.changes)
      child.struct.set({ mm: child.process.mm, active_mm: child.process.mm })
    }
    this.#world.fire('sched_process_fork', [this, child], this)
    return child
  }

  #end(status: number): void {
    const { threads } = this.process
    threads.delete(this)
    this.#countThreads()
    this.#exitCode = status
    const flags = Number(this.struct.fields['flags'] ?? 0) | PF_EXITING
    this.struct.set({ exit_code: status, flags })
    // As in Linux 6.16 and later, the memory is still there when the tracepoint fires.
    this.#world.fire('sched_process_exit', [this, threads.size === 0], this)
    if (threads.size === 0) {
      this.process.memory?.release()
      this.process.memory = undefined
    }
    this.#world.leave(this)
  }

  #countThreads(): void {
    const { size } = this.process.threads
    this.process.signal.set({ live: { counter: size }, nr_threads: size })
  }

  #credentials(): FieldValues {
    const uid = { val: this.#uid }
    const gid = { val: this.#gid }
    return { uid, euid: uid, suid: uid, fsuid: uid, gid, egid: gid, sgid: gid, fsgid: gid }
  }

  #assertMayEnd(): void {
    if (this.tgid !== INIT) return
    throw new BpfError('EPERM', `task ${this.pid} (${this.#comm}) can't end: it is the first process`, {
      errno: 1,
      hint: 'Linux panics: "Attempted to kill init!". End a child: kernel.tasks.spawn(…).exit(0)',
    })
  }

  #assertAlive(what: string): void {
    if (!this.alive)
      throw new BpfError('BAD_PHASE', `can't ${what} task ${this.pid} (${this.#comm}): it has ended`)
  }
}

function cut(comm: string): string {
  const bytes = encoder.encode(comm)
  return bytes.length < TASK_COMM_LEN ? comm : new TextDecoder().decode(bytes.subarray(0, TASK_COMM_LEN - 1))
}
