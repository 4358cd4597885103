/** The simulated tasks, and which one is current. */
import { BpfError } from '../../errors.js'
import { KERNEL_WORD } from '../kernel-words.js'
import type { FieldValues } from './kernel-struct.js'
import { describe } from '../describe.js'
import { checkIdentity, checkOptions, checkProgram, checkText } from './task-checks.js'
import { Task, type TaskWorld } from './task.js'
import type { TaskIdentity } from './task-options.js'

/** A task as a test describes it. What isn't given stays as it is, or is what a new task has. */
export interface TaskInit extends TaskIdentity {
  readonly pid: number
  /** Default: `pid`; another one makes it a thread of that process. */
  readonly tgid?: number
  /** A task, or the description of one; found by its pid if it is there already. */
  readonly parent?: Task | TaskInit
}

export interface SpawnOptions extends TaskIdentity {
  /** Default: the next free one. */
  readonly pid?: number
  /** Who forks. Default: the current task. */
  readonly parent?: Task
  /** What is executed: `/usr/bin/curl`. */
  readonly filename: string
  /** Default: the filename alone. */
  readonly argv?: readonly string[]
}

const PID_MAX = 0x3fffffff
/** As on a machine that has been up for a while. */
const FIRST_FREE_PID = 1000

/** What the tasks need of the machine. */
export interface TasksOptions extends Omit<TaskWorld, 'claimPid' | 'enter' | 'leave' | 'identityChanged'> {
  /** The memory with the words of kernel-words.ts, which compiled programs read. */
  readonly memory: { readonly i32: Int32Array }
  /** A task has gone: nothing of it is there any more. */
  ended(task: Task): void
}

export class Tasks implements Iterable<Task> {
  readonly #world: TaskWorld
  readonly #memory: TasksOptions['memory']
  readonly #ended: TasksOptions['ended']
  readonly #byPid = new Map<number, Task>()
  readonly #init: Task
  #current: Task
  #nextPid = FIRST_FREE_PID

  /** @internal */
  constructor(world: TasksOptions) {
    this.#ended = (task) => world.ended(task)
    this.#memory = world.memory
    this.#world = {
      changes: world.changes,
      now: () => world.now(),
      createUserMemory: () => world.createUserMemory(),
      fire: (tracepoint, args, current) => world.fire(tracepoint, args, current),
      claimPid: (wanted) => this.#claimPid(wanted),
      enter: (task) => void this.#byPid.set(task.pid, task),
      leave: (task) => this.#leave(task),
      identityChanged: (task) => {
        if (task === this.#current) this.#show(task)
      },
    }
    this.#init = this.#create({ pid: 1, comm: 'init' }, null)
    this.#current = this.#init
    this.#show(this.#init)
  }

  /** The first process. */
  get init(): Task {
    return this.#init
  }

  /** The task that programs find as the current one. At the start, and when it has ended: the first process. */
  get current(): Task {
    return this.#current
  }

  /** Takes a task, or the description of one: the task of that pid is changed accordingly, or made if there is none. */
  set current(task: Task | TaskInit) {
    this.#switchTo(this.#resolve(task))
  }

  /** The task of that pid, if it lives. */
  get(pid: number): Task | undefined {
    return this.#byPid.get(pid)
  }

  [Symbol.iterator](): Iterator<Task> {
    return this.#byPid.values()
  }

  /**
   * Starts a process: a fork and an exec, with their tracepoints `sched_process_fork` and `sched_process_exec`.
   *
   * @throws BpfError `BAD_VALUE` for a pid that is taken, `TRAP` for what an attached program did
   */
  spawn(options: SpawnOptions): Task {
    checkOptions('spawn', options, "{ filename: '/usr/bin/curl', argv: ['curl', 'localhost'] }")
    // Before the fork: a refused call leaves no child behind.
    checkProgram(options.filename, options.argv)
    if (options.comm !== undefined) checkText('comm', options.comm)
    if (options.parent !== undefined && !(options.parent instanceof Task))
      throw new BpfError('BAD_VALUE', `spawn(): parent is a task, not ${describe(options.parent)}`)
    const { pid, parent = this.#current, filename, argv = [filename], comm, uid, gid, fields } = options
    const child = parent.fork({
      ...(pid !== undefined && { pid }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
      ...(fields !== undefined && { fields }),
    })
    return child.exec(filename, argv, comm === undefined ? {} : { comm })
  }

  /** Makes a task current for the time of a call. @internal */
  runAs<T>(task: Task, run: () => T): T {
    const before = this.#current
    this.#switchTo(task)
    try {
      return run()
    } finally {
      this.#switchTo(before)
    }
  }

  #switchTo(task: Task): void {
    this.#current = task
    this.#show(task)
  }

  /** Writes who it is where compiled programs find it. */
  #show({ pid, tgid, uid, gid }: Task): void {
    const { i32 } = this.#memory
    i32[KERNEL_WORD.TASK >> 2] = pid
    i32[(KERNEL_WORD.TASK >> 2) + 1] = tgid
    i32[KERNEL_WORD.USER >> 2] = uid
    i32[(KERNEL_WORD.USER >> 2) + 1] = gid
  }

  #resolve(task: Task | TaskInit): Task {
    if (task instanceof Task) {
      if (task.alive) return task
      throw new BpfError('BAD_PHASE', `task ${task.pid} (${task.comm}) has ended`)
    }
    if (typeof task !== 'object' || task === null || !isPid(task.pid)) {
      throw new BpfError('BAD_VALUE', `a task has a pid from 1 to ${PID_MAX}: { pid: 42, comm: 'curl' }`)
    }
    checkIdentity(task)
    const known = this.#byPid.get(task.pid)
    const parent = task.parent === undefined ? undefined : this.#resolve(task.parent)
    if (known === undefined) return this.#create(task, parent ?? this.#init)
    if (task.tgid !== undefined && task.tgid !== known.tgid) {
      throw new BpfError('BAD_VALUE', `task ${known.pid} belongs to process ${known.tgid}, not ${task.tgid}`)
    }
    if (task.comm !== undefined) known.comm = task.comm
    if (task.uid !== undefined) known.uid = task.uid
    if (task.gid !== undefined) known.gid = task.gid
    if (parent !== undefined) known.parent = parent
    if (task.fields !== undefined) known.setFields(task.fields)
    return known
  }

  #create(init: TaskInit, parent: Task | null): Task {
    const { pid, tgid = pid, comm = `task-${pid}`, uid = 0, gid = uid, fields = {} } = init
    const given: FieldValues = fields
    const leader =
      tgid === pid ? undefined : (this.#byPid.get(tgid) ?? this.#create({ ...init, pid: tgid, tgid }, parent))
    return new Task(this.#world, { pid, comm, uid, gid, fields: given, flags: 0 }, parent, leader?.process)
  }

  #claimPid(wanted: number | undefined): number {
    if (wanted !== undefined) {
      if (!isPid(wanted))
        throw new BpfError('BAD_VALUE', `a pid is an integer from 1 to ${PID_MAX}, not ${String(wanted)}`)
      if (this.#byPid.has(wanted))
        throw new BpfError('BAD_VALUE', `pid ${wanted} is taken by '${this.#byPid.get(wanted)?.comm}'`)
      return wanted
    }
    while (this.#byPid.has(this.#nextPid)) this.#nextPid++
    return this.#nextPid++
  }

  #leave(task: Task): void {
    this.#byPid.delete(task.pid)
    for (const other of this.#byPid.values()) if (other.parent === task) other.parent = this.#init
    if (this.#current === task) this.#switchTo(this.#init)
    this.#ended(task)
  }
}

function isPid(pid: unknown): boolean {
  return typeof pid === 'number' && Number.isInteger(pid) && pid > 0 && pid <= PID_MAX
}
