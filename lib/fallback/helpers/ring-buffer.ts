/** Producers of ring buffers: kernel/bpf/ringbuf.c. Linux 5.8. */
import { EAGAIN, EINVAL } from '../errors.js'
import type { Machine } from '../machine.js'
import { RB_FORCE_WAKEUP, RB_NO_WAKEUP, RingBufferMap } from '../maps/ring-buffer.js'
import { Access, KERNEL_HI } from '../memory.js'
import type { Engine, HelperFunction, Registers } from '../vm/types.js'
import {
  flagsIn,
  give,
  givePointer,
  giveWide,
  helperTrap,
  mapIn,
  pointer,
  unsigned,
  type HelperFamily,
} from './arguments.js'

const OUTPUT = 130
const RESERVE = 131
const SUBMIT = 132
const DISCARD = 133
const QUERY = 134

const WAKEUP_FLAGS = RB_NO_WAKEUP | RB_FORCE_WAKEUP

/** What bpf_ringbuf_query tells, by BPF_RB_*. */
const QUERIES: readonly ((ring: RingBufferMap) => number)[] = [
  (ring) => ring.available,
  (ring) => ring.size,
  (ring) => ring.consumerPosition,
  (ring) => ring.producerPosition,
]

export const ringBufferHelpers: HelperFamily = (machine) => {
  const { memory } = machine
  return {
    [OUTPUT](registers, engine) {
      const ring = ringIn(machine, registers, engine, OUTPUT)
      const size = unsigned(registers, 3)
      const from = pointer(memory, registers, 2, size, Access.read, engine, OUTPUT)
      const flags = flagsIn(registers, 4)
      if (flags > WAKEUP_FLAGS) return give(registers, EINVAL)
      const record = registers.hi[3] === 0 ? ring.reserve(size) : 0
      if (record === 0) return give(registers, EAGAIN)
      memory.u8.copyWithin(record, from, from + size)
      ring.commit(record, flags, false)
      give(registers, 0)
    },
    [RESERVE](registers, engine) {
      const ring = ringIn(machine, registers, engine, RESERVE)
      const { isFull } = machine.reservations
      const fits = !isFull && registers.hi[2] === 0 && flagsIn(registers, 3) === 0
      const record = fits ? ring.reserve(unsigned(registers, 2)) : 0
      if (record !== 0) machine.reservations.add(ring, record)
      givePointer(registers, record)
    },
    [SUBMIT]: committer(machine, SUBMIT, false),
    [DISCARD]: committer(machine, DISCARD, true),
    [QUERY](registers, engine) {
      const ring = ringIn(machine, registers, engine, QUERY)
      giveWide(registers, QUERIES[flagsIn(registers, 2)]?.(ring) ?? 0)
    },
  }
}

function committer(machine: Machine, helper: number, discard: boolean): HelperFunction {
  return (registers, engine) => {
    const record = unsigned(registers, 1)
    const ring = registers.hi[1] === KERNEL_HI ? machine.reservations.take(record) : undefined
    if (ring === undefined) throw helperTrap(engine, helper, 'r1 is no reserved record')
    const flags = flagsIn(registers, 2)
    ring.commit(record, Number.isFinite(flags) ? flags : unsigned(registers, 2), discard)
    give(registers, 0)
  }
}

function ringIn(machine: Machine, registers: Registers, engine: Engine, helper: number): RingBufferMap {
  const map = mapIn(machine, registers, 1, engine, helper)
  if (map.storage instanceof RingBufferMap) return map.storage
  throw helperTrap(engine, helper, `map '${map.name}' is no ring buffer`)
}
