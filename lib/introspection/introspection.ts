/** The programs, maps, links and types of a whole kernel, whoever they belong to: what `bpftool prog`, `map`, `link`, `btf` and `net` show. */
import { readdirSync, readlinkSync } from 'node:fs'
import { BpfError } from '../errors.js'
import type { Kernel } from '../kernel.js'
import type { Holder, KernelIntrospection, ObjectKind, Reference } from '../kernel-introspection.js'
import type { LinkInfo } from '../link-info.js'
import type { BtfFacts, MapFacts, ProgramFacts } from '../linux/object-info.js'
import { BpfMap } from '../map.js'
import { NO_FILE } from '../no-file.js'
import { Program } from '../program.js'
import { selectKernel, type KernelChoice } from '../select-kernel.js'
import { cgroupAttachments, type CgroupAttachment, type CgroupOptions } from './cgroup.js'
import { helperByCallOffset } from './kernel-symbols.js'
import { programListing, type ProgramListing } from './listing.js'
import { networkAttachments, type NetworkAttachments, type NetworkOptions } from './network.js'
import { TASK_FILE_KINDS, type TaskFileInfo } from './task-file.js'

/** Who uses a map. */
export interface MapUsers {
  /** Ids of the programs that refer to it. */
  readonly programs: readonly number[]
  /** Descriptors of it. */
  readonly processes: readonly Holder[]
}

/** A struct_ops map: an implementation of one of the kernel's interfaces. */
export interface StructOpsFacts {
  /** Of its map. */
  readonly id: number
  readonly name: string
  /** `tcp_congestion_ops`; empty where the kernel's types don't tell. */
  readonly kernelStruct: string
}

/** Until it is closed, Linux counts how often each program runs, and for how long. */
export interface RunTimeCounter extends Disposable {
  close(): void
}

const VALUE_STRUCT = 'bpf_struct_ops_'

/**
 * What a kernel knows. Nothing here changes anything, save {@link countRunTime}.
 *
 * By id, Linux wants `CAP_SYS_ADMIN` (a process with `CAP_BPF` alone looks at its own handles: `kernel.program(object.programs.x)`).
 * Programs and maps come and go: what is listed may be gone when it is asked for.
 *
 * @example
 * const kernel = introspect()
 * for (const { id, type, name, runCnt } of kernel.programs()) console.log(id, type, name, runCnt)
 */
export class Introspection {
  readonly #kernel: Kernel

  /** @internal */
  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /** Every program, by ascending id. @throws BpfError `EPERM` */
  programs(): readonly ProgramFacts[] {
    return this.#each('program', (id) => this.#look.program({ id }))
  }

  /** @throws BpfError `ENOENT` for an id that no program has, `EPERM` */
  program(program: number | Program): ProgramFacts {
    return this.#look.program(referenceTo(program))
  }

  /** Instructions and machine code of a program, with its functions and source lines. @throws BpfError as {@link program} */
  code(program: number | Program): ProgramListing {
    return programListing(this.#look, referenceTo(program), helperByCallOffset)
  }

  /** Every map, by ascending id. @throws BpfError `EPERM` */
  maps(): readonly MapFacts[] {
    return this.#each('map', (id) => this.#look.map({ id }))
  }

  /** @throws BpfError `ENOENT` for an id that no map has, `EPERM` */
  map(map: number | BpfMap): MapFacts {
    return this.#look.map(referenceTo(map))
  }

  /** The programs that use a map, and the processes that have it open. @throws BpfError `EPERM` */
  mapUsers(map: number | BpfMap): MapUsers {
    const id = typeof map === 'number' ? map : map.id
    return {
      programs: this.programs().flatMap((program) => (program.mapIds.includes(id) ? [program.id] : [])),
      processes: this.holders('map').filter((holder) => holder.id === id),
    }
  }

  /** Every link, by ascending id. Linux 5.8. @throws BpfError `EPERM` */
  links(): readonly LinkInfo[] {
    return this.#each('link', (id) => this.link(id))
  }

  /** @throws BpfError `ENOENT` for an id that no link has, `EPERM` */
  link(id: number): LinkInfo {
    const link = this.#kernel.openLink({ id })
    try {
      return link.info()
    } finally {
      link.close()
    }
  }

  /** Every BTF object: the kernel's, its modules', and programs'. @throws BpfError `EPERM` */
  btfs(): readonly BtfFacts[] {
    return this.#each('btf', (id) => this.#look.btf(id))
  }

  /** @throws BpfError `ENOENT`, `EPERM` */
  btf(id: number): BtfFacts {
    return this.#look.btf(id)
  }

  /** The type information itself, as in a `.BTF` section. A module's continues the kernel's. @throws BpfError `ENOENT`, `EPERM` */
  btfBytes(id: number): Uint8Array {
    return this.#look.btfBytes(id)
  }

  /** Every struct_ops map. @throws BpfError `EPERM` */
  structOps(): readonly StructOpsFacts[] {
    return this.maps()
      .filter(({ type }) => type === 'struct_ops')
      .map(({ id, name, btfVmlinuxValueTypeId }) => ({
        id,
        name,
        kernelStruct: this.#structName(btfVmlinuxValueTypeId),
      }))
  }

  /** Which processes have descriptors of programs, maps or links. Of other users' processes, only with `CAP_SYS_PTRACE`. */
  holders(kind: Exclude<ObjectKind, 'btf'>): readonly Holder[] {
    return this.#look.holders(kind)
  }

  /**
   * What the perf events and raw tracepoints of a process run (BPF_TASK_FD_QUERY): kprobes, uprobes, tracepoints that are attached without a
   * BPF link. Needs `CAP_SYS_ADMIN`.
   */
  taskFiles(pid: number): readonly TaskFileInfo[] {
    return perfEventsOf(pid).flatMap((fd) => {
      const found = this.#look.taskFile(pid, fd)
      if (found === undefined) return []
      const { programId, type, name, offset, address } = found
      return [{ pid, fd, programId, kind: TASK_FILE_KINDS[type] ?? 'unknown', name, offset, address }]
    })
  }

  /**
   * What is attached to a cgroup.
   *
   * @param path its directory in a cgroup2 file system
   * @throws BpfError `ENOENT` with the nearest name, `BAD_VALUE` for what is no cgroup
   */
  cgroup(path: string, options: CgroupOptions = {}): readonly CgroupAttachment[] {
    return cgroupAttachments(this.#look, path, options)
  }

  /** What is attached to the interfaces of a network namespace (this thread's, by default), and to it. `CAP_NET_ADMIN`. */
  network(options: NetworkOptions = {}): NetworkAttachments {
    return networkAttachments(this.#look, options)
  }

  /**
   * Counts runs of all programs and their time (`runCnt`, `runTimeNs`) until it is closed. Costs each run some 20 ns. Linux 5.8, `CAP_SYS_ADMIN`;
   * sysctl kernel.bpf_stats_enabled does the same for good.
   */
  countRunTime(): RunTimeCounter {
    const counter = this.#look.countRunTime()
    return { close: () => counter.close(), [Symbol.dispose]: () => counter.close() }
  }

  get #look(): KernelIntrospection {
    return this.#kernel.introspection
  }

  #structName(type: number): string {
    const vmlinux = this.btfs().find((btf) => btf.kernel && btf.name === 'vmlinux')
    const name = vmlinux === undefined ? undefined : this.#look.btfTypeName(vmlinux.id, type)
    return name?.startsWith(VALUE_STRUCT) === true ? name.slice(VALUE_STRUCT.length) : ''
  }

  #each<T>(kind: ObjectKind, look: (id: number) => T): readonly T[] {
    const found: T[] = []
    for (let id = this.#look.nextId(kind, 0); id !== undefined; id = this.#look.nextId(kind, id)) {
      try {
        found.push(look(id))
      } catch (error) {
        // Gone since its id was told.
        if (!(error instanceof BpfError && error.code === 'ENOENT')) throw error
      }
    }
    return found
  }
}

/**
 * Looks at a kernel: at Linux by default.
 *
 * @throws BpfError `NO_NATIVE_KERNEL` saying what is missing
 */
export function introspect(options: { readonly kernel?: KernelChoice } = {}): Introspection {
  return new Introspection(selectKernel(options.kernel ?? 'native', NO_FILE))
}

function referenceTo(object: number | Program | BpfMap): Reference {
  if (object instanceof Program) return { handle: object.kernelProgram }
  if (object instanceof BpfMap) return { handle: object.kernelMap }
  if (Number.isInteger(object) && object > 0 && object <= 0xffffffff) return { id: object }
  throw new BpfError('BAD_VALUE', `an id is a positive 32-bit integer, not ${String(object)}`)
}

/** Descriptors that BPF_TASK_FD_QUERY can tell something of. */
function perfEventsOf(pid: number): readonly number[] {
  const directory = `/proc/${pid}/fd`
  try {
    return readdirSync(directory).flatMap((fd) => (isPerfEvent(`${directory}/${fd}`) ? [Number(fd)] : []))
  } catch (cause) {
    const { code = 'EIO', message } = cause as NodeJS.ErrnoException
    throw new BpfError(code, `process ${pid}: ${message}`, { cause, call: 'readdir' })
  }
}

function isPerfEvent(file: string): boolean {
  try {
    return /^anon_inode:(\[perf_event\]|bpf-raw-tracepoint|\[?bpf_link\]?|bpf_link)$/.test(readlinkSync(file))
  } catch {
    return false
  }
}
