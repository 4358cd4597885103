/**
 * Reads of memory that may not be there: kernel/trace/bpf_trace.c. A fault fills the destination with zeroes and gives -EFAULT; an
 * address that is none of the kernel's, asked for as one, -ERANGE.
 */
import { EFAULT, ERANGE } from '../errors.js'
import type { Machine } from '../machine.js'
import { Access, KERNEL_HI, USER_HI } from '../memory.js'
import type { HelperFunction, Registers } from '../vm/types.js'
import { give, pointer, unsigned, type HelperFamily } from './arguments.js'

/** Which addresses a helper can read. */
interface Source {
  readonly kernel: boolean
  readonly user: boolean
}

const KERNEL: Source = { kernel: true, user: false }
const USER: Source = { kernel: false, user: true }
/** bpf_probe_read: whatever the address is. */
const EITHER: Source = { kernel: true, user: true }

export const probeReadHelpers: HelperFamily = (machine) => ({
  4: read(machine, 4, EITHER),
  45: readText(machine, 45, EITHER),
  112: read(machine, 112, USER),
  113: read(machine, 113, KERNEL),
  114: readText(machine, 114, USER),
  115: readText(machine, 115, KERNEL),
  /** bpf_copy_from_user, Linux 5.10: it may sleep in Linux, to fetch the page. */
  148: read(machine, 148, USER),
})

function read(machine: Machine, helper: number, source: Source): HelperFunction {
  const { memory } = machine
  return (registers, engine) => {
    const size = unsigned(registers, 2)
    const to = pointer(memory, registers, 1, size, Access.write, engine, helper)
    const from = unsigned(registers, 3)
    if (size === 0) return give(registers, 0)
    if (readable(machine, registers, from, size, source)) {
      memory.u8.copyWithin(to, from, from + size)
      return give(registers, 0)
    }
    memory.u8.fill(0, to, to + size)
    give(registers, faultOf(registers, source))
  }
}

/** Up to the NUL or the end of the destination, which then gets one. @returns bytes written, the NUL among them */
function readText(machine: Machine, helper: number, source: Source): HelperFunction {
  const { memory } = machine
  return (registers, engine) => {
    const size = unsigned(registers, 2)
    const to = pointer(memory, registers, 1, size, Access.write, engine, helper)
    if (size === 0) return give(registers, 0)
    const from = unsigned(registers, 3)
    const bytes = memory.u8
    for (let i = 0; i < size; i++) {
      if (!readable(machine, registers, from + i, 1, source)) {
        bytes.fill(0, to, to + size)
        return give(registers, faultOf(registers, source))
      }
      const byte = bytes[from + i] ?? 0
      const last = i === size - 1
      bytes[to + i] = last ? 0 : byte
      if (byte === 0 || last) return give(registers, i + 1)
    }
  }
}

function readable(
  machine: Machine,
  { hi }: Registers,
  address: number,
  size: number,
  source: Source,
): boolean {
  switch (hi[3]) {
    case KERNEL_HI:
      return source.kernel && machine.memory.accessible(address, size, Access.read)
    case USER_HI:
      return source.user && (machine.task.process.memory?.contains(address, size) ?? false)
    default:
      return false
  }
}

/** First high half of kernel addresses, and the first that is no user address: those between are no addresses at all. */
const KERNEL_HALF = 0xffff8000
const NO_USER_HALF = 0x00008000

function faultOf({ hi }: Registers, source: Source): number {
  const high = (hi[3] ?? 0) >>> 0
  if (high >= KERNEL_HALF) return EFAULT
  // bpf_probe_read takes an address for a user's if it may be one.
  return source.user && (!source.kernel || high < NO_USER_HALF) ? EFAULT : ERANGE
}
