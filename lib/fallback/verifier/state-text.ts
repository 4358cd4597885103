/** What is known of registers and stack, in the words of the verifier log: `R1=map_value(map=counters,ks=4,vs=8,off=4)`. */
import {
  BYTE,
  byteType,
  isDynptrSlot,
  isIteratorSlot,
  isSpilled,
  SLOTS,
  type StackSlot,
  type State,
} from './state.js'
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

const hexadecimal = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`
const isSmall = (value: bigint): boolean => value === BigInt.asIntN(16, value)

/** Numbers of 16 bits are decimal, others are hexadecimal. */
function signedText(value: bigint): string {
  return isSmall(value) ? `${value}` : hexadecimal(value)
}

function unsignedText(value: bigint): string {
  const bits = BigInt.asUintN(64, value)
  return bits <= 0xffffn ? `${bits}` : hexadecimal(bits)
}

/** A limit; it is left out where it says nothing: at the end of its type's range. */
type Limit = readonly [name: string, value: bigint, isSilent: boolean]

/** Limits of 32 bits that are hexadecimal have no more. */
const halfOf = (value: bigint): bigint => (isSmall(value) ? value : BigInt.asUintN(32, value))

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
    ['smin32', halfOf(s32Min), s32Min === S32_MIN],
    ['smax32', halfOf(s32Max), s32Max === S32_MAX],
    ['umin32', u32Min, u32Min === 0n],
    ['umax32', u32Max, u32Max === U32_MAX],
  ]
}

/** Lower limits that are the same number are one entry, and so are upper ones: `smax=umax=255`. */
function rangeParts(register: Register): readonly string[] {
  const entries = new Map<string, { names: string; readonly value: string }>()
  for (const [name, value, isSilent] of limitsOf(register)) {
    if (isSilent) continue
    const key = `${name.slice(1, 4)}${value}`
    const entry = entries.get(key)
    if (entry !== undefined) entry.names += `${name}=`
    // The first of them tells how it is written.
    else
      entries.set(key, {
        names: `${name}=`,
        value: name.startsWith('s') ? signedText(value) : unsignedText(value),
      })
  }
  const parts = Array.from(entries.values(), ({ names, value }) => names + value)
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

/** `scalar(smin=0,smax=umax=255)`, `fp-8`, `42`, and `P42` where just that number counts. */
function registerText(register: Register, frame: number, isPrecise: boolean): string {
  const { kind, offset, range, struct } = register
  if (kind === KIND.SCALAR) {
    const precise = isPrecise ? 'P' : ''
    if (isConstant(register)) return precise + signedText(signed(register.valueHi, register.valueLo))
    return `${precise}scalar(${[...identityParts(register), ...rangeParts(register)].join(',')})`
  }
  const name = `${typeName(register)}${kind === KIND.BTF_ID ? (struct?.name ?? '') : ''}`
  if (kind === KIND.ARENA) return name
  const place = kind === KIND.STACK && register.frame !== frame ? `[${register.frame}]` : ''
  if (kind === KIND.STACK && isConstant(register)) return `${name}${place}${offset}`
  const parts = [
    ...identityParts(register),
    ...((register.flags & FLAG.NON_OWNING) === 0 ? [] : ['non_own_ref']),
    ...(offset === 0 ? [] : [`off=${signedText(BigInt(offset))}`]),
    ...(isPacketPointer(register) ? [`r=${unsignedText(BigInt(range))}`] : []),
    ...(kind === KIND.MEM || kind === KIND.BUF ? [`sz=${unsignedText(BigInt(range >>> 0))}`] : []),
    ...(kind === KIND.DYNPTR ? [`type=${register.type ?? ''}`] : []),
    ...(isConstant(register) ? [] : rangeParts(register)),
  ]
  return `${name}${place}(${parts.join(',')})`
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

/** Linux takes that it is the first slot for the id of another dynptr. */
function dynptrText({ type = '', id, refId }: Register): string {
  return `dynptr_${type}(id=${id},${refId === 0 ? '' : `ref_id=${refId},`}dynptr_id=1)`
}

/** @returns undefined: it is told with another slot */
function slotText(slot: StackSlot, frame: number, isPrecise: boolean): string | undefined {
  if (isSpilled(slot)) return bytesText(slot.types, BYTE.SPILL) + registerText(slot.spilled, frame, isPrecise)
  if (isIteratorSlot(slot) && slot.spilled.first) {
    const { type = '', refId, range, frame, flags } = slot.spilled
    const trust = (flags & FLAG.RCU) !== 0 ? 'rcu_' : (flags & FLAG.UNTRUSTED) !== 0 ? 'untrusted_' : ''
    const state = range === ITERATION.ACTIVE ? 'active' : 'drained'
    return `iter_${type}(${trust}ref_id=${refId},state=${state},depth=${frame})`
  }
  if (isDynptrSlot(slot)) return slot.spilled.first ? dynptrText(slot.spilled) : undefined
  return bytesText(slot.types)
}

/** @param end the first byte that isn't told */
function bytesText(types: number, end?: number): string {
  let text = ''
  for (let i = 0; i < 8 && byteType(types, i) !== end; i++) text += BYTE_LETTERS[byteType(types, i)] ?? '?'
  return text
}

/** Locks in global data have no ids. */
function idsText(references: State['references']): string {
  return references
    .map(({ id }) => id)
    .filter((id) => id !== 0)
    .join(',')
}

/** Which registers and slots of a frame are told, as bits. */
export interface Selection {
  readonly registers: number
  /** Slots 0…31 and 32…63. */
  readonly slotsLow: number
  readonly slotsHigh: number
}

const EVERYTHING: Selection = { registers: -1, slotsLow: -1, slotsHigh: -1 }

const isIn = (low: number, high: number, slot: number): boolean =>
  ((slot < 32 ? low : high) & (1 << (slot & 31))) !== 0

/**
 * Registers and stack of a frame, references of its state, and whether it is a callback's: ` frame1: R0=P5 R10=fp0 fp-8=mmmmmmmm refs=2 cb`.
 * Numbers that must be precise, in states that are kept, have a `P`.
 */
export function stateText(
  { frames, references }: Pick<State, 'frames' | 'references'>,
  index: number,
  { registers, slotsLow, slotsHigh }: Selection = EVERYTHING,
): string {
  const frame = frames[index]
  if (frame === undefined) return ''
  let text = index === 0 ? '' : ` frame${index}:`
  frame.registers.forEach((register, i) => {
    if (register.kind === KIND.NOT_INIT || (registers & (1 << i)) === 0) return
    text += ` R${i}=${registerText(register, index, (frame.preciseRegisters & (1 << i)) !== 0)}`
  })
  for (let i = 0; i < Math.min(frame.stack.length, SLOTS); i++) {
    const slot = frame.stack[i]
    if (slot === undefined || slot.types === 0 || !isIn(slotsLow, slotsHigh, i)) continue
    const told = slotText(slot, index, isIn(frame.preciseSlotsLow, frame.preciseSlotsHigh, i))
    if (told !== undefined) text += ` fp-${8 * (i + 1)}=${told}`
  }
  if ((references[0]?.id ?? 0) !== 0) text += ` refs=${idsText(references)}`
  if (frame.callback === undefined) return text
  return `${text}${frame.callback.async ? ' async_cb' : ' cb'}`
}
