/** bpf_perf_event_output(): kernel/trace/bpf_trace.c, for packets net/core/filter.c. Linux 4.4. */
import { E2BIG, EFAULT, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP } from '../errors.js'
import { PerfEventArray } from '../maps/perf-event-array.js'
import { Access, KERNEL_HI } from '../memory.js'
import { XdpBuffer } from '../packets/xdp-buffer.js'
import type { PerfRing } from '../maps/perf-ring.js'
import type { PacketBuffer } from '../packets/packet-buffer.js'
import { give, helperTrap, mapIn, pointer, unsigned, type HelperFamily } from './arguments.js'

const OUTPUT = 25
/** Of the flags: which slot; in their upper half, how many bytes of the packet come behind the data. */
const BPF_F_CURRENT_CPU = 0xffffffff
const PACKET_LENGTH = 0xfffff

export const perfEventHelpers: HelperFamily = (machine) => {
  const { memory, cpus, clock, packets } = machine
  return {
    /** bpf_perf_event_output(ctx, map, flags, data, size) */
    [OUTPUT](registers, engine) {
      const { lo, hi } = registers
      const map = mapIn(machine, registers, 2, engine, OUTPUT)
      const array = map.storage
      if (!(array instanceof PerfEventArray))
        throw helperTrap(engine, OUTPUT, `map '${map.name}' is no perf event array`)
      const size = unsigned(registers, 5)
      const from = pointer(memory, registers, 4, size, Access.read, engine, OUTPUT)
      const packet = hi[1] === KERNEL_HI ? packets.get(unsigned(registers, 1)) : undefined
      const more = hi[3] ?? 0
      if ((more & ~(packet === undefined ? 0 : PACKET_LENGTH)) !== 0) return give(registers, EINVAL)
      if (packet !== undefined && more > packet.totalLength) return give(registers, EFAULT)
      const wanted = (lo[3] ?? 0) >>> 0
      const index = wanted === BPF_F_CURRENT_CPU ? cpus.current : wanted
      if (index >= array.attributes.maxEntries) return give(registers, E2BIG)
      const ring = array.ringAt(index)
      if (ring === undefined) return give(registers, ENOENT)
      if (index !== cpus.current) return give(registers, EOPNOTSUPP)
      if (!ring.begin(size + more, ring.timestamps ? clock.now() : undefined)) return give(registers, ENOSPC)
      ring.put(memory.u8, from, size)
      if (packet !== undefined && more > 0) putPacket(ring, packet, more)
      ring.end()
      give(registers, 0)
    },
  }
}

function putPacket(ring: Pick<PerfRing, 'put'>, packet: PacketBuffer, size: number): void {
  if (size <= packet.length || !(packet instanceof XdpBuffer))
    return ring.put(packet.bytes, packet.data, size)
  // What lies behind the first piece.
  const all = packet.contents()
  ring.put(all, all.length - packet.totalLength, size)
}
