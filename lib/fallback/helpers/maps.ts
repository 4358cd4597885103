/** Helpers on map elements: kernel/bpf/helpers.c. */
import { EINVAL } from '../errors.js'
import { Access } from '../memory.js'
import {
  callbackEnds,
  flagsIn,
  give,
  givePointer,
  helperTrap,
  mapIn,
  pointer,
  type HelperFamily,
} from './arguments.js'

const LOOKUP = 1
const UPDATE = 2
const DELETE = 3
const PUSH = 87
const POP = 88
const PEEK = 89
const FOR_EACH = 164
const LOOKUP_PERCPU = 195

export const mapHelpers: HelperFamily = (machine) => {
  const { memory, cpus } = machine
  const copyOut = (from: number, to: number, size: number): number => {
    if (from < 0) return from
    memory.u8.copyWithin(to, from, from + size)
    return 0
  }
  return {
    [LOOKUP](registers, engine) {
      const { storage } = mapIn(machine, registers, 1, engine, LOOKUP)
      const key = pointer(memory, registers, 2, storage.attributes.keySize, Access.read, engine, LOOKUP)
      givePointer(registers, storage.lookup(memory.u8, key))
    },
    [UPDATE](registers, engine) {
      const { storage } = mapIn(machine, registers, 1, engine, UPDATE)
      const { keySize, valueSize } = storage.attributes
      const key = pointer(memory, registers, 2, keySize, Access.read, engine, UPDATE)
      const value = pointer(memory, registers, 3, valueSize, Access.read, engine, UPDATE)
      const bytes = memory.u8
      give(registers, storage.update(bytes, key, bytes, value, flagsIn(registers, 4)))
    },
    [DELETE](registers, engine) {
      const { storage } = mapIn(machine, registers, 1, engine, DELETE)
      const key = pointer(memory, registers, 2, storage.attributes.keySize, Access.read, engine, DELETE)
      give(registers, storage.delete(memory.u8, key))
    },
    [PUSH](registers, engine) {
      const map = mapIn(machine, registers, 1, engine, PUSH)
      const { sequence, attributes } = map.storage
      const value = pointer(memory, registers, 2, attributes.valueSize, Access.read, engine, PUSH)
      if (sequence === undefined) throw helperTrap(engine, PUSH, `map '${map.name}' is no queue or stack`)
      give(registers, sequence.push(memory.u8, value, flagsIn(registers, 3)))
    },
    [POP](registers, engine) {
      const map = mapIn(machine, registers, 1, engine, POP)
      const { sequence, attributes } = map.storage
      const value = pointer(memory, registers, 2, attributes.valueSize, Access.readWrite, engine, POP)
      if (sequence === undefined) throw helperTrap(engine, POP, `map '${map.name}' is no queue or stack`)
      give(registers, copyOut(sequence.take(), value, attributes.valueSize))
    },
    [PEEK](registers, engine) {
      const map = mapIn(machine, registers, 1, engine, PEEK)
      const { sequence, attributes } = map.storage
      const filter = sequence?.contains
      const access = filter === undefined ? Access.readWrite : Access.read
      const value = pointer(memory, registers, 2, attributes.valueSize, access, engine, PEEK)
      if (filter !== undefined) return give(registers, filter(memory.u8, value))
      if (sequence?.peek === undefined)
        throw helperTrap(engine, PEEK, `map '${map.name}' is no queue or stack`)
      give(registers, copyOut(sequence.peek(), value, attributes.valueSize))
    },
    /** bpf_for_each_map_elem(map, callback(map, key, value, ctx), ctx, flags). Linux 5.13. */
    [FOR_EACH](registers, engine) {
      const map = mapIn(machine, registers, 1, engine, FOR_EACH)
      if (flagsIn(registers, 4) !== 0) return give(registers, EINVAL)
      const { forEach } = map.storage
      if (forEach === undefined)
        throw helperTrap(engine, FOR_EACH, `map '${map.name}' has no elements to walk`)
      const callback = registers.lo[2] ?? 0
      const [lowContext, highContext] = [registers.lo[3] ?? 0, registers.hi[3] ?? 0]
      const high = registers.hi[1] ?? 0
      const visited = forEach((key, value) => {
        engine.call(callback, [map.address, high, key, high, value, high, lowContext, highContext])
        return !callbackEnds(registers, engine, FOR_EACH)
      })
      give(registers, visited)
    },
    /** bpf_map_lookup_percpu_elem(map, key, cpu). Linux 5.19. */
    [LOOKUP_PERCPU](registers, engine) {
      const { storage } = mapIn(machine, registers, 1, engine, LOOKUP_PERCPU)
      const key = pointer(
        memory,
        registers,
        2,
        storage.attributes.keySize,
        Access.read,
        engine,
        LOOKUP_PERCPU,
      )
      const cpu = registers.lo[3] ?? 0
      if (cpu < 0 || cpu >= cpus.possible) return givePointer(registers, 0)
      const running = cpus.current
      cpus.current = cpu
      const address = storage.lookup(memory.u8, key)
      cpus.current = running
      givePointer(registers, address)
    },
  }
}
