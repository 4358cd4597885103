/** Little-endian reads from a file whose offsets nobody has checked yet. */
import { BpfError } from '../errors.js'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The error for bytes that aren't a well-formed BPF object. */
export function badObject(message: string, hint?: string): BpfError {
  return new BpfError('BAD_OBJECT', message, hint === undefined ? {} : { hint })
}

/** A view for reads at any offset: DataView throws a RangeError past the end, so callers check ranges first. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * An unsigned 64-bit number. Past 2^53 it is inexact, which is harmless: what it is compared with is the size of a
 * file in memory.
 */
export function u64(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true)
}

/** A string table that is known to end with NUL, so that every offset in it starts a terminated string. */
export class StringTable {
  readonly #bytes: Uint8Array

  /** @param what for the message of the error that an unterminated table is: `.strtab` */
  constructor(bytes: Uint8Array, what: string) {
    if (bytes.length === 0) throw badObject(`The string table ${what} is empty`)
    if (bytes[bytes.length - 1] !== 0) throw badObject(`The string table ${what} does not end with NUL`)
    this.#bytes = bytes
  }

  /** @param what whose name it is, for the message: `section 3` */
  at(offset: number, what: string): string {
    if (offset >= this.#bytes.length) {
      throw badObject(
        `The name of ${what} lies outside of its string table (${offset} of ${this.#bytes.length})`,
      )
    }
    return decoder.decode(this.#bytes.subarray(offset, this.#bytes.indexOf(0, offset)))
  }
}
