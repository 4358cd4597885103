/** The user memory of a simulated process: what `bpf_probe_read_user` reads. */
import { Access, USER_HI, type Memory } from '../memory.js'

interface Region {
  readonly address: number
  readonly size: number
}

/** An address space. Forked processes share one until they execute something, as copy-on-write has it. */
export class UserMemory {
  readonly #memory: Memory
  readonly #regions: Region[] = []
  #users = 1

  constructor(memory: Memory) {
    this.#memory = memory
  }

  /** Copies bytes into the address space. @returns the low half of their user address */
  place(bytes: Uint8Array, label: string): number {
    const address = this.#memory.alloc(bytes.length, Access.user, 16, label)
    this.#memory.u8.set(bytes, address)
    this.#regions.push({ address, size: bytes.length })
    return address
  }

  /** Whether all the bytes are this process's. */
  contains(address: number, size: number): boolean {
    for (const region of this.#regions) {
      if (address >= region.address && address + size <= region.address + region.size) return true
    }
    return false
  }

  retain(): this {
    this.#users++
    return this
  }

  /** Its last user gives the memory back. */
  release(): void {
    if (--this.#users > 0) return
    for (const { address } of this.#regions) this.#memory.free(address)
    this.#regions.length = 0
  }
}

/** A user address as a 64-bit number. */
export function userAddress(low: number): bigint {
  return (BigInt(USER_HI) << 32n) | BigInt(low >>> 0)
}
