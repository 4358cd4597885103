/** Members of the kernel's structs by their offsets. Where the bytes end (an older kernel has fewer members), all is 0. */

export interface StructView {
  u32(offset: number): number
  i32(offset: number): number
  u64(offset: number): bigint
  /** Text up to the first zero. */
  text(offset: number, length: number): string
  /** Lower-case hexadecimal digits. */
  hex(offset: number, length: number): string
}

/** As on x86-64, arm64 and riscv64. */
export function structView(bytes: Uint8Array): StructView {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const has = (offset: number, length: number): boolean => offset + length <= bytes.length
  return {
    u32: (offset) => (has(offset, 4) ? view.getUint32(offset, true) : 0),
    i32: (offset) => (has(offset, 4) ? view.getInt32(offset, true) : 0),
    u64: (offset) => (has(offset, 8) ? view.getBigUint64(offset, true) : 0n),
    text(offset, length) {
      const field = bytes.subarray(offset, offset + length)
      const end = field.indexOf(0)
      return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end))
    },
    hex: (offset, length) => toHex(bytes.subarray(offset, offset + length)),
  }
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
