/** Calls of the kernel's own functions (kfuncs). */
import { iteratorPart, type Kfunc } from '../../linux/kfuncs.js'
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { callCallback, clearArguments } from './calls.js'
import { maySleep, passSections } from './critical-sections.js'
import { destroyIterator, iteratorAt, stepIterator } from './iterators.js'
import { throwException } from './exits.js'
import { borrow, giveAway, insertsNode, nodeOf } from './graphs.js'
import { checkKfuncArguments, type KfuncFacts } from './kfunc-arguments.js'
import { kfuncResult, makeDynptr } from './kfunc-results.js'
import { isInRcuSection } from './kernel-pointers.js'
import { forgetPackets } from './packet.js'
import { denied, EFAULT, ENOMEM, invalid, Rejection, Unmodelled } from './rejection.js'
import { releaseReference } from './references.js'
import { syncBounds } from './values/bounds.js'
import { KIND, pointer, type Register, unknownScalar } from './values/register.js'
import type { Verification } from './verification.js'

/** Those that may be called while a spin lock is held. */
const UNDER_LOCK =
  /^bpf_(iter_num_(new|next|destroy)|list_(push|pop)_(front|back)(_impl)?|rbtree_(add_impl|remove|first|root|left|right)|list_(front|back)|refcount_acquire_impl|res_spin_.*)$/

/** Functions with rules of their own that aren't modelled. */
const UNMODELLED: ReadonlySet<string> = new Set(['bpf_iter_css_task_new'])

/** @returns the slot at which the path goes on */
export function callKfunc(env: Verification): number {
  const { code, insn, state } = env
  const kfunc = code.kfuncAt(insn)
  if (kfunc === undefined) return invalid('invalid kernel function call not eliminated in verifier pass')
  const { name, flags } = kfunc
  if (state.activeLocks > 0 && !UNDER_LOCK.test(name))
    invalid('function calls are not allowed while holding a lock')
  if (!isAllowed(env, kfunc)) denied(`calling kernel function ${name} is not allowed`)
  if (name === '__bpf_trap')
    throw new Rejection(EFAULT, 'unexpected __bpf_trap() due to uninitialized variable?')
  if (UNMODELLED.has(name)) throw new Unmodelled(`kfunc ${name}`)
  if (flags.sleepable && !state.sleepable) denied(`program must be sleepable to call sleepable kfunc ${name}`)
  if (name.startsWith('bpf_res_spin_lock')) failToLock(env)
  const facts = checkKfuncArguments(env, kfunc)
  if (facts.callback >= 0) runCallback(env, name, facts)
  passSections(env, name, flags.sleepable)
  if (flags.sleepable && !maySleep(env)) denied(`kernel func ${name} is sleepable within a critical section`)
  if (flags.protected && !isInRcuSection(env))
    denied(`kernel func ${name} requires RCU critical section protection`)
  release(env, name, facts)
  if (insertsNode(name)) giveAway(env, name, env.register(2))
  if (name === 'bpf_throw') return throwException(env)
  if (facts.newDynptr !== 0) makeDynptr(env, name, facts)
  const part = iteratorPart(name)?.part
  const iterator = facts.iterator === undefined ? undefined : iteratorAt(state, facts.iterator)
  if (part === 'destroy' && facts.iterator !== undefined) destroyIterator(env, facts.iterator)
  const result = kfuncResult(env, kfunc, facts, iterator)
  clearArguments(env.registers)
  env.registers[0] = result
  if (name === 'bpf_xdp_pull_data') forgetPackets(env)
  if (part === 'next' && facts.iterator !== undefined) stepIterator(env, facts.iterator)
  return insn + 1
}

/** Another path goes on without the lock, and an error. */
function failToLock(env: Verification): void {
  const { registers } = env.push(env.insn + 1, env.insn, false, ENOMEM).current
  clearArguments(registers)
  const error = unknownScalar()
  error.s32Min = -MAX_ERRNO
  error.s32Max = -1
  syncBounds(error)
  registers[0] = error
}

const MAX_ERRNO = 4095
const S32_MIN = -(2 ** 31)
const S32_MAX = 2 ** 31 - 1

/** What compares nodes of a tree runs at once; work that is queued runs later, where it may sleep. */
function runCallback(env: Verification, name: string, facts: KfuncFacts): void {
  const subprogram = env.subprograms[facts.callback]
  if (subprogram === undefined) throw new Unmodelled(`callback of ${name}`)
  if (facts.root !== undefined) {
    const node = nodeOf(env, facts.root)
    borrow(env, node)
    const helper = 'rbtree_add'
    callCallback(env, { subprogram, helper, least: 0, most: 1, async: false, args: [node, node] })
    return
  }
  const isWork = name === 'bpf_wq_set_callback_impl'
  const [map, key, value] = [pointer(KIND.MAP_PTR), pointer(KIND.MAP_KEY), pointer(KIND.MAP_VALUE)]
  map.map = key.map = value.map = facts.map
  map.mapUid = value.mapUid = facts.mapUid
  callCallback(env, {
    subprogram,
    helper: isWork ? 'wq_set_callback' : 'task_work',
    least: isWork ? 0 : S32_MIN,
    most: isWork ? 0 : S32_MAX,
    async: true,
    sleepable: true,
    args: [map, key, value],
  })
}

function isAllowed({ program }: Verification, { name, programTypes }: Kfunc): boolean {
  const { type, attachType } = program
  if (programTypes?.includes(type) === false) return false
  if (name === 'bpf_sock_destroy') return type === P.TRACING && attachType === A.TRACE_ITER
  if (name.startsWith('bpf_session_'))
    return attachType === A.TRACE_KPROBE_SESSION || attachType === A.TRACE_UPROBE_SESSION
  return true
}

function release(env: Verification, name: string, { released }: KfuncFacts): void {
  if (released === 0) return
  const { refId } = env.registers[released] as Register
  if (!releaseReference(env, refId)) invalid(`kfunc ${name} reference has not been acquired before`)
}
