/** The Internet checksum, as Linux computes it: lib/checksum.c, include/net/checksum.h. Sums are unsigned 32-bit numbers, of little-endian words. */

/** csum_add() */
export function sumOf(a: number, b: number): number {
  const sum = a + b
  return sum > 0xffff_ffff ? (sum - 0xffff_ffff) >>> 0 : sum
}

/** csum_sub() */
export function difference(a: number, b: number): number {
  return sumOf(a, ~b >>> 0)
}

/** csum_partial(): the sum of bytes, added to another one. */
export function partialSum(bytes: Uint8Array, sum: number): number {
  let total = sum
  let at = 0
  for (; at + 1 < bytes.length; at += 2) total += (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
  if (at < bytes.length) total += bytes[at] as number
  // More than 2^21 words would have to come together before it isn't exact any more.
  while (total > 0xffff_ffff) total = (total % 2 ** 32) + Math.floor(total / 2 ** 32)
  return total
}

/** csum_from32to16(): a sum in 16 bits. */
export function shortSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16)
  return (once & 0xffff) + (once >>> 16)
}

/** csum_fold(): a sum as it stands in headers. */
export function folded(sum: number): number {
  return ~shortSum(sum) & 0xffff
}

/** csum_replace4(): a header's checksum, once `from` has become `to` in what it is of. */
export function replaced4(checksum: number, from: number, to: number): number {
  return folded(sumOf(difference(~checksum >>> 0, from), to))
}

/** csum_replace2(), whose zeroes are other ones than those of `replaced4()`. */
export function replaced2(checksum: number, from: number, to: number): number {
  return ~shortAdd(shortAdd(~checksum & 0xffff, ~from & 0xffff), to) & 0xffff
}

/** csum_replace_by_diff() */
export function replacedByDifference(checksum: number, sum: number): number {
  return folded(sumOf(sum, ~checksum >>> 0))
}

function shortAdd(a: number, b: number): number {
  const sum = a + b
  return (sum & 0xffff) + (sum >>> 16)
}
