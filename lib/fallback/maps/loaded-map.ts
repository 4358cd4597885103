/** A map that exists: storage, id, and the address by which programs know it. It lives as long as somebody holds it. */
import { systemError } from '../../errors.js'
import { errno } from '../../linux/errno.js'
import { Access, type Memory } from '../memory.js'
import { createMap } from './create.js'
import type { CpuState, MapAttributes, MapStorage } from './types.js'

/** What a map needs of the machine that it is made on. */
export interface MapHost {
  readonly memory: Memory
  readonly cpus: CpuState
  /** Indices of the network interfaces that there are. */
  readonly interfaces?: ReadonlySet<number>
  /** Maps by the low half of their kernel-side address. */
  readonly maps: Map<number, LoadedMap>
  /** Maps by the names that they are pinned under. */
  readonly pins: Map<string, LoadedMap>
  /** Names of other things. */
  readonly linkPins?: ReadonlyMap<string, unknown>
  newMapId(): number
}

/** Of the kernel-side map object; nothing can be read there. */
const OBJECT_SIZE = 16

export class LoadedMap {
  readonly id: number
  readonly storage: MapStorage
  /** Low half of the address that stands for the map in programs. */
  readonly address: number
  /** BPF_MAP_FREEZE: user space can't write it any more. */
  frozen = false
  readonly #machine: MapHost
  #holders = 1
  /** Handles and pins of user space, which are holders too. */
  #users = 0

  /** @throws BpfError see {@link createMap} */
  constructor(
    machine: MapHost,
    attributes: MapAttributes,
    storage = createMap(machine.memory, machine.cpus, attributes, machine.interfaces),
  ) {
    this.#machine = machine
    this.storage = storage
    this.id = machine.newMapId()
    this.address = machine.memory.alloc(OBJECT_SIZE, Access.none, 16, `map '${attributes.name}'`)
    machine.maps.set(this.address, this)
  }

  get name(): string {
    return this.storage.attributes.name
  }

  /** BPF_OBJ_PIN. Paths are names here: there is no file system. @throws BpfError `EEXIST` */
  pin(path: string): void {
    const { pins, linkPins } = this.#machine
    if (pins.has(path) || linkPins?.has(path) === true)
      throw systemError('bpf(BPF_OBJ_PIN)', errno('EEXIST'), `pin ${path}`)
    pins.set(path, this.retainForUser())
  }

  /** @throws BpfError `ENOENT` */
  unpin(path: string): void {
    const { pins } = this.#machine
    const pinned = pins.get(path)
    if (pinned === undefined) throw systemError('unlink', errno('ENOENT'), `pin ${path}`)
    pins.delete(path)
    pinned.releaseForUser()
  }

  retain(): this {
    this.#holders++
    return this
  }

  /** A hold of user space, on top of one that is there. */
  retainForUser(): this {
    this.#users++
    return this.retain()
  }

  releaseForUser(): void {
    if (--this.#users === 0) this.storage.leftByUser?.()
    this.release()
  }

  /** The last holder's release gives the memory back. */
  release(): void {
    if (--this.#holders > 0) return
    this.#machine.maps.delete(this.address)
    this.#machine.memory.free(this.address)
    this.storage.destroy()
  }
}
