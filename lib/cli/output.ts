/** What commands print: text for people, or JSON under bpftool's names for programs. */

export interface OutputOptions {
  readonly json?: true
}

/** @param text made only if it is wanted */
export function print(value: unknown, text: () => string, { json }: OutputOptions): void {
  process.stdout.write(json === true ? `${JSON.stringify(bpftoolNames(value), null, 2)}\n` : text())
}

/** `bytesXlated` as `bytes_xlated`; 64-bit numbers as numbers where JSON can hold them, else as text; bytes as hex. */
export function bpftoolNames(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(bpftoolNames)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [spelled(name), bpftoolNames(member)]),
  )
}

/** Names of types, options and sysctls are as they are: they have no capital letters inside of words. */
function spelled(name: string): string {
  return /^[a-z]/.test(name) && !name.includes('.')
    ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    : name
}

/** An id from a command line. @param Refusal what commander wants to be thrown, so that it shows the usage */
export function toId(text: string, Refusal: new (message: string) => Error): number {
  const id = Number(text)
  if (Number.isInteger(id) && id >= 1 && id <= 0xffffffff) return id
  throw new Refusal('An id is a positive integer.')
}
