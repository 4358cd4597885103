/** Where Linux puts barriers against speculation, and how it masks the numbers by which pointers move. */
import { EACCES, EINVAL, EPERM, type Rejection } from './rejection.js'

/** How an instruction moves its pointer: the same on all paths, since it is masked in one way. */
export interface Mask {
  readonly way: number
  readonly limit: number
}

export class Speculation {
  /** A barrier stands before the instruction, or behind it. */
  readonly barrierBefore: Uint8Array
  readonly barrierBehind: Uint8Array
  private readonly masks = new Map<number, Mask>()
  /** Some pointer moves by a number that isn't known: states must be the same to cover each other, so that no limit is missed. */
  comparesLimits = false

  constructor(length: number) {
    this.barrierBefore = new Uint8Array(length)
    this.barrierBehind = new Uint8Array(length)
  }

  /** An instruction on a path that is only speculated about is unsafe. @returns whether a barrier mends that */
  mend(insn: number, { errno }: Rejection): boolean {
    if (errno !== EPERM && errno !== EACCES && errno !== EINVAL) return false
    this.barrierBefore[insn] = 1
    this.masks.delete(insn)
    return true
  }

  maskOf(insn: number): Mask | undefined {
    return this.masks.get(insn)
  }

  setMask(insn: number, mask: Mask): void {
    this.masks.set(insn, mask)
  }
}
