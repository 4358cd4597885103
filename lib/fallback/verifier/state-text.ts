/** What is known of registers and stack, in the words of the verifier log: `R1=map_value(map=counters,ks=4,vs=8,off=4)`. */
import { BYTE, byteType, isIteratorSlot, isSpilled, STACK_SIZE, type Frame, type StackSlot } from './state.js'
import { typeName } from './type-names.js'
import { FLAG, isPacketPointer, ITERATION, KIND, type Register } from './values/register.js'

const S64_MIN = -(1n << 63n)
const S64_MAX = (1n << 63n) - 1n
const U64_MAX = (1n << 64n) - 1n
const S32_MIN = -(1n << 31n)
const S32_MAX = (1n << 31n) - 1n
const U32_MAX = (1n << 32n) - 1n

const unsigned = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
const signed = (hi: number, lo: number): bigint => BigInt.asIntN(64, unsigned(hi, lo))

/** Small numbers are decimal, others are hexadecimal with all bits of the width. */
function numberText(value: bigint): string {
  return value >= -0x8000n && value <= 0xffffn ? `${value}` : `0x${BigInt.asUintN(64, value).toString(16)}`
}

/** A limit; it is left out where it says nothing: at the end of its type's range. */
type Limit = readonly [name: string, value: bigint, isSilent: boolean]

function limitsOf(register: Register): readonly Limit[] {
  const smin = signed(register.sminHi, register.sminLo)
  const smax = signed(register.smaxHi, register.smaxLo)
  const umin = unsigned(register.uminHi, register.uminLo)
  const umax = unsigned(register.umaxHi, register.umaxLo)
  const s32Min = BigInt(register.s32Min)
  const s32Max = BigInt(register.s32Max)
  const u32Min = BigInt(register.u32Min >>> 0)
  const u32Max = BigInt(register.u32Max >>> 0)
  return [
    ['smin', smin, smin === S64_MIN],
    ['smax', smax, smax === S64_MAX],
    ['umin', umin, umin === 0n],
    ['umax', umax, umax === U64_MAX],
    ['smin32', s32Min, s32Min === S32_MIN],
    ['smax32', s32Max, s32Max === S32_MAX],
    ['umin32', u32Min, u32Min === 0n],
    ['umax32', u32Max, u32Max === U32_MAX],
  ]
}

/** Limits that are the same number are one entry: `smax=umax=255`. */
function rangeParts(register: Register): readonly string[] {
  const names = new Map<bigint, { readonly value: bigint; text: string }>()
  for (const [name, value, isSilent] of limitsOf(register)) {
    if (isSilent) continue
    const bits = BigInt.asUintN(64, value)
    const known = names.get(bits)
    if (known === undefined) names.set(bits, { value, text: `${name}=` })
    else known.text += `${name}=`
  }
  const parts = Array.from(names.values(), ({ value, text }) => `${text}${numberText(value)}`)
  const mask = unsigned(register.maskHi, register.maskLo)
  if (mask === U64_MAX) return parts
  const value = unsigned(register.valueHi, register.valueLo)
  return [...parts, `var_off=(0x${value.toString(16)}; 0x${mask.toString(16)})`]
}

function isConstant({ maskHi, maskLo }: Register): boolean {
  return (maskHi | maskLo) === 0
}

function identityParts({ id, addedConst, offset, refId, kind, map }: Register): readonly string[] {
  const delta = kind === KIND.SCALAR && addedConst !== 0 ? `${offset < 0 ? '' : '+'}${offset}` : ''
  return [
    ...(id === 0 ? [] : [`id=${id}${delta}`]),
    ...(refId === 0 ? [] : [`ref_obj_id=${refId}`]),
    ...(map === undefined ? [] : [`map=${map.name}`, `ks=${map.keySize}`, `vs=${map.valueSize}`]),
  ]
}

/** `scalar(smin=0,smax=umax=255)`, `fp-8`, `42`. */
export function registerText(register: Register): string {
  const { kind, offset, range, struct } = register
  if (kind === KIND.SCALAR) {
    if (isConstant(register)) return numberText(signed(register.valueHi, register.valueLo))
    return `scalar(${[...identityParts(register), ...rangeParts(register)].join(',')})`
  }
  if (kind === KIND.STACK && isConstant(register)) return `fp${offset}`
  const parts = [
    ...identityParts(register),
    ...((register.flags & FLAG.NON_OWNING) === 0 ? [] : ['non_own_ref']),
    ...(offset === 0 ? [] : [`off=${offset}`]),
    ...(isPacketPointer(register) ? [`r=${range}`] : []),
    ...(kind === KIND.MEM || kind === KIND.BUF ? [`sz=${range}`] : []),
    ...(isConstant(register) ? [] : rangeParts(register)),
  ]
  return `${typeName(register)}${kind === KIND.BTF_ID ? (struct?.name ?? '') : ''}(${parts.join(',')})`
}

const BYTE_LETTERS: Readonly<Record<number, string>> = {
  [BYTE.INVALID]: '?',
  [BYTE.SPILL]: 's',
  [BYTE.MISC]: 'm',
  [BYTE.ZERO]: '0',
  [BYTE.DYNPTR]: 'd',
  [BYTE.ITER]: 'i',
  [BYTE.IRQ]: 'f',
}

function slotText(slot: StackSlot): string {
  if (isSpilled(slot)) return registerText(slot.spilled)
  if (isIteratorSlot(slot) && slot.spilled.first) {
    const { type = '', refId, range, frame, flags } = slot.spilled
    const trust = (flags & FLAG.RCU) !== 0 ? 'rcu_' : (flags & FLAG.UNTRUSTED) !== 0 ? 'untrusted_' : ''
    const state = range === ITERATION.ACTIVE ? 'active' : 'drained'
    return `iter_${type}(${trust}ref_id=${refId},state=${state},depth=${frame})`
  }
  let text = ''
  for (let i = 0; i < 8; i++) text += BYTE_LETTERS[byteType(slot.types, i)] ?? '?'
  return text
}

/**
 * Registers and stack of a frame: ` R0=scalar() R10=fp0 fp-8=mmmmmmmm`.
 *
 * @param printed what the reader knows already: it is left out
 */
export function frameText(frame: Frame, printed?: Frame): string {
  const isSameFrame = printed?.index === frame.index
  let text = ''
  frame.registers.forEach((register, i) => {
    if (register.kind === KIND.NOT_INIT || (isSameFrame && printed.registers[i] === register)) return
    text += ` R${i}=${registerText(register)}`
  })
  const slots = Math.min(frame.stack.length, STACK_SIZE / 8)
  for (let i = 0; i < slots; i++) {
    const slot = frame.stack[i]
    if (slot === undefined || slot.types === 0 || (isSameFrame && printed.stack[i] === slot)) continue
    text += ` fp-${8 * (i + 1)}=${slotText(slot)}`
  }
  return text === '' || frame.index === 0 ? text : ` frame${frame.index}:${text}`
}
