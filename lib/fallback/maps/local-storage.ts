/** BPF_MAP_TYPE_TASK_STORAGE: values that belong to objects of the kernel. kernel/bpf/bpf_local_storage.c. Linux 5.11. */
import { EBADF, ENOTSUPP } from '../errors.js'
import { Access, type Memory } from '../memory.js'
import { copy } from './array.js'
import type { MapAttributes, MapStorage } from './types.js'

/** A value lives as long as its owner. As in a hash, one that was deleted can be read until another takes its place. */
export class LocalStorage implements MapStorage {
  readonly bufferSize: number
  readonly forEach = undefined
  readonly mapped = undefined
  readonly direct = undefined
  readonly #memory: Memory
  /** Addresses of values by what they belong to. */
  readonly #values = new Map<object, number>()
  readonly #free: number[] = []

  constructor(
    memory: Memory,
    readonly attributes: MapAttributes,
  ) {
    this.#memory = memory
    this.bufferSize = attributes.valueSize
  }

  // User space names owners by file descriptors, and there are none here.
  lookup = (): number => 0
  lookupAll = (): number => EBADF
  update = (): number => EBADF
  updateAll = (): number => EBADF
  delete = (): number => EBADF
  nextKey = (): number => ENOTSUPP

  ownerGone = (owner: object): void => void this.remove(owner)

  /** Low half of the address of the owner's value, or 0. */
  find(owner: object): number {
    return this.#values.get(owner) ?? 0
  }

  /** The same, of a new value. @param from where its bytes lie; 0: they are zeroes */
  add(owner: object, from: number): number {
    const { valueSize, name } = this.attributes
    const memory = this.#memory
    const address =
      this.#free.pop() ?? memory.alloc(valueSize, Access.readWrite, 16, `value of map '${name}'`)
    if (from === 0) memory.u8.fill(0, address, address + valueSize)
    else copy(memory, address, memory.u8, from, valueSize)
    this.#values.set(owner, address)
    return address
  }

  /** @returns whether there was a value */
  remove(owner: object): boolean {
    const address = this.#values.get(owner)
    if (address === undefined) return false
    this.#values.delete(owner)
    this.#free.push(address)
    return true
  }

  destroy(): void {
    for (const address of [...this.#values.values(), ...this.#free]) this.#memory.free(address)
  }
}
