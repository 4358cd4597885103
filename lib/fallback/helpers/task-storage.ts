/** Values that belong to tasks: kernel/bpf/bpf_task_storage.c. Linux 5.11. */
import type { KernelStruct } from '../hooks/kernel-struct.js'
import { EINVAL, ENOENT } from '../errors.js'
import type { Machine } from '../machine.js'
import { LocalStorage } from '../maps/local-storage.js'
import { Access, KERNEL_HI } from '../memory.js'
import type { Engine, Registers } from '../vm/types.js'
import {
  flagsIn,
  give,
  givePointer,
  helperTrap,
  mapIn,
  pointer,
  unsigned,
  type HelperFamily,
} from './arguments.js'

const GET = 156
const DELETE = 157
const BPF_LOCAL_STORAGE_GET_F_CREATE = 1

export const taskStorageHelpers: HelperFamily = (machine) => ({
  /** bpf_task_storage_get(map, task, value, flags) */
  [GET](registers, engine) {
    const storage = storageIn(machine, registers, engine, GET)
    const task = taskIn(machine, registers, engine, GET)
    const flags = flagsIn(registers, 4)
    if (task === undefined || flags > BPF_LOCAL_STORAGE_GET_F_CREATE) return givePointer(registers, 0)
    const found = storage.find(task)
    if (found !== 0 || flags === 0) return givePointer(registers, found)
    const { valueSize } = storage.attributes
    const isGiven = registers.hi[3] !== 0 || registers.lo[3] !== 0
    const from = isGiven ? pointer(machine.memory, registers, 3, valueSize, Access.read, engine, GET) : 0
    givePointer(registers, storage.add(task, from))
  },
  /** bpf_task_storage_delete(map, task) */
  [DELETE](registers, engine) {
    const storage = storageIn(machine, registers, engine, DELETE)
    const task = taskIn(machine, registers, engine, DELETE)
    if (task === undefined) return give(registers, EINVAL)
    give(registers, storage.remove(task) ? 0 : ENOENT)
  },
})

function storageIn(machine: Machine, registers: Registers, engine: Engine, helper: number): LocalStorage {
  const map = mapIn(machine, registers, 1, engine, helper)
  if (map.storage instanceof LocalStorage) return map.storage
  throw helperTrap(engine, helper, `map '${map.name}' is no task storage`)
}

/** The task whose address is in r2; undefined for NULL. */
function taskIn(
  machine: Machine,
  registers: Registers,
  engine: Engine,
  helper: number,
): KernelStruct | undefined {
  if (registers.hi[2] === 0 && registers.lo[2] === 0) return undefined
  const task = registers.hi[2] === KERNEL_HI ? machine.objects.objectAt(unsigned(registers, 2)) : undefined
  if (task?.type === 'task_struct') return task
  throw helperTrap(engine, helper, 'r2 is no task')
}
