/** Arguments of functions that are the context: by the name of their type, or by a tag. */
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import type { FunctionArgument, VerifierProgram } from './program.js'
import { invalid } from './rejection.js'

/** Structs that are contexts, by program type. Types without a row have contexts without a name. */
const CONTEXT_TYPES: Readonly<Record<number, string>> = {
  [P.SOCKET_FILTER]: '__sk_buff',
  [P.SCHED_CLS]: '__sk_buff',
  [P.SCHED_ACT]: '__sk_buff',
  [P.CGROUP_SKB]: '__sk_buff',
  [P.LWT_IN]: '__sk_buff',
  [P.LWT_OUT]: '__sk_buff',
  [P.LWT_XMIT]: '__sk_buff',
  [P.LWT_SEG6LOCAL]: '__sk_buff',
  [P.SK_SKB]: '__sk_buff',
  [P.FLOW_DISSECTOR]: '__sk_buff',
  [P.XDP]: 'xdp_md',
  [P.CGROUP_SOCK]: 'bpf_sock',
  [P.CGROUP_SOCK_ADDR]: 'bpf_sock_addr',
  [P.SOCK_OPS]: 'bpf_sock_ops',
  [P.SK_MSG]: 'sk_msg_md',
  [P.KPROBE]: 'pt_regs',
  [P.PERF_EVENT]: 'bpf_perf_event_data',
  [P.RAW_TRACEPOINT]: 'bpf_raw_tracepoint_args',
  [P.RAW_TRACEPOINT_WRITABLE]: 'bpf_raw_tracepoint_args',
  [P.CGROUP_DEVICE]: 'bpf_cgroup_dev_ctx',
  [P.CGROUP_SYSCTL]: 'bpf_sysctl',
  [P.CGROUP_SOCKOPT]: 'bpf_sockopt',
  [P.SK_REUSEPORT]: 'sk_reuseport_md',
  [P.SK_LOOKUP]: 'bpf_sk_lookup',
  [P.NETFILTER]: 'bpf_nf_ctx',
}

/** The kernel's own structs behind contexts go by the contexts' names. */
const BEHIND: Readonly<Record<string, string>> = { sk_buff: '__sk_buff', xdp_buff: 'xdp_md' }
/** A typedef of the registers, which differ by machine. */
const REGISTERS = 'bpf_user_pt_regs_t'

/** Whether pointers to a struct are contexts of programs of a type. */
export function isContextType(programType: number, type: string): boolean {
  const own = CONTEXT_TYPES[programType]
  if (own === undefined || type === '') return false
  return type === own || BEHIND[type] === own || (programType === P.KPROBE && type === REGISTERS)
}

/** Types of programs whose contexts are words. */
const WORDS: ReadonlySet<number> = new Set([P.RAW_TRACEPOINT, P.RAW_TRACEPOINT_WRITABLE, P.LSM, P.STRUCT_OPS])
const ANYTHING: ReadonlySet<number> = new Set([P.TRACEPOINT, P.SYSCALL])
const WORD = 8

/** Refuses an argument with the tag `ctx` whose type is none of the program's context. */
export function checkTaggedContext(
  { type, attachType }: Pick<VerifierProgram, 'type' | 'attachType'>,
  { pointee, typeName, size }: FunctionArgument,
  i: number,
): void {
  if (pointee === 'void') return
  if (typeName === '') invalid(`arg#${i} type doesn't have a name`)
  if (ANYTHING.has(type)) return
  const isStruct = pointee === 'struct'
  if (type === P.KPROBE && typeName === REGISTERS) return
  if (type === P.PERF_EVENT && isStruct && typeName === 'pt_regs') return
  if (type === P.TRACING && attachType === A.TRACE_ITER && isStruct && typeName.startsWith('bpf_iter__'))
    return
  if (
    type === P.TRACING &&
    attachType === A.TRACE_RAW_TP &&
    isStruct &&
    typeName === 'bpf_raw_tracepoint_args'
  )
    return
  const hasWords = WORDS.has(type) || (type === P.TRACING && attachType !== A.TRACE_ITER)
  if (hasWords && pointee === 'int' && size === WORD) return
  const own = CONTEXT_TYPES[type]
  if (own === undefined) return invalid(`arg#${i} should be void pointer`)
  if (!isStruct || typeName !== own) invalid(`arg#${i} should be \`struct ${own} *\``)
}
