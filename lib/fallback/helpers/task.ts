/** The current task and CPU. */
import { EINVAL } from '../errors.js'
import { Access } from '../memory.js'
import { give, givePointer, pointer, unsigned, type HelperFamily } from './arguments.js'

const CURRENT_COMM = 16
/** Of the root cgroup: all simulated tasks are in it. */
const ROOT_CGROUP_ID = 1
const encoder = new TextEncoder()

export const taskHelpers: HelperFamily = (machine) => {
  const { memory, random, cpus, tasks } = machine
  const currentTask = (): number => machine.objects.addressOf(tasks.current.struct)
  return {
    /** bpf_get_prandom_u32 */
    7({ lo, hi }) {
      lo[0] = random.next()
      hi[0] = 0
    },
    /** bpf_get_smp_processor_id */
    8: (registers) => give(registers, cpus.current),
    /** bpf_get_current_pid_tgid: process in the high half, thread in the low half. */
    14({ lo, hi }) {
      const { pid, tgid } = tasks.current
      lo[0] = pid
      hi[0] = tgid
    },
    /** bpf_get_current_uid_gid */
    15({ lo, hi }) {
      const { uid, gid } = tasks.current
      lo[0] = uid
      hi[0] = gid
    },
    /** bpf_get_current_comm: always NUL-terminated, padded with zeroes. */
    [CURRENT_COMM](registers, engine) {
      const size = unsigned(registers, 2)
      const to = pointer(memory, registers, 1, size, Access.write, engine, CURRENT_COMM)
      if (size === 0) return give(registers, EINVAL)
      memory.u8.fill(0, to, to + size)
      memory.u8.set(encoder.encode(tasks.current.comm).subarray(0, size - 1), to)
      give(registers, 0)
    },
    /** bpf_get_current_task */
    35: (registers) => givePointer(registers, currentTask()),
    /** bpf_get_numa_node_id */
    42: (registers) => give(registers, 0),
    /** bpf_get_current_cgroup_id */
    80: (registers) => give(registers, ROOT_CGROUP_ID),
    /** bpf_get_current_task_btf, Linux 5.11 */
    158: (registers) => givePointer(registers, currentTask()),
  }
}
