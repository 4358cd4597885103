/** What the simulated kernel knows of its programs and maps. It has no BTF objects, no machine code, no cgroups and no network to look at. */
import { systemError, unsupported } from '../errors.js'
import type {
  Holder,
  KernelIntrospection,
  ObjectKind,
  ProgramCode,
  Reference,
} from '../kernel-introspection.js'
import { errno } from '../linux/errno.js'
import { isGplCompatible } from '../linux/license.js'
import { mapTypeName } from '../linux/map-types.js'
import type { BtfFacts, MapFacts, ProgramFacts } from '../linux/object-info.js'
import { programTypeName } from '../linux/program-types.js'
import type { Machine } from './machine.js'

export class FallbackIntrospection implements KernelIntrospection {
  readonly #machine: Machine

  constructor(machine: Machine) {
    this.#machine = machine
  }

  nextId(kind: ObjectKind, after: number): number | undefined {
    let next: number | undefined
    for (const id of this.#ids(kind)) if (id > after && (next === undefined || id < next)) next = id
    return next
  }

  program(reference: Reference): ProgramFacts {
    const id = idOf(reference)
    const program = this.#machine.programs.get(id)
    if (program === undefined) throw missing('BPF_PROG_GET_FD_BY_ID', `program ${id}`)
    const { definition, license, mapIds, runs, instructions } = program
    return {
      id,
      type: programTypeName(definition.type ?? 0),
      name: definition.name,
      tag: '',
      gplCompatible: isGplCompatible(license),
      loadTime: program.loadTime,
      uid: 0,
      bytesXlated: instructions.length,
      jited: false,
      bytesJited: 0,
      mapIds,
      btfId: 0,
      runTimeNs: BigInt(runs.nanoseconds),
      runCnt: BigInt(runs.count),
      recursionMisses: 0n,
      verifiedInsns: 0,
      ifindex: 0,
      attachBtfObjId: 0,
      attachBtfId: 0,
    }
  }

  programCode(reference: Reference): ProgramCode {
    const id = idOf(reference)
    const program = this.#machine.programs.get(id)
    if (program === undefined) throw missing('BPF_PROG_GET_FD_BY_ID', `program ${id}`)
    return {
      btfId: 0,
      xlated: program.instructions.slice(),
      jited: undefined,
      addresses: [],
      lengths: [],
      functions: new Uint8Array(0),
      functionSize: 0,
      lines: new Uint8Array(0),
      lineSize: 0,
      jitedLines: [],
    }
  }

  map(reference: Reference): MapFacts {
    const id = idOf(reference)
    for (const map of this.#machine.maps.values()) {
      if (map.id !== id) continue
      const { name, type, keySize, valueSize, maxEntries, flags, mapExtra } = map.storage.attributes
      return {
        id,
        type: mapTypeName(type),
        name,
        flags,
        bytesKey: keySize,
        bytesValue: valueSize,
        maxEntries,
        frozen: map.frozen,
        mapExtra,
        btfId: 0,
        btfKeyTypeId: 0,
        btfValueTypeId: 0,
        btfVmlinuxValueTypeId: 0,
        ifindex: 0,
      }
    }
    throw missing('BPF_MAP_GET_FD_BY_ID', `map ${id}`)
  }

  btf(id: number): BtfFacts {
    throw missing('BPF_BTF_GET_FD_BY_ID', `BTF ${id}`)
  }

  btfBytes(id: number): never {
    throw missing('BPF_BTF_GET_FD_BY_ID', `BTF ${id}`)
  }

  btfTypeName(): undefined {
    return undefined
  }

  attached(): never {
    throw unsupported('programs attached to cgroups, namespaces and interfaces in the fallback kernel')
  }

  taskFile(): never {
    throw unsupported('file descriptors of processes in the fallback kernel')
  }

  /** There is one process. */
  holders(): readonly Holder[] {
    return []
  }

  countRunTime(): { close(): void } {
    let isOpen = true
    this.#machine.runTimeCounters++
    return {
      close: () => {
        if (isOpen) this.#machine.runTimeCounters--
        isOpen = false
      },
    }
  }

  netlink(): never {
    throw unsupported('rtnetlink in the fallback kernel')
  }

  #ids(kind: ObjectKind): Iterable<number> {
    switch (kind) {
      case 'program':
        return this.#machine.programs.keys()
      case 'map':
        return Array.from(this.#machine.maps.values(), ({ id }) => id)
      case 'link':
        return this.#machine.links.keys()
      case 'btf':
        return []
    }
  }
}

function idOf(reference: Reference): number {
  return 'id' in reference ? reference.id : reference.handle.info.id
}

function missing(command: string, subject: string): Error {
  return systemError(`bpf(${command})`, errno('ENOENT'), subject)
}
