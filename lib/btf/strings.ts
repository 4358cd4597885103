/** The string section of a BTF blob: names by offset. */
import { BpfError } from '../errors.js'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export class BtfStrings {
  readonly #bytes: Uint8Array
  /** The whole section as text, if each byte of it is one character: then offsets are the same and names are slices. */
  readonly #text: string | undefined

  /** @throws BpfError `BAD_BTF` if the section doesn't start and end with NUL */
  constructor(bytes: Uint8Array) {
    if (bytes.length === 0 || bytes[0] !== 0 || bytes[bytes.length - 1] !== 0) {
      throw new BpfError('BAD_BTF', 'BTF: the string section does not start and end with NUL')
    }
    this.#bytes = bytes
    const text = decoder.decode(bytes)
    if (text.length === bytes.length) this.#text = text
  }

  /** The string at an offset; it may start within another one. */
  at(offset: number): string {
    if (!(offset >= 0 && offset < this.#bytes.length)) {
      throw new BpfError(
        'BAD_BTF',
        `BTF: string offset ${offset} is out of range (0…${this.#bytes.length - 1})`,
      )
    }
    const text = this.#text
    if (text !== undefined) return text.slice(offset, text.indexOf('\0', offset))
    return decoder.decode(this.#bytes.subarray(offset, this.#bytes.indexOf(0, offset)))
  }
}
