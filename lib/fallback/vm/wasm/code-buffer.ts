/** Bytes of a WebAssembly module as they are written: one buffer that grows, no object per instruction. */
import { WASM } from './opcodes.js'

/** Bytes of the largest single item: an opcode with two LEB128 numbers. */
/** Number of memory.copy among what is done in bulk. */
const MEMORY_COPY = 10
const SLACK = 32
/** A size that is filled in later takes this many bytes, whatever it is. */
const PADDED = 5

export class CodeBuffer {
  #bytes: Uint8Array
  #at = 0
  /** Behind the last `local.set`, to make a `local.tee` of it. */
  #afterSet = -1

  constructor(capacity = 4096) {
    this.#bytes = new Uint8Array(Math.max(capacity, 2 * SLACK))
  }

  /** Bytes written so far: the offset of what comes next. */
  get position(): number {
    return this.#at
  }

  /** What was written; a view that is valid until more is. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  byte(value: number): void {
    this.#room()
    this.#bytes[this.#at++] = value
  }

  raw(bytes: ArrayLike<number>): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** An unsigned number, up to 32 bits. */
  unsigned(value: number): void {
    this.#room()
    let rest = value >>> 0
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#at++] = rest
  }

  /** A signed number of 32 bits. */
  signed(value: number): void {
    this.#room()
    let rest = value
    while (rest < -0x40 || rest > 0x3f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80
      rest >>= 7
    }
    this.#bytes[this.#at++] = rest & 0x7f
  }

  text(name: string): void {
    this.unsigned(name.length)
    for (let i = 0; i < name.length; i++) this.byte(name.charCodeAt(i))
  }

  op(opcode: number): void {
    this.#room()
    this.#bytes[this.#at++] = opcode
  }

  get(local: number): void {
    if (this.#afterSet === this.#at && this.#bytes[this.#at - 1] === local) {
      this.#bytes[this.#at - 2] = WASM.LOCAL_TEE
      this.#afterSet = -1
      return
    }
    this.op(WASM.LOCAL_GET)
    this.unsigned(local)
  }

  set(local: number): void {
    this.op(WASM.LOCAL_SET)
    this.unsigned(local)
    if (local < 0x80) this.#afterSet = this.#at
  }

  tee(local: number): void {
    this.op(WASM.LOCAL_TEE)
    this.unsigned(local)
  }

  i32(value: number): void {
    this.op(WASM.I32_CONST)
    this.signed(value)
  }

  /** A 32-bit constant, extended by its sign. */
  i64(value: number): void {
    this.op(WASM.I64_CONST)
    this.signed(value)
  }

  /** A 64-bit constant in halves. */
  i64Halves(low: number, high: number): void {
    this.op(WASM.I64_CONST)
    let lo = low
    let hi = high
    // As long as what is left is not just the sign of the last seven bits.
    while (!(hi === lo >> 31 && lo >= -0x40 && lo <= 0x3f)) {
      this.#bytes[this.#at++] = (lo & 0x7f) | 0x80
      lo = (lo >>> 7) | (hi << 25)
      hi >>= 7
    }
    this.#bytes[this.#at++] = lo & 0x7f
  }

  /** A load or store. @param alignment log2 of bytes: a hint */
  memory(opcode: number, alignment: number, offset: number): void {
    this.op(opcode)
    this.#bytes[this.#at++] = alignment
    this.unsigned(offset)
  }

  /** Copies as many bytes as the i32 on top says: memory.copy, inside one memory. */
  copyBytes(): void {
    this.op(WASM.BULK)
    this.unsigned(MEMORY_COPY)
    this.byte(0)
    this.byte(0)
  }

  /** A call, a branch, or another opcode with one number. */
  opIndex(opcode: number, index: number): void {
    this.op(opcode)
    this.unsigned(index)
  }

  /** `block`, `loop` or `if` without a result, or with one of a type. */
  open(opcode: number, type: number): void {
    this.op(opcode)
    this.#bytes[this.#at++] = type
  }

  /** Leaves room for a size. @returns where, for {@link closeSized} */
  openSized(): number {
    this.#room()
    this.#at += PADDED
    return this.#at
  }

  /** Fills in the bytes that were written since. */
  closeSized(start: number): void {
    let size = this.#at - start
    for (let i = PADDED; i > 0; i--) {
      this.#bytes[start - i] = (size & 0x7f) | (i > 1 ? 0x80 : 0)
      size >>>= 7
    }
  }

  #room(bytes = SLACK): void {
    if (this.#at + bytes + SLACK <= this.#bytes.length) return
    const larger = new Uint8Array(2 * this.#bytes.length + bytes)
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}
