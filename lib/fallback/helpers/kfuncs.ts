/** Kernel functions (kfuncs): what kernel/bpf/helpers.c and bpf_iter.c of Linux do, on the simulated machine. */
import { E2BIG, EINVAL } from '../errors.js'
import { kfuncId, type KfuncName } from '../kfunc-ids.js'
import type { Machine } from '../machine.js'
import { type Arena, PAGE_SIZE } from '../maps/types.js'
import { Access, KERNEL_HI } from '../memory.js'
import type { Engine, HelperFunction, Registers } from '../vm/types.js'
import { give, givePointer, pointer } from './arguments.js'

/** BPF_MAX_LOOPS */
const MAX_LOOPS = 8 << 20
/** struct bpf_iter_num: the number that was given last, and the one that isn't given any more, each an i32. */
const ITERATOR_BYTES = 8
const FLAGS_BYTES = 8
const PAGE_MASK = PAGE_SIZE - 1

/** The functions by the ids of kfunc-ids.ts. */
export function kfuncHelpers(machine: Machine): ReadonlyMap<number, HelperFunction> {
  const functions = new Map<number, HelperFunction>()
  for (const [name, called] of Object.entries(kfuncs(machine))) {
    const id = kfuncId(name)
    if (id !== undefined) functions.set(id, called)
  }
  return functions
}

function kfuncs(machine: Machine): Readonly<Record<KfuncName, HelperFunction>> {
  const { memory } = machine
  const nothing = (): void => undefined
  /** Gives r1 back. */
  const same: HelperFunction = ({ lo, hi }) => {
    lo[0] = lo[1] ?? 0
    hi[0] = hi[1] ?? 0
  }
  const bytesAt = (registers: Registers, engine: Engine, name: KfuncName, size: number): number =>
    pointer(memory, registers, 1, size, Access.readWrite, engine, kfuncId(name) ?? 0)
  const setIterator = (at: number, current: number, end: number): void => {
    memory.view.setInt32(at, current, true)
    memory.view.setInt32(at + 4, end, true)
  }
  const arenaIn = ({ lo, hi }: Registers): Arena | undefined =>
    hi[1] === KERNEL_HI ? machine.maps.get((lo[1] ?? 0) >>> 0)?.storage.arena : undefined
  const taskOf: HelperFunction = (registers) => {
    const task = machine.tasks.get(registers.lo[1] ?? 0)
    givePointer(registers, task === undefined ? 0 : machine.objects.addressOf(task.struct))
  }
  return {
    bpf_iter_num_new(registers, engine) {
      const at = bytesAt(registers, engine, 'bpf_iter_num_new', ITERATOR_BYTES)
      const [start, end] = [registers.lo[2] ?? 0, registers.lo[3] ?? 0]
      const error = start > end ? EINVAL : end - start > MAX_LOOPS ? E2BIG : 0
      // One that failed gives nothing.
      setIterator(at, error === 0 ? (start - 1) | 0 : 0, error === 0 ? end : 0)
      give(registers, error)
    },
    /** Compiled programs do this themselves: see intrinsics.ts. */
    bpf_iter_num_next(registers, engine) {
      const at = bytesAt(registers, engine, 'bpf_iter_num_next', ITERATOR_BYTES)
      const next = (memory.view.getInt32(at, true) + 1) | 0
      const isOver = next >= memory.view.getInt32(at + 4, true)
      if (isOver) setIterator(at, 0, 0)
      else memory.view.setInt32(at, next, true)
      givePointer(registers, isOver ? 0 : at)
    },
    bpf_iter_num_destroy(registers, engine) {
      setIterator(bytesAt(registers, engine, 'bpf_iter_num_destroy', ITERATOR_BYTES), 0, 0)
    },
    // One program runs at a time, and nothing goes away meanwhile.
    bpf_rcu_read_lock: nothing,
    bpf_rcu_read_unlock: nothing,
    bpf_preempt_disable: nothing,
    bpf_preempt_enable: nothing,
    bpf_local_irq_save(registers, engine) {
      const at = bytesAt(registers, engine, 'bpf_local_irq_save', FLAGS_BYTES)
      memory.u8.fill(0, at, at + FLAGS_BYTES)
    },
    bpf_local_irq_restore: nothing,
    /** What kernel/bpf/arena.c says of wrong arguments: NULL. */
    bpf_arena_alloc_pages(registers) {
      const arena = arenaIn(registers)
      const { lo, hi } = registers
      const hint = lo[2] === 0 && hi[2] === 0 ? undefined : (lo[2] ?? 0)
      const hasFlags = (lo[5] ?? 0) !== 0 || (hi[5] ?? 0) !== 0
      const page = hasFlags ? undefined : arena?.allocate((lo[3] ?? 0) >>> 0, hint)
      lo[0] = page ?? 0
      hi[0] = page === undefined ? 0 : (arena?.userHigh ?? 0)
    },
    bpf_arena_free_pages(registers) {
      const { lo, hi } = registers
      if (lo[2] !== 0 || hi[2] !== 0)
        arenaIn(registers)?.release((lo[2] ?? 0) & ~PAGE_MASK, (lo[3] ?? 0) >>> 0)
    },
    bpf_rdonly_cast: same,
    bpf_task_from_pid: taskOf,
    // There is one namespace of pids.
    bpf_task_from_vpid: taskOf,
    // Whoever has a task's address may use it until the program ends.
    bpf_task_acquire(registers, engine) {
      if (registers.hi[1] === KERNEL_HI) same(registers, engine)
      else givePointer(registers, 0)
    },
    bpf_task_release: nothing,
  }
}
