/** The two kinds of function that codecs without code generation are built of. */

/** Decodes what lies at an index of bytes. The caller has checked the bounds. */
export type Read = (bytes: Uint8Array, at: number) => unknown

/** Encodes `value` at an index of bytes. The caller has checked the bounds. Throws `Fault`. */
export type Write = (bytes: Uint8Array, at: number, value: unknown) => void
