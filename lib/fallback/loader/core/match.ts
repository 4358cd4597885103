/** Finds in a target's types what a program means by its own: by names, not by offsets. */
import { resolveType, sizeOf, skipModifiers, typeById, type BtfComposite } from '../../../btf/query.js'
import type { Btf, BtfMember, BtfType, TypeId } from '../../../btf/types.js'
import { typesAreCompatible, typesMatch } from './compatible.js'
import { essentialName } from './names.js'
import { isEnumBased, isFlexible, isTypeBased, type Spec, type Step } from './spec.js'
import { CORE_RELOCATION_KINDS as KIND } from '../../../btf/ext.js'

/** Types of one target, found by their essential names. */
export class TargetTypes {
  readonly #byName = new Map<string, TypeId[]>()

  /** @param own whether it is the object's own BTF: flavours stand for other kernels then, and don't count beside the plain type */
  constructor(
    readonly btf: Btf,
    readonly own: boolean,
  ) {
    btf.types.forEach((type, id) => {
      const name = nameOf(type)
      if (name === '') return
      const essential = essentialName(name)
      const list = this.#byName.get(essential)
      if (list === undefined) this.#byName.set(essential, [id])
      else list.push(id)
    })
    if (!own) return
    for (const [essential, ids] of this.#byName) {
      const plain = ids.filter((id) => nameOf(typeById(btf, id)) === essential)
      if (plain.some((id) => isComplete(typeById(btf, id)))) this.#byName.set(essential, plain)
    }
  }

  /** Types that may be the one that a program calls so: of the same essential name and kind. */
  candidates(local: Btf, root: TypeId): readonly TypeId[] {
    const type = typeById(local, root)
    const wanted = kindOf(type)
    return (this.#byName.get(essentialName(nameOf(type))) ?? []).filter(
      (id) => kindOf(typeById(this.btf, id)) === wanted,
    )
  }

  /** Names of all types of a kind, for messages. */
  names(kind: BtfType['kind']): readonly string[] {
    return this.btf.types.flatMap((type) =>
      type.kind === kind ? (nameOf(type) === '' ? [] : [nameOf(type)]) : [],
    )
  }
}

/** The local place in a candidate type, or undefined if it isn't there. */
export function matchSpec(local: Spec, target: Btf, candidate: TypeId, kind: number): Spec | undefined {
  const base = {
    btf: target,
    root: candidate,
    steps: [],
    bitOffset: 0,
    member: undefined,
    type: candidate,
    enumValue: undefined,
  }
  if (isTypeBased(kind)) {
    const test = kind === KIND.TYPE_MATCHES ? typesMatch : typesAreCompatible
    return test(local.btf, local.root, target, candidate) ? base : undefined
  }
  if (isEnumBased(kind)) return matchEnumValue(local, base)
  return matchField(local, base)
}

function matchEnumValue(local: Spec, base: Spec): Spec | undefined {
  const type = resolveType(base.btf, base.root)
  if (local.enumValue === undefined || (type.kind !== 'enum' && type.kind !== 'enum64')) return undefined
  const wanted = essentialName(local.enumValue.name)
  const enumValue = type.values.find(({ name }) => essentialName(name) === wanted)
  return enumValue === undefined ? undefined : { ...base, enumValue }
}

function matchField(local: Spec, base: Spec): Spec | undefined {
  const { btf } = base
  const steps: Step[] = []
  let bitOffset = 0
  let member: BtfMember | undefined
  let at = skipModifiers(btf, base.root)
  for (const [i, step] of local.steps.entries()) {
    if (step.name !== '') {
      const localMember = memberAt(local.btf, step)
      const found = localMember && findField(local.btf, localMember, btf, at)
      if (found === undefined) return undefined
      steps.push({ type: found.owner, name: found.member.name, index: found.index })
      bitOffset += found.bitOffset
      member = found.member
      at = skipModifiers(btf, member.type)
      continue
    }
    if (i > 0) {
      const array = typeById(btf, at)
      if (array.kind !== 'array') return undefined
      if (step.index >= array.length && !isFlexible(btf, member, steps.at(-1))) return undefined
      steps.push({ type: at, name: '', index: step.index })
      at = skipModifiers(btf, array.type)
    } else steps.push({ type: at, name: '', index: step.index })
    if (step.index > 0) bitOffset += step.index * sizeOf(btf, at) * 8
    member = undefined
  }
  return { ...base, steps, bitOffset, member, type: member?.type ?? at }
}

function memberAt(btf: Btf, step: Step): BtfMember | undefined {
  const type = typeById(btf, step.type)
  return isComposite(type) ? type.members[step.index] : undefined
}

interface FoundField {
  readonly owner: TypeId
  readonly index: number
  readonly member: BtfMember
  /** From the start of the type that was searched. */
  readonly bitOffset: number
}

/** A member of the same essential name and a compatible type, anonymous structs and unions looked through. */
function findField(local: Btf, wanted: BtfMember, target: Btf, id: TypeId): FoundField | undefined {
  const type = typeById(target, id)
  if (!isComposite(type)) return undefined
  for (const [index, member] of type.members.entries()) {
    if (member.name === '') {
      const inner = findField(local, wanted, target, skipModifiers(target, member.type))
      if (inner !== undefined) return { ...inner, bitOffset: inner.bitOffset + member.bitOffset }
    } else if (member.name === wanted.name && fieldsAreCompatible(local, wanted.type, target, member.type)) {
      return { owner: id, index, member, bitOffset: member.bitOffset }
    }
  }
  return undefined
}

/** Whether a field may stand for another: sizes and signs may differ, the kind of thing may not. */
function fieldsAreCompatible(local: Btf, localId: TypeId, target: Btf, targetId: TypeId): boolean {
  const a = resolveType(local, localId)
  const b = resolveType(target, targetId)
  if (isComposite(a) && isComposite(b)) return true
  if (kindOf(a) !== kindOf(b)) return false
  switch (a.kind) {
    case 'ptr':
    case 'float':
    case 'int':
      return true
    case 'fwd':
    case 'enum':
    case 'enum64':
      return nameOf(a) === '' || nameOf(b) === '' || essentialName(nameOf(a)) === essentialName(nameOf(b))
    case 'array':
      return b.kind === 'array' && fieldsAreCompatible(local, a.type, target, b.type)
    default:
      return false
  }
}

function isComposite(type: BtfType): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union'
}

function isComplete(type: BtfType): boolean {
  return type.kind !== 'fwd'
}

/** enum and enum64 are one kind to CO-RE. */
function kindOf(type: BtfType): string {
  return type.kind === 'enum64' ? 'enum' : type.kind
}

function nameOf(type: BtfType): string {
  return 'name' in type ? type.name : ''
}
