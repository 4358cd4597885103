/** What the numbers in a program's instructions must be, on a target: the heart of CO-RE. */
import { CORE_RELOCATION_KINDS as KIND } from '../../../btf/ext.js'
import { resolveType, sizeOf, typeById, typeName } from '../../../btf/query.js'
import type { Btf } from '../../../btf/types.js'
import { BpfError } from '../../../errors.js'
import { didYouMean } from '../../../nearest.js'
import type { CoreRelocation } from '../../../object-file/types.js'
import { matchSpec, type TargetTypes } from './match.js'
import { describeSpec, isEnumBased, isTypeBased, KIND_NAMES, parseSpec, type Spec } from './spec.js'

/** What becomes of one instruction. */
export interface Resolution {
  readonly relocation: CoreRelocation
  /** `struct task_struct.pid`. */
  readonly subject: string
  /** Value that the compiler put in; undefined: not to be compared. */
  readonly expected: bigint | undefined
  /** undefined: what is accessed isn't there in the target. The instruction must not be reached. */
  readonly value: bigint | undefined
  /** Byte sizes of the field, of byte offset relocations: the size of a load follows the target's. */
  readonly sizes: { readonly local: number; readonly target: number } | undefined
  /** Whether the size of an access can follow: pointers and unsigned integers only. */
  readonly resizable: boolean
  /** Why there is no value, and what to do; for the case that the instruction is reached. */
  readonly hint: string
}

interface Value {
  readonly value: bigint
  /** Whether the instruction holds the local value. Bit-fields' offsets are rounded in ways that compilers differ in. */
  readonly checked: boolean
  readonly size?: number
}

/**
 * Resolves a relocation.
 *
 * @param local the object's own BTF
 * @throws BpfError `RELOCATION_FAILED` where the target has several answers, or the relocation is malformed
 */
export function resolveRelocation(local: Btf, relocation: CoreRelocation, target: TargetTypes): Resolution {
  const { kind } = relocation
  if (KIND_NAMES[kind] === undefined) {
    throw new BpfError('RELOCATION_FAILED', `CO-RE relocation of an unknown kind ${kind}`)
  }
  const spec = parseSpec(local, relocation)
  const subject = describeSpec(spec)
  const own = evaluate(kind, spec, spec, subject)
  const base = {
    relocation,
    subject,
    expected: own?.checked === true ? own.value : undefined,
    sizes: undefined,
    resizable: true,
    hint: '',
  }
  if (kind === KIND.TYPE_ID_LOCAL) return { ...base, value: BigInt(relocation.type) }

  const candidates = target.candidates(local, spec.root)
  const found = candidates.flatMap((id) => matchSpec(spec, target.btf, id, kind) ?? [])
  let chosen: { readonly spec: Spec; readonly value: Value } | undefined
  for (const match of found) {
    const value = evaluate(kind, spec, match, subject)
    if (value === undefined) continue
    if (chosen === undefined) chosen = { spec: match, value }
    else if (chosen.value.value !== value.value || chosen.spec.bitOffset !== match.bitOffset) {
      throw new BpfError(
        'RELOCATION_FAILED',
        `CO-RE: ${KIND_NAMES[kind]} of ${subject} is ambiguous in the target: ${chosen.value.value} or ${value.value}`,
      )
    }
  }
  if (chosen === undefined) {
    const absent = evaluateAbsent(kind)
    return {
      ...base,
      value: absent,
      hint: absent === undefined ? whyMissing(spec, candidates.length, target) : '',
    }
  }
  const sizes =
    kind === KIND.FIELD_BYTE_OFFSET && own?.size !== undefined && chosen.value.size !== undefined
      ? { local: own.size, target: chosen.value.size }
      : undefined
  return { ...base, value: chosen.value.value, sizes, resizable: isResizable(spec, chosen.spec) }
}

/** For what isn't there: questions of existence have an answer, others don't. */
function evaluateAbsent(kind: number): bigint | undefined {
  const answers: readonly number[] = [
    KIND.FIELD_EXISTS,
    KIND.TYPE_EXISTS,
    KIND.TYPE_MATCHES,
    KIND.ENUMVAL_EXISTS,
  ]
  return answers.includes(kind) ? 0n : undefined
}

function evaluate(kind: number, local: Spec, spec: Spec, subject: string): Value | undefined {
  if (
    kind === KIND.FIELD_EXISTS ||
    kind === KIND.TYPE_EXISTS ||
    kind === KIND.TYPE_MATCHES ||
    kind === KIND.ENUMVAL_EXISTS
  ) {
    // The compiler writes what it finds at home: for a flavour that says nothing.
    return { value: 1n, checked: false }
  }
  if (isTypeBased(kind)) {
    if (kind === KIND.TYPE_SIZE)
      return { value: BigInt(sizeOf(spec.btf, spec.root)), checked: spec === local }
    return { value: BigInt(spec.root), checked: false }
  }
  if (isEnumBased(kind)) {
    return spec.enumValue === undefined ? undefined : { value: BigInt(spec.enumValue.value), checked: false }
  }
  return evaluateField(kind, spec, subject)
}

function evaluateField(kind: number, spec: Spec, subject: string): Value | undefined {
  const { btf, member, bitOffset } = spec
  const size = sizeOf(btf, spec.type)
  const bitSize = member?.bitSize ?? 0
  const storage =
    bitSize > 0 ? storageOf(bitOffset, bitSize, size) : { byteOffset: Math.floor(bitOffset / 8), size }
  if (storage === undefined) {
    throw new BpfError(
      'RELOCATION_FAILED',
      `CO-RE: bit-field ${subject} crosses 8 bytes: it can't be read in one access`,
    )
  }
  const bits = bitSize > 0 ? bitSize : storage.size * 8
  const checked = bitSize === 0
  switch (kind) {
    case KIND.FIELD_BYTE_OFFSET:
      return { value: BigInt(storage.byteOffset), checked, ...(checked && { size: storage.size }) }
    case KIND.FIELD_BYTE_SIZE:
      return { value: BigInt(storage.size), checked }
    case KIND.FIELD_SIGNED:
      return { value: isSigned(spec) ? 1n : 0n, checked: false }
    case KIND.FIELD_LSHIFT_U64:
      return { value: BigInt(64 - (bitOffset + bits - storage.byteOffset * 8)), checked: false }
    case KIND.FIELD_RSHIFT_U64:
      return { value: BigInt(64 - bits), checked: false }
    default:
      return undefined
  }
}

/** The smallest aligned access, from the size of the declared type up, that covers a bit-field. */
function storageOf(
  bitOffset: number,
  bitSize: number,
  typeSize: number,
): { byteOffset: number; size: number } | undefined {
  for (let size = typeSize; size <= 8; size *= 2) {
    const byteOffset = Math.floor(bitOffset / 8 / size) * size
    if (bitOffset + bitSize - byteOffset * 8 <= size * 8) return { byteOffset, size }
  }
  return undefined
}

function isSigned(spec: Spec): boolean {
  const type = resolveType(spec.btf, spec.type)
  return (type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64') && type.signed
}

/** Whether an access of the local size can become one of the target's: a wider one must fill up with zeroes. */
function isResizable(local: Spec, target: Spec): boolean {
  const a = resolveType(local.btf, local.type)
  const b = resolveType(target.btf, target.type)
  if (a.kind === 'ptr' && b.kind === 'ptr') return true
  return a.kind === 'int' && b.kind === 'int' && !a.signed && !b.signed
}

function whyMissing(spec: Spec, candidates: number, target: TargetTypes): string {
  const root = typeById(spec.btf, spec.root)
  const name = typeName(spec.btf, spec.root)
  if (candidates === 0) {
    const near = 'name' in root ? didYouMean(root.name, target.names(root.kind)) : undefined
    return `The target has no ${name}. ${near?.startsWith('Did') === true ? near : ''}`.trim()
  }
  const guard = spec.enumValue === undefined ? 'bpf_core_field_exists()' : 'bpf_core_enum_value_exists()'
  return `The target's ${name} lacks it: guard the access with ${guard}`
}
