/** What Linux knows of programs, maps, links and BTF. */
import { closeSync, readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { BpfError, unsupported } from '../errors.js'
import type {
  AttachedPrograms,
  AttachmentQuery,
  Holder,
  KernelIntrospection,
  NetnsName,
  ObjectKind,
  ProgramCode,
  Reference,
  TaskFile,
} from '../kernel-introspection.js'
import {
  readBtfInfo,
  readMapInfo,
  readProgramInfo,
  type BtfFacts,
  type DescriptorFacts,
  type MapFacts,
  type ProgramFacts,
} from '../linux/object-info.js'
import type { Addon } from './addon-types.js'
import { holders } from './holders.js'
import type { AddonObjectKind } from './introspection-types.js'
import { NativeMap } from './map.js'
import { OpenTargets } from './network-targets.js'
import { NativeProgram } from './program.js'

const KINDS: Readonly<Record<ObjectKind, AddonObjectKind>> = { program: 0, map: 1, btf: 2, link: 3 }

/** The network namespace of the calling thread. */
const OWN_NETNS = '/proc/thread-self/ns/net'

/** BPF_F_QUERY_EFFECTIVE. */
const QUERY_EFFECTIVE = 1

export class NativeIntrospection implements KernelIntrospection {
  readonly #addon: Addon

  constructor(addon: Addon) {
    this.#addon = addon
  }

  nextId(kind: ObjectKind, after: number): number | undefined {
    return this.#addon.nextId(KINDS[kind], after)
  }

  program(program: Reference): ProgramFacts {
    return this.#use('program', program, (fd, subject) => {
      const { info, mapIds } = this.#addon.programInfo(fd, subject)
      return readProgramInfo(info, mapIds, descriptorFacts(fd))
    })
  }

  programCode(program: Reference): ProgramCode {
    return this.#use('program', program, (fd, subject) => {
      const { symbols, jitedLines, ...code } = this.#addon.programCode(fd, subject)
      return { ...code, addresses: toNumbers(symbols), jitedLines: toNumbers(jitedLines) }
    })
  }

  map(map: Reference): MapFacts {
    return this.#use('map', map, (fd, subject) => readMapInfo(this.#addon.objectInfo(fd, subject), descriptorFacts(fd)))
  }

  btf(id: number): BtfFacts {
    return this.#use('btf', { id }, (fd, subject) => {
      const { info, name } = this.#addon.btfInfo(fd, false, subject)
      return readBtfInfo(info, name)
    })
  }

  btfBytes(id: number): Uint8Array {
    return this.#use('btf', { id }, (fd, subject) => this.#addon.btfInfo(fd, true, subject).bytes ?? new Uint8Array(0))
  }

  btfTypeName(btf: number, type: number): string | undefined {
    return this.#addon.btfTypeName(btf, type)
  }

  attached(query: AttachmentQuery): AttachedPrograms | undefined {
    const { target, attachType, effective, details } = query
    using targets = new OpenTargets()
    const netns = 'netns' in target ? targets.netns(target.netns) : undefined
    const [number, subject] =
      'cgroup' in target
        ? [targets.cgroup(target.cgroup), `cgroup ${target.cgroup}`]
        : 'ifindex' in target
          ? [target.ifindex, `interface ${target.ifindex}`]
          : [netns ?? targets.netns(OWN_NETNS) ?? 0, 'network namespace']
    const scope = 'ifindex' in target ? netns : undefined
    try {
      return this.#addon.queryPrograms(number, attachType, effective ? QUERY_EFFECTIVE : 0, details, scope, subject)
    } catch (error) {
      if (!(error instanceof BpfError)) throw error
      // Kernels that don't know the attach type, or have it switched off; cgroups before Linux 6.0 know no flags by program.
      if (error.code === 'EINVAL' && details === 'flags') return this.attached({ ...query, details: 'none' })
      if (error.code === 'EINVAL' || error.code === 'EOPNOTSUPP' || error.code === 'ENOTSUPP') return undefined
      throw error
    }
  }

  taskFile(pid: number, fd: number): TaskFile | undefined {
    return this.#addon.taskFdQuery(pid, fd, `file descriptor ${fd} of process ${pid}`)
  }

  holders(kind: Exclude<ObjectKind, 'btf'>): readonly Holder[] {
    return holders(kind)
  }

  countRunTime(): { close(): void } {
    let fd: number | undefined = this.#addon.enableStats()
    return {
      close() {
        if (fd !== undefined) closeSync(fd)
        fd = undefined
      },
    }
  }

  netlink(request: Uint8Array, netns: NetnsName, subject: string): Uint8Array {
    using targets = new OpenTargets()
    return this.#addon.netlinkDump(request, targets.netns(netns), subject)
  }

  /** With a descriptor: the handle's own, or one that is opened for the time being. */
  #use<T>(
    kind: ObjectKind,
    reference: Reference,
    action: (fd: number, subject: string) => T,
  ): T {
    if ('handle' in reference) {
      const { handle } = reference
      if (!(handle instanceof NativeProgram || handle instanceof NativeMap)) {
        throw unsupported(`looking at ${kind} '${handle.info.name}' of another kernel with the native one`)
      }
      return action(handle.fd, `${kind} '${handle.info.name}'`)
    }
    const subject = `${kind} ${reference.id}`
    const fd = this.#addon.openById(KINDS[kind], reference.id, subject)
    try {
      return action(fd, subject)
    } finally {
      closeSync(fd)
    }
  }
}

/** What the info structs leave out. */
function descriptorFacts(fd: number): DescriptorFacts {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
  const number = (name: string): number | undefined => {
    const digits = new RegExp(`^${name}:\\s*(\\d+)$`, 'm').exec(text)?.[1]
    return digits === undefined ? undefined : Number(digits)
  }
  return { memlock: number('memlock'), frozen: number('frozen') === 1, bootedAt: Date.now() / 1000 - uptime() }
}

function toNumbers(bytes: Uint8Array | undefined): readonly bigint[] {
  if (bytes === undefined) return []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(8 * i, true))
}
