/** Global functions: called by what they declare, and verified once by it. */
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { checkNoOffset } from './pointer-offsets.js'
import { checkDynptr } from './helper-arguments.js'
import { checkMemory } from './memory-argument.js'
import type { FunctionArgument } from './program.js'
import { invalid, Rejection, Unmodelled } from './rejection.js'
import type { Subprogram } from './subprograms.js'
import { typeName } from './type-names.js'
import { cloneRegister, FLAG, isKnownZero, KIND, pointer, type Register, UNKNOWN } from './values/register.js'
import type { Verification } from './verification.js'

/** Names of contexts' types: a pointer to one is the context. */
const CONTEXT_TYPES: Readonly<Record<number, readonly string[]>> = {
  [P.SOCKET_FILTER]: ['__sk_buff'],
  [P.SCHED_CLS]: ['__sk_buff'],
  [P.SCHED_ACT]: ['__sk_buff'],
  [P.CGROUP_SKB]: ['__sk_buff'],
  [P.LWT_IN]: ['__sk_buff'],
  [P.LWT_OUT]: ['__sk_buff'],
  [P.LWT_XMIT]: ['__sk_buff'],
  [P.LWT_SEG6LOCAL]: ['__sk_buff'],
  [P.SK_SKB]: ['__sk_buff'],
  [P.FLOW_DISSECTOR]: ['__sk_buff'],
  [P.XDP]: ['xdp_md'],
  [P.CGROUP_SOCK]: ['bpf_sock'],
  [P.CGROUP_SOCK_ADDR]: ['bpf_sock_addr'],
  [P.SOCK_OPS]: ['bpf_sock_ops'],
  [P.SK_MSG]: ['sk_msg_md'],
  [P.KPROBE]: ['pt_regs', 'bpf_user_pt_regs_t'],
  [P.PERF_EVENT]: ['bpf_perf_event_data', 'pt_regs'],
  [P.RAW_TRACEPOINT]: ['bpf_raw_tracepoint_args'],
  [P.RAW_TRACEPOINT_WRITABLE]: ['bpf_raw_tracepoint_args'],
  [P.CGROUP_DEVICE]: ['bpf_cgroup_dev_ctx'],
  [P.CGROUP_SYSCTL]: ['bpf_sysctl'],
  [P.CGROUP_SOCKOPT]: ['bpf_sockopt'],
  [P.SK_REUSEPORT]: ['sk_reuseport_md'],
  [P.SK_LOOKUP]: ['bpf_sk_lookup'],
  [P.NETFILTER]: ['bpf_nf_ctx'],
}

/** What a declared argument is. */
type Declared =
  | { readonly kind: 'number' | 'context' | 'dynptr' }
  | { readonly kind: 'memory'; readonly size: number; readonly mayBeNull: boolean }

function declaredArguments(env: Verification, { info, index, name }: Subprogram): readonly Declared[] {
  if (info?.args === undefined) throw new Unmodelled(`global function ${name || index} without types`)
  if (info.returns !== 'int')
    invalid(`Global function ${name}() doesn't return scalar. Only those are supported.`)
  return info.args.map((argument, i) => declared(env, argument, i, name))
}

function declared(env: Verification, argument: FunctionArgument, i: number, name: string): Declared {
  const { kind, pointee, typeName: type, size, tags } = argument
  const known = new Set(['ctx', 'nonnull', 'nullable'])
  const unknown = tags.find((tag) => !known.has(tag))
  if (unknown !== undefined) throw new Unmodelled(`argument tag arg:${unknown}`)
  if (kind === 'scalar') return { kind: 'number' }
  if (kind !== 'pointer') invalid(`Arg#${i} type ${type} in ${name}() is not supported yet.`)
  if (tags.includes('ctx') || (pointee !== 'fwd' && isContextType(env.program.type, type)))
    return { kind: 'context' }
  if (type === 'bpf_dynptr') return { kind: 'dynptr' }
  if (pointee === 'void' || pointee === 'fwd' || size <= 0)
    invalid(
      `Arg#${i} type ${pointee === 'void' ? 'UNKNOWN' : 'FWD'} in ${name}() is not supported yet.`,
      `arg#${i} reference type('${type}') size cannot be determined: -22`,
    )
  return { kind: 'memory', size, mayBeNull: !tags.includes('nonnull') }
}

/** Whether pointers to a struct are contexts of programs of a type. */
export function isContextType(programType: number, type: string): boolean {
  return CONTEXT_TYPES[programType]?.includes(type) === true
}

/** At a call: whether the registers are what is declared. */
export function checkGlobalArguments(env: Verification, subprogram: Subprogram): void {
  const label = `Caller passes invalid args into func#${subprogram.index} ('${subprogram.name}')`
  try {
    declaredArguments(env, subprogram).forEach((argument, i) => {
      checkArgument(env, argument, i + 1, env.register(i + 1))
    })
  } catch (error) {
    if (error instanceof Unmodelled || !(error instanceof Rejection)) throw error
    throw new Rejection(error.errno, label, ...error.details, error.reason)
  }
}

function checkArgument(env: Verification, argument: Declared, number: number, register: Register): void {
  switch (argument.kind) {
    case 'number':
      if (register.kind !== KIND.SCALAR) invalid(`R${number} is not a scalar`)
      return
    case 'context':
      if (register.kind !== KIND.CTX)
        invalid(`arg#${number - 1} expected pointer to ctx, but got ${typeName(register)}`)
      checkNoOffset(number, register)
      return
    case 'memory':
      if (isKnownZero(register) || (register.flags & FLAG.MAYBE_NULL) !== 0) {
        if (!argument.mayBeNull) invalid(`arg#${number - 1} is expected to be non-NULL`)
        if (isKnownZero(register)) return
      }
      checkDeclaredMemory(env, number, register, argument.size)
      return
    case 'dynptr':
      if (register.kind !== KIND.STACK) checkNoOffset(number, register)
      checkDynptr(env, number, register)
  }
}

/** The function may read and write all of it. */
function checkDeclaredMemory(env: Verification, number: number, register: Register, size: number): void {
  const known = cloneRegister(register)
  known.flags &= ~FLAG.MAYBE_NULL
  checkMemory(env, number, known, { size, write: false, zeroSize: true })
  checkMemory(env, number, known, { size, write: true, zeroSize: true })
}

/** Registers at the entry of a global function that is verified on its own. */
export function globalEntry(env: Verification, subprogram: Subprogram): readonly Register[] {
  const args = declaredArguments(env, subprogram)
  if (subprogram.index === env.exceptionCallback && (args.length !== 1 || args[0]?.kind !== 'number'))
    invalid('exception cb only supports single integer argument')
  return args.map((argument) => {
    switch (argument.kind) {
      case 'number':
        return UNKNOWN
      case 'context':
        return pointer(KIND.CTX)
      case 'memory': {
        const memory = pointer(KIND.MEM, argument.mayBeNull ? FLAG.MAYBE_NULL : 0)
        memory.range = argument.size
        if (argument.mayBeNull) memory.id = env.newId()
        return memory
      }
      case 'dynptr': {
        const dynptr = pointer(KIND.DYNPTR)
        dynptr.type = 'local'
        dynptr.first = true
        return dynptr
      }
    }
  })
}
