/**
 * Contexts of packets as unverified programs access them. They can't be accessed in place: nobody has found out which instructions do it, so no
 * instruction was converted. What an engine finds out of bounds, it asks about here.
 */
import { accessedField, contextOf, type Context } from '../../linux/context-access.js'
import { programTypeName } from '../../linux/program-types.js'
import type { HiddenAccess, HiddenContexts, HiddenPlace } from '../vm/types.js'
import { convertedAccess, hasConvertedContext } from './context-layout.js'
import type { PacketBuffer } from './packet-buffer.js'

/** Packets that programs run on now, by the low half of their contexts' addresses. */
type RunningPackets = ReadonlyMap<number, PacketBuffer>

/** @returns undefined for programs whose contexts lie in memory as they see them */
export function hiddenContexts(
  packets: RunningPackets,
  programType: number,
  attachType: number,
): HiddenContexts | undefined {
  return hasConvertedContext(programType) ? new HiddenPackets(packets, programType, attachType) : undefined
}

const NONE: HiddenPlace = { address: -1, size: 0, signed: false }

class HiddenPackets implements HiddenContexts {
  readonly #packets: RunningPackets
  readonly #programType: number
  readonly #attachType: number
  readonly #fields: Context
  /** Places in a context, by access, as far as any was asked for. NONE: it isn't allowed. */
  readonly #known = new Map<number, HiddenPlace>()
  /** What was found last: mostly it is the same again. */
  #packet: PacketBuffer | undefined
  /** The answer, each time: nothing is allocated for an access. */
  readonly #place = { address: 0, size: 0, signed: false }

  constructor(packets: RunningPackets, programType: number, attachType: number) {
    this.#packets = packets
    this.#programType = programType
    this.#attachType = attachType
    this.#fields = contextOf(programType) ?? []
  }

  placeOf(address: number, access: HiddenAccess): HiddenPlace | undefined {
    const context = this.#find(address)?.context
    if (context === undefined) return undefined
    const offset = address - context
    const key = (offset << 6) | (access.size << 2) | (access.write ? 2 : 0) | (access.signed ? 1 : 0)
    let found = this.#known.get(key)
    if (found === undefined) this.#known.set(key, (found = this.#placeIn(offset, access)))
    if (found === NONE) return undefined
    const place = this.#place
    place.address = context + found.address
    place.size = found.size
    place.signed = found.signed
    return place
  }

  describe(address: number, size: number, write: boolean): string | undefined {
    const packet = this.#find(address)
    return packet === undefined
      ? this.#outsideOfPacket(address, size)
      : this.#badOffset(address - packet.context, size, write)
  }

  has(address: number, size: number): boolean {
    return this.#find(address)?.hasInContext(address + size - 1) === true
  }

  #find(address: number): PacketBuffer | undefined {
    const last = this.#packet
    if (last?.hasInContext(address) === true && this.#packets.get(last.context) === last) return last
    for (const packet of this.#packets.values())
      if (packet.hasInContext(address)) return (this.#packet = packet)
    return undefined
  }

  #allows(offset: number, { size, write, signed }: HiddenAccess): boolean {
    return accessedField(this.#fields, offset, size, write, this.#attachType, signed) !== undefined
  }

  /** Its address counts from the context's. */
  #placeIn(offset: number, access: HiddenAccess): HiddenPlace {
    if (!this.#allows(offset, access)) return NONE
    const { size, write, signed } = access
    const converted = convertedAccess(this.#programType, this.#attachType, { offset, size, write })
    return { address: converted?.offset ?? offset, size: converted?.size ?? size, signed }
  }

  #badOffset(offset: number, size: number, write: boolean): string {
    const isThere = this.#fields.some(
      ({ start, end, attachTypes }) =>
        offset < end && offset + size > start && attachTypes?.includes(this.#attachType) !== false,
    )
    const isAllowed = this.#allows(offset, { size, write, signed: false })
    const isReadable = this.#allows(offset, { size, write: false, signed: false })
    const problem = !isThere
      ? 'there is no field'
      : isAllowed
        ? 'nothing but plain loads and stores reaches it'
        : isReadable
          ? 'the field is read-only'
          : `no field is accessed by ${size} bytes from there`
    return `invalid bpf_context access off=${offset} size=${size}: ${problem} in contexts of ${programTypeName(this.#programType)} programs`
  }

  #outsideOfPacket(address: number, size: number): string | undefined {
    for (const packet of this.#packets.values()) {
      if (!packet.isNear(address)) continue
      const { meta, end } = packet
      if (address < meta) return `out of bounds by ${meta - address} bytes before the packet`
      if (address + size > end)
        return `out of bounds by ${address + size - end} bytes behind the packet's end (data_end)`
    }
    return undefined
  }
}
