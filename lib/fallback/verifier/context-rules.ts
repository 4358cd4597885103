/** What programs may do with their context, by program type. Linux 6.18: the is_valid_access() of each type. */
import { BPF_ATTACH_TYPE } from '../../linux/attach-types.js'
import { BPF_PROG_TYPE } from '../../linux/program-types.js'
import { argumentKind, MAX_ARGUMENTS, type TracepointArgument } from '../hooks/tracepoints.js'

export interface ContextRules {
  /** Whether a load or store of `size` bytes at `offset` is allowed. */
  allows(offset: number, size: number, write: boolean): boolean
  /** Whether what is read there is a plain number in Linux's eyes: no pointer that may be followed. */
  isNumber(offset: number, size: number): boolean
}

const WORD = 8
/** U16_MAX: largest context of a syscall program. */
const MAX_CONTEXT = 0xffff

const SYSCALL: ContextRules = {
  allows: (offset, size) => offset >= 0 && offset < MAX_CONTEXT && offset % size === 0,
  isNumber: () => true,
}

const RAW_TRACEPOINT: ContextRules = {
  allows: (offset, size, write) =>
    !write && offset >= 0 && offset < MAX_ARGUMENTS * WORD && offset % size === 0,
  isNumber: () => true,
}

/** @param args the tracepoint's */
function typedTracepoint(args: readonly TracepointArgument[]): ContextRules {
  return {
    allows: (offset, size, write) =>
      !write && size === WORD && offset >= 0 && offset < args.length * WORD && offset % WORD === 0,
    isNumber(offset) {
      const argument = args[offset / WORD]
      if (argument === undefined) return false
      const kind = argumentKind(argument.type)
      return kind.kind === 'scalar' || kind.struct === ''
    },
  }
}

/**
 * @param args arguments of the tracepoint that a tp_btf program is for
 * @returns undefined for types whose contexts aren't known here
 */
export function contextRules(
  programType: number,
  attachType: number,
  args: readonly TracepointArgument[] | undefined,
): ContextRules | undefined {
  switch (programType) {
    case BPF_PROG_TYPE.SYSCALL:
      return SYSCALL
    case BPF_PROG_TYPE.RAW_TRACEPOINT:
      return RAW_TRACEPOINT
    case BPF_PROG_TYPE.TRACING:
      return attachType === BPF_ATTACH_TYPE.TRACE_RAW_TP && args !== undefined
        ? typedTracepoint(args)
        : undefined
    default:
      return undefined
  }
}
