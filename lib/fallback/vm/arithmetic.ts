/** 64-bit arithmetic on registers that are two signed 32-bit halves. */
import type { Registers } from './types.js'

const TWO_32 = 4294967296
/** A high half below this makes an unsigned value that a double holds exactly. */
const SAFE_HIGH = 0x200000

/** dst *= src, modulo 2^64. */
export function multiply(registers: Registers, dst: number, src: number): void {
  const { lo, hi } = registers
  const a = lo[dst] ?? 0
  const b = lo[src] ?? 0
  const al = a & 0xffff
  const ah = a >>> 16
  const bl = b & 0xffff
  const bh = b >>> 16
  // Each sum stays below 2^32: (2^16 - 1)^2 + 2^16 - 1.
  const middle = (Math.imul(ah, bl) >>> 0) + (Math.imul(al, bl) >>> 16)
  const carry = (Math.imul(al, bh) >>> 0) + (middle & 0xffff)
  const high = Math.imul(ah, bh) + (middle >>> 16) + (carry >>> 16)
  hi[dst] = (high + Math.imul(a, hi[src] ?? 0) + Math.imul(hi[dst] ?? 0, b)) | 0
  lo[dst] = Math.imul(a, b)
}

/** dst /= src, unsigned; 0 where src is 0 (RFC 9669 section 4.1). */
export function divide(registers: Registers, dst: number, src: number): void {
  divideOrModulo(registers, dst, src, false)
}

/** dst %= src, unsigned; unchanged where src is 0. */
export function modulo(registers: Registers, dst: number, src: number): void {
  divideOrModulo(registers, dst, src, true)
}

function divideOrModulo(registers: Registers, dst: number, src: number, wantModulo: boolean): void {
  const { lo, hi } = registers
  const alo = (lo[dst] ?? 0) >>> 0
  const ahi = (hi[dst] ?? 0) >>> 0
  const blo = (lo[src] ?? 0) >>> 0
  const bhi = (hi[src] ?? 0) >>> 0
  if (bhi === 0 && blo === 0) {
    if (!wantModulo) hi[dst] = lo[dst] = 0
  } else if (ahi < SAFE_HIGH && bhi < SAFE_HIGH) {
    const a = ahi * TWO_32 + alo
    const b = bhi * TWO_32 + blo
    const rest = a % b
    // a - rest is a multiple of b and exact, so the quotient is too: a plain a / b could round up.
    const result = wantModulo ? rest : (a - rest) / b
    hi[dst] = Math.floor(result / TWO_32)
    lo[dst] = result | 0
  } else if (bhi === 0 && blo <= SAFE_HIGH) {
    const highRest = ahi % blo
    const a = highRest * TWO_32 + alo
    const rest = a % blo
    hi[dst] = wantModulo ? 0 : (ahi - highRest) / blo
    lo[dst] = wantModulo ? rest : (a - rest) / blo
  } else {
    const a = (BigInt(ahi) << 32n) | BigInt(alo)
    const b = (BigInt(bhi) << 32n) | BigInt(blo)
    const result = wantModulo ? a % b : a / b
    hi[dst] = Number(result >> 32n)
    lo[dst] = Number(result & 0xffffffffn)
  }
}

/** dst /= src, signed, towards zero; 0 where src is 0, and -2^63 / -1 is -2^63. `spare` are two scratch registers. */
export function divideSigned(registers: Registers, dst: number, src: number, spare: number): void {
  signed(registers, dst, src, spare, false)
}

/** dst %= src with the sign of dst; unchanged where src is 0. */
export function moduloSigned(registers: Registers, dst: number, src: number, spare: number): void {
  signed(registers, dst, src, spare, true)
}

function signed(registers: Registers, dst: number, src: number, spare: number, wantModulo: boolean): void {
  const { lo, hi } = registers
  const dividendNegative = (hi[dst] ?? 0) < 0
  const divisorNegative = (hi[src] ?? 0) < 0
  lo[spare] = lo[src] ?? 0
  hi[spare] = hi[src] ?? 0
  lo[spare + 1] = lo[dst] ?? 0
  hi[spare + 1] = hi[dst] ?? 0
  if (divisorNegative) negate(registers, spare)
  if (dividendNegative) negate(registers, spare + 1)
  divideOrModulo(registers, spare + 1, spare, wantModulo)
  if (wantModulo ? dividendNegative : dividendNegative !== divisorNegative) negate(registers, spare + 1)
  lo[dst] = lo[spare + 1] ?? 0
  hi[dst] = hi[spare + 1] ?? 0
}

/** register = -register. */
export function negate(registers: Registers, register: number): void {
  const { lo, hi } = registers
  const low = -(lo[register] ?? 0) | 0
  lo[register] = low
  hi[register] = low === 0 ? -(hi[register] ?? 0) | 0 : ~(hi[register] ?? 0)
}

/** The four bytes of a word in the other order. */
export function swap32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}

/** The low two bytes of a word in the other order. */
export function swap16(word: number): number {
  return ((word & 0xff) << 8) | ((word >>> 8) & 0xff)
}
