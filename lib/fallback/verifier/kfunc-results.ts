/** What the kernel's functions return. */
import { typeById } from '../../btf/query.js'
import type { Kfunc } from '../../linux/kfuncs.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { type DynptrType, placeDynptr } from './dynptr-slots.js'
import type { KfuncFacts } from './kfunc-arguments.js'
import { borrow, nodeOf } from './graphs.js'
import { objectPointer } from './kernel-pointers.js'
import { isStruct, type StructType } from './kernel-types.js'
import { newObject } from './local-objects.js'
import { holdsLock } from './local-types.js'
import { mayAccessPacket } from './memory-access.js'
import { invalid, Unmodelled } from './rejection.js'
import { slotOf } from './stack.js'
import type { Frame } from './state.js'
import { FLAG, KIND, NOT_INIT, pointer, type Register, UNKNOWN, ZERO } from './values/register.js'
import { constantNumber } from './values/numbers.js'
import type { Verification } from './verification.js'

/** What contexts are in the kernel, by program type. */
const KERNEL_CONTEXTS: Readonly<Record<number, string>> = {
  [P.SOCKET_FILTER]: 'sk_buff',
  [P.SCHED_CLS]: 'sk_buff',
  [P.SCHED_ACT]: 'sk_buff',
  [P.CGROUP_SKB]: 'sk_buff',
  [P.LWT_IN]: 'sk_buff',
  [P.LWT_OUT]: 'sk_buff',
  [P.LWT_XMIT]: 'sk_buff',
  [P.LWT_SEG6LOCAL]: 'sk_buff',
  [P.SK_SKB]: 'sk_buff',
  [P.XDP]: 'xdp_buff',
  [P.CGROUP_SOCK]: 'sock',
  [P.CGROUP_SOCK_ADDR]: 'bpf_sock_addr_kern',
  [P.SOCK_OPS]: 'bpf_sock_ops_kern',
  [P.SK_MSG]: 'sk_msg',
  [P.CGROUP_DEVICE]: 'bpf_cgroup_dev_ctx',
  [P.CGROUP_SYSCTL]: 'bpf_sysctl_kern',
  [P.CGROUP_SOCKOPT]: 'bpf_sockopt_kern',
  [P.SK_REUSEPORT]: 'sk_reuseport_kern',
  [P.SK_LOOKUP]: 'bpf_sk_lookup_kern',
  [P.FLOW_DISSECTOR]: 'bpf_flow_dissector',
}

/** Bytes of numbers that results point to. */
const POINTEE_SIZES: Readonly<Record<string, number>> = { int: 4, u64: 8, __u64: 8, u32: 4 }

/** @param iterator of bpf_iter_…_next() */
export function kfuncResult(
  env: Verification,
  kfunc: Kfunc,
  facts: KfuncFacts,
  iterator: Register | undefined,
): Register {
  const { returns, flags } = kfunc
  if (returns.pointers === 0) {
    if (returns.type === 'void') return NOT_INIT
    // A lock that isn't had is another path.
    return kfunc.name.startsWith('bpf_res_spin_lock') ? ZERO : UNKNOWN
  }
  const result = pointerResult(env, kfunc, facts, iterator)
  if (result.kind === KIND.SCALAR) return result
  // Who owns an object surely has it counted once more.
  const mayBeNull = flags.null && !facts.owned
  if (mayBeNull) {
    result.flags |= FLAG.MAYBE_NULL
    result.id = env.newId()
  }
  if (flags.acquire) {
    const reference = env.newId()
    env.addReference('pointer', reference, undefined)
    if (mayBeNull) result.id = reference
    result.refId = reference
  } else if (facts.root !== undefined) borrow(env, result)
  if (result.id === 0 && holdsLock(env.locals, result)) result.id = env.newId()
  return result
}

function pointerResult(
  env: Verification,
  { name, returns, flags }: Kfunc,
  facts: KfuncFacts,
  iterator: Register | undefined,
): Register {
  switch (name) {
    case 'bpf_dynptr_slice':
    case 'bpf_dynptr_slice_rdwr':
      return slice(env, name, facts)
    case 'bpf_obj_new_impl':
    case 'bpf_percpu_obj_new_impl':
      return newObject(env, facts.constant ?? 0, name === 'bpf_percpu_obj_new_impl')
    case 'bpf_refcount_acquire_impl':
      // Its argument was checked to be one.
      return objectPointer(facts.object as StructType, FLAG.ALLOC)
    case 'bpf_cast_to_kern_ctx':
      return kernelContext(env)
    case 'bpf_rdonly_cast':
      return cast(env, facts)
    case 'bpf_session_cookie': {
      const cookie = pointer(KIND.MEM)
      cookie.range = 8
      return cookie
    }
  }
  if (returns.type === 'void') return UNKNOWN
  if (facts.root !== undefined) return nodeOf(env, facts.root)
  const struct = /^struct (\w+)$/.exec(returns.type)?.[1]
  if (struct === undefined) {
    const size = POINTEE_SIZES[returns.type]
    if (size === undefined) throw new Unmodelled(`result of kfunc ${name}`)
    const memory = pointer(KIND.MEM, FLAG.RDONLY)
    memory.range = size
    memory.refId = facts.refId
    if (flags.protected) memory.flags |= FLAG.RCU
    return memory
  }
  const object = objectPointer(env.kernel.structs.named(struct), 0)
  if (name === 'bpf_get_kmem_cache') object.flags = FLAG.UNTRUSTED
  else if (flags.protected) object.flags = FLAG.RCU
  if (iterator !== undefined) object.flags |= (iterator.flags & FLAG.RCU) !== 0 ? FLAG.RCU : FLAG.TRUSTED
  return object
}

function slice(env: Verification, name: string, { constant = 0, dynptr }: KfuncFacts): Register {
  const isReadOnly = name === 'bpf_dynptr_slice'
  if (!isReadOnly && !mayAccessPacket(env, undefined, true))
    invalid('the prog does not allow writes to packet data')
  const memory = pointer(KIND.MEM, isReadOnly ? FLAG.RDONLY : 0)
  memory.range = constant
  memory.type = isOfPacket(dynptr?.type) ? 'packet_dynptr' : 'dynptr'
  memory.frame = dynptr?.id ?? 0
  return memory
}

/** Dynptrs of packets: what moves packets takes away what was taken from them. */
export function isOfPacket(type: string | undefined): boolean {
  return type === 'skb' || type === 'xdp' || type === 'skb_meta'
}

function kernelContext(env: Verification): Register {
  const name = KERNEL_CONTEXTS[env.program.type]
  if (name === undefined) throw new Unmodelled(`kernel context of program type ${env.program.type}`)
  return objectPointer(env.kernel.structs.named(name), FLAG.TRUSTED)
}

/** A pointer of any origin is taken for one to a type of the kernel, and may be read where that is possible. */
function cast(env: Verification, { constant = 0 }: KfuncFacts): Register {
  const { btf } = env.kernel
  if (btf === undefined) throw new Unmodelled("bpf_rdonly_cast(): the kernel's BTF isn't known")
  const { code, insn } = env
  const isOfThisKernel = btf.find('bpf_rdonly_cast').includes(code.immAt(insn))
  if (!isOfThisKernel) throw new Unmodelled("bpf_rdonly_cast(): the type's number is of another kernel")
  if (constant < 0 || constant >= btf.types.length)
    invalid(`Unknown type ID ${constant} passed to kfunc bpf_rdonly_cast`)
  const type = typeById(btf, constant)
  if (isStruct(type)) return objectPointer(env.kernel.structs.struct(constant), FLAG.UNTRUSTED)
  if (type.kind === 'void') return pointer(KIND.MEM, FLAG.RDONLY | FLAG.UNTRUSTED)
  return invalid('kfunc bpf_rdonly_cast type ID argument must be of a struct or void')
}

/** Dynptrs that functions make, by function. */
const DYNPTRS: Readonly<Record<string, DynptrType>> = {
  bpf_dynptr_from_skb: 'skb',
  bpf_dynptr_from_skb_meta: 'skb_meta',
  bpf_dynptr_from_xdp: 'xdp',
}

export function makeDynptr(env: Verification, name: string, { newDynptr, dynptr }: KfuncFacts): void {
  const place = env.register(newDynptr)
  const frame = env.state.frames[place.frame] as Frame
  const isClone = name === 'bpf_dynptr_clone'
  const type = isClone ? (dynptr?.type as DynptrType | undefined) : DYNPTRS[name]
  if (type === undefined) throw new Unmodelled(`kfunc ${name}`)
  placeDynptr(
    env,
    frame,
    slotOf(place.offset + constantNumber(place)),
    type,
    isClone ? (dynptr?.refId ?? 0) : 0,
  )
}
