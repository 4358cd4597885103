/** Formatted text: bpf_trace_printk, bpf_trace_vprintk, bpf_snprintf; and comparison of texts. */
import { EINVAL } from '../errors.js'
import type { Machine } from '../machine.js'
import { Access } from '../memory.js'
import type { Registers } from '../vm/types.js'
import { give, helperTrap, pointer, textAt, unsigned, type HelperFamily } from './arguments.js'
import { formatText, type FormatArgument } from './format.js'

const TRACE_PRINTK = 6
const SNPRINTF = 165
const TRACE_VPRINTK = 177
const STRNCMP = 182

const TRACE_PRINTK_ARGUMENTS = 3
/** Most arguments of vprintk and snprintf: MAX_BPRINTF_VARARGS. */
const MAX_ARGUMENTS = 12
/** Longest line of bpf_trace_printk, NUL included: MAX_BPRINTF_BUF. */
const MAX_LINE = 1024

const encoder = new TextEncoder()

export const printHelpers: HelperFamily = (machine) => {
  const { memory } = machine

  const argumentsAt = (address: number, bytes: number): FormatArgument[] => {
    const { view } = memory
    return Array.from({ length: bytes / 8 }, (_, i) => ({
      low: view.getInt32(address + 8 * i, true),
      high: view.getInt32(address + 8 * i + 4, true),
    }))
  }

  const printLine = (registers: Registers, format: string, args: readonly FormatArgument[]): void => {
    const text = formatText(machine, format, args)
    if (typeof text === 'number') return give(registers, text)
    const bytes = encoder.encode(text)
    const line = bytes.length < MAX_LINE ? text : new TextDecoder().decode(bytes.subarray(0, MAX_LINE - 1))
    log(machine, line)
    give(registers, Math.min(bytes.length, MAX_LINE - 1))
  }

  return {
    [TRACE_PRINTK](registers, engine) {
      const size = unsigned(registers, 2)
      const format = pointer(memory, registers, 1, size, Access.read, engine, TRACE_PRINTK)
      if (!terminated(machine, format, size)) return give(registers, EINVAL)
      const args = Array.from({ length: TRACE_PRINTK_ARGUMENTS }, (_, i) => argumentIn(registers, 3 + i))
      printLine(registers, textAt(memory, format, size), args)
    },
    [TRACE_VPRINTK](registers, engine) {
      const size = unsigned(registers, 2)
      const format = pointer(memory, registers, 1, size, Access.read, engine, TRACE_VPRINTK)
      const bytes = unsigned(registers, 4)
      if (bytes % 8 !== 0 || bytes > 8 * MAX_ARGUMENTS || !terminated(machine, format, size))
        return give(registers, EINVAL)
      const data = pointer(memory, registers, 3, bytes, Access.read, engine, TRACE_VPRINTK)
      printLine(registers, textAt(memory, format, size), argumentsAt(data, bytes))
    },
    /** bpf_snprintf(str, str_size, fmt, data, data_len): bytes that the whole text needs, NUL included. Linux 5.13. */
    [SNPRINTF](registers, engine) {
      const size = unsigned(registers, 2)
      const to = pointer(memory, registers, 1, size, Access.write, engine, SNPRINTF)
      const bytes = unsigned(registers, 5)
      if (bytes % 8 !== 0 || bytes > 8 * MAX_ARGUMENTS) return give(registers, EINVAL)
      const data = pointer(memory, registers, 4, bytes, Access.read, engine, SNPRINTF)
      const format = constantText(machine, pointer(memory, registers, 3, 1, Access.read, engine, SNPRINTF))
      const text = format === undefined ? EINVAL : formatText(machine, format, argumentsAt(data, bytes))
      if (typeof text === 'number') return give(registers, text)
      const encoded = encoder.encode(text)
      if (size > 0) {
        const kept = encoded.subarray(0, size - 1)
        memory.u8.set(kept, to)
        memory.u8[to + kept.length] = 0
      }
      give(registers, encoded.length + 1)
    },
    /** bpf_strncmp(s1, size, s2): s1 need not end within size. Linux 5.17. */
    [STRNCMP](registers, engine) {
      const size = unsigned(registers, 2)
      const left = pointer(memory, registers, 1, size, Access.read, engine, STRNCMP)
      const right = unsigned(registers, 3)
      pointer(memory, registers, 3, Math.min(size, 1), Access.read, engine, STRNCMP)
      for (let i = 0; i < size; i++) {
        if (!memory.accessible(right + i, 1, Access.read))
          throw helperTrap(engine, STRNCMP, 'r3 is no NUL-terminated text')
        const a = memory.u8[left + i] ?? 0
        const b = memory.u8[right + i] ?? 0
        if (a !== b) return give(registers, a < b ? -1 : 1)
        if (a === 0) break
      }
      give(registers, 0)
    },
  }
}

function argumentIn({ lo, hi }: Registers, register: number): FormatArgument {
  return { low: lo[register] ?? 0, high: hi[register] ?? 0 }
}

function terminated(machine: Machine, address: number, size: number): boolean {
  return size > 0 && machine.memory.u8[address + size - 1] === 0
}

/** The text at an address, as far as it is readable; undefined without a NUL. */
function constantText(machine: Machine, address: number): string | undefined {
  const { memory } = machine
  for (let size = 1; memory.accessible(address + size - 1, 1, Access.read); size++) {
    if (memory.u8[address + size - 1] === 0) return textAt(memory, address, size)
  }
  return undefined
}

function log(machine: Machine, text: string): void {
  const { task, cpus, clock } = machine
  const line = text.endsWith('\n') ? text.slice(0, -1) : text
  machine.trace.add({ text: line, comm: task.comm, pid: task.pid, cpu: cpus.current, timeNs: clock.now() })
}
