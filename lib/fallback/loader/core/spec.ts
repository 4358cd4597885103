/** CO-RE accesses: which part of which type an instruction refers to, as the compiler wrote it down. */
import { resolveType, sizeOf, skipModifiers, typeById, typeName } from '../../../btf/query.js'
import { CORE_RELOCATION_KINDS as KIND } from '../../../btf/ext.js'
import type { Btf, BtfMember, TypeId } from '../../../btf/types.js'
import { BpfError } from '../../../errors.js'
import type { CoreRelocation } from '../../../object-file/types.js'

/** One step into a type: a member by name, or an element by index (the name is empty then). */
export interface Step {
  /** Of the struct or array that is stepped into; modifiers are skipped. */
  readonly type: TypeId
  readonly name: string
  /** Of the element; of the member in its struct. */
  readonly index: number
}

/** A place in a type. */
export interface Spec {
  readonly btf: Btf
  readonly root: TypeId
  /** Anonymous members are stepped through without a step of their own. The first one indexes the root, as a pointer does. */
  readonly steps: readonly Step[]
  readonly bitOffset: number
  /** The member that the last step names; undefined where it is an element. */
  readonly member: BtfMember | undefined
  /** Type of what is accessed. */
  readonly type: TypeId
  /** The value of an enum, where the access is to one. */
  readonly enumValue: { readonly name: string; readonly value: number | bigint } | undefined
}

const TYPE_KINDS: ReadonlySet<number> = new Set([
  KIND.TYPE_ID_LOCAL,
  KIND.TYPE_ID_TARGET,
  KIND.TYPE_EXISTS,
  KIND.TYPE_SIZE,
  KIND.TYPE_MATCHES,
])

export function isTypeBased(kind: number): boolean {
  return TYPE_KINDS.has(kind)
}

export function isEnumBased(kind: number): boolean {
  return kind === KIND.ENUMVAL_EXISTS || kind === KIND.ENUMVAL_VALUE
}

/**
 * What a relocation refers to, in the object's own BTF.
 * @throws BpfError `RELOCATION_FAILED` if the access doesn't fit the type
 */
export function parseSpec(btf: Btf, relocation: CoreRelocation): Spec {
  const accessors = relocation.access.split(':').map(Number)
  const [first, ...rest] = accessors
  if (first === undefined || !accessors.every((value) => Number.isInteger(value) && value >= 0)) {
    throw malformed(btf, relocation, 'the access string is no list of numbers')
  }
  const root = skipModifiers(btf, relocation.type)
  const base = { btf, root, steps: [], bitOffset: 0, member: undefined, type: root, enumValue: undefined }
  if (isTypeBased(relocation.kind)) {
    if (first !== 0 || rest.length > 0) throw malformed(btf, relocation, 'the access is to a part of a type')
    // Type relocations name the type itself, with its typedefs.
    return { ...base, root: relocation.type, type: relocation.type }
  }
  if (isEnumBased(relocation.kind)) {
    const type = typeById(btf, root)
    const enumValue = type.kind === 'enum' || type.kind === 'enum64' ? type.values[first] : undefined
    if (enumValue === undefined || rest.length > 0)
      throw malformed(btf, relocation, 'there is no such enumerator')
    return { ...base, enumValue }
  }
  return walk(base, first, rest, (problem) => malformed(btf, relocation, problem))
}

function walk(base: Spec, first: number, rest: readonly number[], fail: (problem: string) => BpfError): Spec {
  const { btf, root } = base
  const steps: Step[] = [{ type: root, name: '', index: first }]
  let bitOffset = first === 0 ? 0 : first * sizeOf(btf, root) * 8
  let member: BtfMember | undefined
  let at = root
  for (const index of rest) {
    const type = typeById(btf, at)
    switch (type.kind) {
      case 'struct':
      case 'union': {
        const next = type.members[index]
        if (next === undefined) throw fail(`${typeName(btf, at)} has no member ${index}`)
        bitOffset += next.bitOffset
        if (next.name !== '') steps.push({ type: at, name: next.name, index })
        member = next.name === '' ? undefined : next
        at = skipModifiers(btf, next.type)
        break
      }
      case 'array': {
        if (index >= type.length && !isFlexible(btf, member, steps.at(-1)))
          throw fail(`${typeName(btf, at)} has no element ${index}`)
        steps.push({ type: at, name: '', index })
        member = undefined
        at = skipModifiers(btf, type.type)
        bitOffset += index * sizeOf(btf, at) * 8
        break
      }
      default:
        throw fail(`a ${typeName(btf, at)} has no parts`)
    }
  }
  return { ...base, steps, bitOffset, member, type: member?.type ?? at }
}

/** Whether an array is the last member of its struct and has no length of its own: any index fits. */
export function isFlexible(btf: Btf, member: BtfMember | undefined, step: Step | undefined): boolean {
  if (member === undefined || step === undefined || step.name === '') return false
  const array = resolveType(btf, member.type)
  const owner = typeById(btf, step.type)
  if (array.kind !== 'array' || array.length > 0) return false
  return (owner.kind === 'struct' || owner.kind === 'union') && owner.members.at(-1)?.name === member.name
}

/** `struct task_struct.mm.arg_start`, for messages. */
export function describeSpec(spec: Spec): string {
  let text = typeName(spec.btf, spec.root)
  if (spec.enumValue !== undefined) return `${text}::${spec.enumValue.name}`
  spec.steps.forEach(({ name, index }, i) => {
    if (name !== '') text += `.${name}`
    else if (i > 0 || index > 0) text += `[${index}]`
  })
  return text
}

/** What a relocation of a kind asks, for messages. */
export const KIND_NAMES: readonly string[] = [
  'byte offset',
  'byte size',
  'existence',
  'signedness',
  'left shift',
  'right shift',
  'local type id',
  'target type id',
  'existence',
  'size',
  'existence',
  'value',
  'match',
]

function malformed(btf: Btf, relocation: CoreRelocation, problem: string): BpfError {
  const what = typeName(btf, relocation.type)
  return new BpfError(
    'RELOCATION_FAILED',
    `CO-RE relocation of ${what} (access '${relocation.access}', kind ${relocation.kind}) is malformed: ${problem}`,
  )
}
