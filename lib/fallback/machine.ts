/** The state of one simulated machine: what helpers, programs and hooks share. */
import { Clock, type ClockMode } from './hooks/clock.js'
import type { ChangeCounter, KernelStruct } from './hooks/kernel-struct.js'
import { ObjectSpace } from './hooks/layout.js'
import { Tasks } from './hooks/tasks.js'
import type { Task } from './hooks/task.js'
import { UserMemory } from './hooks/user-memory.js'
import { Variables, type KernelVariable } from './hooks/variables.js'
import { KERNEL_WORD } from './kernel-words.js'
import type { ListedProgram } from './listed-program.js'
import type { LoadedLink } from './link.js'
import type { LoadedMap } from './maps/loaded-map.js'
import { Memory } from './memory.js'
import type { Debuggee } from './debug/debugger.js'
import type { PacketBuffer } from './packets/packet-buffer.js'
import { Random } from './random.js'
import { Reservations } from './reservations.js'
import { TraceLog } from './trace-log.js'

/** Every machine has this network interface. */
const LOOPBACK = 1

export interface MachineOptions {
  readonly cpus: number
  readonly clock: ClockMode
  readonly seed: number
  /** Instructions after which a program is stopped. */
  readonly fuel: number
  /** Most memory, in bytes; undefined: the default of {@link Memory}. */
  readonly memoryBytes: number | undefined
  /** Indices of network interfaces besides the loopback. */
  readonly interfaces?: readonly number[]
  /** Variables that programs may refer to, by name. */
  readonly variables: Readonly<Record<string, KernelVariable>>
  /** Fires a tracepoint: the kernel's, which knows what is attached. */
  fire(tracepoint: string, args: readonly unknown[]): void
}

/** Processors of the machine. Which one runs is a word of the kernel's memory too, for compiled programs. */
export class Cpus {
  readonly possible: number
  readonly #memory: Memory
  #current = 0

  constructor(possible: number, memory: Memory) {
    this.possible = possible
    this.#memory = memory
  }

  get current(): number {
    return this.#current
  }

  set current(cpu: number) {
    this.#current = cpu
    this.#memory.i32[KERNEL_WORD.CPU >> 2] = cpu
  }
}

export class Machine {
  readonly memory: Memory
  readonly cpus: Cpus
  readonly clock: Clock
  readonly random: Random
  readonly trace = new TraceLog()
  readonly tasks: Tasks
  readonly variables: Variables
  /** Indices of the network interfaces that there are. */
  readonly interfaces: ReadonlySet<number>
  readonly fuel: number
  /** Maps by the low half of their kernel-side address, which programs hold. */
  readonly maps = new Map<number, LoadedMap>()
  /** Attachments by id. */
  readonly links = new Map<number, LoadedLink>()
  /** Attachments by the names that they are pinned under. */
  readonly linkPins = new Map<string, LoadedLink>()
  /** Maps by the names that they are pinned under. */
  readonly pins = new Map<string, LoadedMap>()
  /** Programs that are loaded, by id. */
  readonly programs = new Map<number, ListedProgram & Debuggee>()
  /** Packets that programs are running on, by the low half of their contexts' addresses; the innermost run's comes last. */
  readonly packets = new Map<number, PacketBuffer>()
  /** How many want runs and their time to be counted. */
  runTimeCounters = 0
  readonly changes: ChangeCounter = { value: 0 }
  /** The objects as the running program's BTF lays them out; none runs: an empty space. */
  objects: ObjectSpace
  /** Records that programs have to commit before they end. */
  readonly reservations: Reservations
  /** Tail calls of the run that is going on. */
  tailCalls = 0
  /** Programs that run now, one inside the other: a listener may fire a tracepoint. */
  running = 0
  #nextMapId = 1
  #nextProgramId = 1
  #nextLinkId = 1
  #nextSocketCookie = 1

  constructor(options: MachineOptions) {
    this.memory = new Memory(options.memoryBytes === undefined ? {} : { maximumBytes: options.memoryBytes })
    this.cpus = new Cpus(options.cpus, this.memory)
    this.clock = new Clock(options.clock, this.memory)
    this.random = new Random(options.seed, this.memory)
    this.reservations = new Reservations(this.memory, this.maps)
    this.fuel = options.fuel
    this.objects = new ObjectSpace(this.memory, undefined, undefined)
    this.interfaces = new Set([LOOPBACK, ...(options.interfaces ?? [])])
    this.variables = new Variables(this.memory, this.changes, options.cpus, options.variables)
    this.tasks = new Tasks({
      memory: this.memory,
      changes: this.changes,
      now: () => this.clock.now(),
      createUserMemory: () => new UserMemory(this.memory),
      ended: ({ struct }) => {
        for (const { storage } of this.maps.values()) storage.ownerGone?.(struct)
      },
      fire: (tracepoint, args, current) => this.tasks.runAs(current, () => options.fire(tracepoint, args)),
    })
  }

  get task(): Task {
    return this.tasks.current
  }

  /** The structs that exist by themselves: what isn't reached from them is gone. */
  *roots(): Generator<KernelStruct, void, undefined> {
    for (const task of this.tasks) yield task.struct
    yield* this.variables.structs()
  }

  newMapId(): number {
    return this.#nextMapId++
  }

  newProgramId(): number {
    return this.#nextProgramId++
  }

  newSocketCookie(): number {
    return this.#nextSocketCookie++
  }

  newLinkId(): number {
    return this.#nextLinkId++
  }
}
