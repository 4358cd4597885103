/** A packet in the kernel's memory, with room in front and behind, and the addresses of it that programs load from their context. */
import { BpfError } from '../../errors.js'
import { Access, KERNEL_HI, type Memory } from '../memory.js'
import { contextBytes, POINTER_SIZE } from './context-layout.js'

/** Bytes of room around a packet. */
export interface Room {
  readonly front: number
  readonly behind: number
}

/** Around packets of unverified programs: a 16-bit offset that nobody has checked leads to nothing else. */
const GUARD = 0x10000

export abstract class PacketBuffer {
  /** Low half of the context's address: what programs hold. */
  readonly context: number
  readonly #memory: Memory
  readonly #structSize: number
  readonly #guard: number
  readonly #contextEnd: number
  #block = 0
  #blockEnd = 0
  #meta = 0
  #data = 0
  #end = 0

  /**
   * @param structSize   bytes of the program's struct
   * @param hidesContext whether programs may not access the context in place: see hidden-context.ts
   */
  constructor(memory: Memory, structSize: number, bytes: Uint8Array, room: Room, hidesContext: boolean) {
    this.#memory = memory
    this.#structSize = structSize
    this.#guard = hidesContext ? GUARD : 0
    const access = hidesContext ? Access.none : Access.readWrite
    const size = contextBytes(structSize)
    this.context = memory.alloc(size, access, 16, 'context of a packet')
    this.#contextEnd = this.context + size
    this.#place(bytes, room)
  }

  /** Addresses, low halves: of the room's first byte, of metadata in front of the packet, of its first byte, behind its last one, behind the room. */
  get block(): number {
    return this.#block
  }
  get meta(): number {
    return this.#meta
  }
  get data(): number {
    return this.#data
  }
  get end(): number {
    return this.#end
  }
  get blockEnd(): number {
    return this.#blockEnd
  }

  /** Bytes of all pieces. */
  get totalLength(): number {
    return this.length
  }

  /** Bytes that lie in one piece. */
  get length(): number {
    return this.#end - this.#data
  }

  protected get memory(): Memory {
    return this.#memory
  }

  /** Whether an address, low half, is in the context. */
  hasInContext(address: number): boolean {
    return address >= this.context && address < this.#contextEnd
  }

  /** Whether an address, low half, is near the packet, where nothing else is. */
  isNear(address: number): boolean {
    return address >= this.#block - this.#guard && address < this.#blockEnd + this.#guard
  }

  get bytes(): Uint8Array {
    return this.#memory.u8
  }

  /** A member of the context's struct, unsigned 32 bits. */
  field(offset: number): number {
    return this.#memory.view.getUint32(this.context + offset, true)
  }

  setField(offset: number, value: number): void {
    this.#memory.view.setUint32(this.context + offset, value, true)
  }

  /** Says where the packet lies from now on. The caller has checked that there is room. */
  setBounds(data: number, end: number, meta = data): void {
    const memory = this.#memory
    if (meta < this.#block || meta > data || data > end || end > this.#blockEnd)
      throw new BpfError('BAD_VALUE', 'a packet that leaves its room')
    memory.protect(this.#meta, this.#end - this.#meta, Access.none)
    memory.protect(meta, end - meta, Access.readWrite)
    this.#meta = meta
    this.#data = data
    this.#end = end
    this.#tell()
  }

  /** Makes room, if there is less. The packet may lie elsewhere then. @returns by how much addresses have moved */
  makeRoom(room: Room): number {
    const front = this.#data - this.#block
    const behind = this.#blockEnd - this.#end
    if (front >= room.front && behind >= room.behind) return 0
    const { u8 } = this.#memory
    const { data } = this
    const old = this.#block
    this.#place(u8.slice(this.#data, this.#end), {
      front: Math.max(front, room.front),
      behind: Math.max(behind, room.behind),
    })
    this.#memory.free(old - this.#guard)
    return this.#data - data
  }

  close(): void {
    this.#memory.free(this.#block - this.#guard)
    this.#memory.free(this.context)
  }

  #place(bytes: Uint8Array, { front, behind }: Room): void {
    const memory = this.#memory
    const size = front + bytes.length + behind
    const guard = this.#guard
    const block = memory.alloc(size + 2 * guard, Access.none, 16, 'packet') + guard
    this.#block = block
    this.#blockEnd = block + size
    this.#data = this.#meta = block + front
    this.#end = this.#data + bytes.length
    memory.u8.set(bytes, this.#data)
    memory.protect(this.#data, bytes.length, Access.readWrite)
    this.#tell()
  }

  #tell(): void {
    const { view } = this.#memory
    let at = this.context + this.#structSize
    for (const address of [this.#data, this.#end, this.#meta]) {
      view.setUint32(at, address, true)
      view.setInt32(at + 4, KERNEL_HI, true)
      at += POINTER_SIZE
    }
  }
}
