/**
 * Linked lists and trees of objects that the program makes. Who puts an object into one gives it away and keeps a pointer that is good as long as
 * the lock is held; who takes one out owns it.
 */
import { fieldsOf, isUntold, UNTOLD_ELEMENT } from './local-types.js'
import { isComparingNodes, isLocked } from './locks.js'
import { objectPointer } from './kernel-pointers.js'
import type { SpecialField } from './program.js'
import { invalid, Unmodelled } from './rejection.js'
import { releaseReference } from './references.js'
import { mapRegisters } from './state.js'
import { cloneRegister, FLAG, KIND, type Register } from './values/register.js'
import { constantNumber } from './values/numbers.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

export type GraphRoot = NonNullable<SpecialField['root']>
type RootKind = 'bpf_list_head' | 'bpf_rb_root'
type NodeKind = 'bpf_list_node' | 'bpf_rb_node'

/** Functions that put a node into a list or tree: their second argument. */
const INSERTS: ReadonlySet<string> = new Set([
  'bpf_list_push_front_impl',
  'bpf_list_push_back_impl',
  'bpf_rbtree_add_impl',
])

export function insertsNode(kfunc: string): boolean {
  return INSERTS.has(kfunc)
}

function fieldAt(env: Verification, register: Register, kind: string): SpecialField | undefined {
  const offset = register.offset + constantNumber(register)
  return fieldsOf(env.locals, register).find((field) => field.kind === kind && field.offset === offset)
}

/** An argument that is a list or a tree. @returns what it holds */
export function checkRoot(env: Verification, number: number, register: Register, kind: RootKind): GraphRoot {
  const isObject = register.kind === KIND.BTF_ID && register.flags === FLAG.ALLOC
  if (!isObject && (register.kind !== KIND.MAP_VALUE || register.flags !== 0))
    invalid(`arg#${number - 1} expected pointer to map value or allocated object`)
  if (isObject && register.refId === 0) invalid('allocated object must be referenced')
  if (!isConst(register))
    invalid(`R${number} doesn't have constant offset. ${kind} has to be at the constant offset`)
  const isHidden = isUntold(register)
  const field = isHidden ? UNTOLD_FIELD : fieldAt(env, register, kind)
  if (field === undefined)
    return invalid(`${kind} not found at offset=${register.offset + constantNumber(register)}`)
  if (!isLocked(env, register)) {
    if (isHidden) throw new Unmodelled(`where the lock of the ${kind} is: the program's types aren't told`)
    const fields = fieldsOf(env.locals, register)
    const offset = fields.find((one) => one.kind === 'bpf_spin_lock')?.offset ?? NO_FIELD
    invalid(
      `bpf_spin_lock at off=${offset} must be held for ${kind}`,
      ...(env.state.activeLocks > 0 ? ['held lock and object are not in the same allocation'] : []),
    )
  }
  if (field.root !== undefined) return field.root
  env.assume(`${kind}: what it holds isn't told`)
  return UNTOLD_ROOT
}

const UNTOLD_FIELD: SpecialField = { kind: '', offset: 0 }
const UNTOLD_ROOT: GraphRoot = { type: UNTOLD_ELEMENT, node: 0 }

/** As Linux says of a field that isn't there. */
const NO_FIELD = -22

/** An argument that is the node of an object. */
export function checkNode(
  env: Verification,
  kfunc: string,
  number: number,
  register: Register,
  kind: NodeKind,
  root: GraphRoot | undefined,
): void {
  if (kind === 'bpf_list_node' || insertsNode(kfunc)) {
    if (register.kind !== KIND.BTF_ID || register.flags !== FLAG.ALLOC)
      invalid(`arg#${number - 1} expected pointer to allocated object`)
    if (register.refId === 0) invalid('allocated object must be referenced')
  } else {
    const isBorrowed = register.kind === KIND.BTF_ID && (register.flags & FLAG.NON_OWNING) !== 0
    if (!isBorrowed && register.refId === 0)
      invalid(`${kfunc} can only take non-owning or refcounted bpf_rb_node pointer`)
    if (isComparingNodes(env)) invalid(`${kfunc} not allowed in rbtree cb`)
  }
  if (!isConst(register))
    invalid(`R${number} doesn't have constant offset. ${kind} has to be at the constant offset`)
  if (isUntold(register)) return
  const offset = register.offset + constantNumber(register)
  if (fieldAt(env, register, kind) === undefined) invalid(`${kind} not found at offset=${offset}`)
  if (root === undefined) throw new Unmodelled(`${kind}: what holds it isn't known`)
  const wanted = env.locals.struct(root.type)
  const list = kind === 'bpf_list_node' ? 'bpf_list_head' : 'bpf_rb_root'
  if (register.struct !== wanted)
    invalid(
      `operation on ${list} expects arg#1 ${kind} at offset=${root.node} in struct ${wanted?.name ?? ''}, but arg is at offset=${offset} in struct ${register.struct?.name ?? ''}`,
    )
  if (offset !== root.node)
    invalid(
      `arg#1 offset=${offset}, but expected ${kind} at offset=${root.node} in struct ${wanted?.name ?? ''}`,
    )
}

/** A pointer to the node of an object that such a list or tree holds. */
export function nodeOf(env: Verification, root: GraphRoot): Register {
  const struct = env.locals.struct(root.type)
  if (struct === undefined) throw new Unmodelled('lists and trees: the types of the program are not known')
  const node = objectPointer(struct, FLAG.ALLOC)
  node.offset = root.node
  return node
}

/** The object is the graph's: such a pointer is good until the lock is given back. Counted ones stay a while. */
export function borrow(env: Verification, register: Register): void {
  register.flags |= FLAG.NON_OWNING
  const isCounted = fieldsOf(env.locals, register).some(({ kind }) => kind === 'bpf_refcount')
  if (isCounted) register.flags |= FLAG.RCU
}

/** Gives the object away that a register points into. */
export function giveAway(env: Verification, kfunc: string, { refId }: Register): void {
  mapRegisters(env.state, (register) => {
    if (register.refId !== refId || register.kind !== KIND.BTF_ID) return register
    const borrowed = cloneRegister(register)
    borrowed.refId = 0
    borrow(env, borrowed)
    return borrowed
  })
  if (!releaseReference(env, refId)) invalid(`kfunc ${kfunc} reference has not been acquired before`)
}
