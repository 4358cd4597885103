/**
 * Dynptrs to memory of the program, or of a user ring buffer: kernel/bpf/helpers.c. Linux 5.19.
 *
 * A dynptr is 16 bytes: the address of its bytes, how many they are, and 0. Programs hold it and never look into it; NULL for one that could not be made.
 */
import { E2BIG, EAGAIN, EBUSY, EINVAL, ENODATA } from '../errors.js'
import { Access, KERNEL_HI, type Memory } from '../memory.js'
import { UserRingMap } from '../maps/user-ring.js'
import { RB_FORCE_WAKEUP, RB_NO_WAKEUP } from '../maps/ring-buffer.js'
import type { Engine, Registers } from '../vm/types.js'
import {
  callbackEnds,
  flagsIn,
  give,
  givePointer,
  helperTrap,
  mapIn,
  pointer,
  unsigned,
  type HelperFamily,
} from './arguments.js'

const FROM_MEM = 197
const READ = 201
const WRITE = 202
const DATA = 203
const DRAIN = 209

const DYNPTR_BYTES = 16
/** DYNPTR_MAX_SIZE */
const MOST_BYTES = 0xffffff
/** BPF_MAX_USER_RINGBUF_SAMPLES */
const MOST_SAMPLES = 128 * 1024

export const dynptrHelpers: HelperFamily = (machine) => {
  const { memory } = machine
  return {
    /** bpf_dynptr_from_mem(data, size, flags, dynptr) */
    [FROM_MEM](registers, engine) {
      const size = unsigned(registers, 2)
      const at = pointer(memory, registers, 4, DYNPTR_BYTES, Access.write, engine, FROM_MEM)
      const error = size > MOST_BYTES ? E2BIG : flagsIn(registers, 3) === 0 ? 0 : EINVAL
      const data = error === 0 ? pointer(memory, registers, 1, size, Access.readWrite, engine, FROM_MEM) : 0
      makeDynptr(memory, at, data, error === 0 ? size : 0)
      give(registers, error)
    },
    /** bpf_dynptr_read(to, size, dynptr, offset, flags) */
    [READ](registers, engine) {
      const size = unsigned(registers, 2)
      const to = pointer(memory, registers, 1, size, Access.write, engine, READ)
      const from = within(memory, registers, { dynptr: 3, offset: 4, size, flags: 5 }, engine, READ)
      if (from > 0) memory.u8.copyWithin(to, from, from + size)
      give(registers, Math.min(from, 0))
    },
    /** bpf_dynptr_write(dynptr, offset, from, size, flags) */
    [WRITE](registers, engine) {
      const size = unsigned(registers, 4)
      const from = pointer(memory, registers, 3, size, Access.read, engine, WRITE)
      const to = within(memory, registers, { dynptr: 1, offset: 2, size, flags: 5 }, engine, WRITE)
      if (to > 0) memory.u8.copyWithin(to, from, from + size)
      give(registers, Math.min(to, 0))
    },
    /** bpf_dynptr_data(dynptr, offset, size) */
    [DATA](registers, engine) {
      const size = unsigned(registers, 3)
      const at = within(memory, registers, { dynptr: 1, offset: 2, size, flags: 0 }, engine, DATA)
      givePointer(registers, Math.max(at, 0))
    },
    /** bpf_user_ringbuf_drain(map, callback(dynptr, ctx), ctx, flags): how many records the callback got. Linux 6.1. */
    [DRAIN](registers, engine) {
      const map = mapIn(machine, registers, 1, engine, DRAIN)
      const ring = map.storage
      if (!(ring instanceof UserRingMap))
        throw helperTrap(engine, DRAIN, `map '${map.name}' is no user ring buffer`)
      const flags = flagsIn(registers, 4)
      if (flags > (RB_NO_WAKEUP | RB_FORCE_WAKEUP)) return give(registers, EINVAL)
      if (ring.busy) return give(registers, EBUSY)
      ring.busy = true
      let taken = 0
      try {
        taken = drain(ring, memory, registers, engine)
      } finally {
        ring.busy = false
      }
      if ((flags & RB_FORCE_WAKEUP) !== 0 || ((flags & RB_NO_WAKEUP) === 0 && taken > 0)) ring.drained()
      give(registers, taken)
    },
  }
}

function drain(ring: UserRingMap, memory: Memory, registers: Registers, engine: Engine): number {
  const callback = registers.lo[2] ?? 0
  const args = [ring.dynptr, KERNEL_HI, registers.lo[3] ?? 0, registers.hi[3] ?? 0]
  let taken = 0
  for (let i = 0; i < MOST_SAMPLES; i++) {
    const record = ring.peek()
    if (record === ENODATA) break
    if (record === EAGAIN) continue
    makeDynptr(memory, ring.dynptr, record, ring.lengthAt(record))
    try {
      engine.call(callback, args)
    } finally {
      ring.release(record)
    }
    taken++
    if (callbackEnds(registers, engine, DRAIN)) break
  }
  return taken
}

/** @param data low half of an address; 0: there is nothing */
function makeDynptr({ view }: Memory, at: number, data: number, size: number): void {
  view.setUint32(at, data, true)
  view.setInt32(at + 4, data === 0 ? 0 : KERNEL_HI, true)
  view.setUint32(at + 8, size, true)
  view.setUint32(at + 12, 0, true)
}

/** Registers of an access to what a dynptr points to; `flags` 0: it takes none. */
interface DynptrAccess {
  readonly dynptr: number
  readonly offset: number
  readonly size: number
  readonly flags: number
}

/** Low half of the address of bytes that a dynptr points to, or a negative errno. */
function within(
  memory: Memory,
  registers: Registers,
  { dynptr, offset, size, flags }: DynptrAccess,
  engine: Engine,
  helper: number,
): number {
  const at = pointer(memory, registers, dynptr, DYNPTR_BYTES, Access.read, engine, helper)
  const data = memory.view.getUint32(at, true)
  if (data === 0 || (flags !== 0 && flagsIn(registers, flags) !== 0)) return EINVAL
  const length = memory.view.getUint32(at + 8, true)
  const from = unsigned(registers, offset)
  if (size > length || from > length - size) return E2BIG
  // Who runs unverified programs may have made one up.
  const isWhole = memory.view.getInt32(at + 4, true) === KERNEL_HI
  if (isWhole && memory.accessible(data + from, size, Access.readWrite)) return data + from
  throw helperTrap(engine, helper, `r${dynptr} is no dynptr`)
}
