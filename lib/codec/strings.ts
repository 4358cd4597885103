/**
 * `char[N]` ↔ string. The strings of a record stream repeat (`comm`, file names), so short ones come from a
 * direct-mapped cache: hash the words of the string, compare them with those of the slot, done. No string is made on a hit.
 */

/** Strings of up to so many bytes are cached. */
const CACHED_BYTES = 32
const CACHED_WORDS = CACHED_BYTES / 4
const SLOT_BITS = 10

const keys = new Int32Array(CACHED_WORDS << SLOT_BITS)
const strings = Array.from({ length: 1 << SLOT_BITS }, () => '')
const pending = new Int32Array(CACHED_WORDS)

// ignoreBOM: a leading U+FEFF is a character like any other, and must come back in a round trip.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

/**
 * The string in `size` bytes at `at`: UTF-8 up to the first NUL. What is no UTF-8 becomes U+FFFD.
 */
export function readString(bytes: Uint8Array, at: number, size: number): string {
  let hash = 0
  let nonAscii = 0
  let count = 0
  let i = at
  const wholeWords = at + (size & ~3)
  while (i < wholeWords && count < CACHED_WORDS) {
    const word = wordAt(bytes, i)
    // The lowest byte that is marked is the first NUL; marks above it may be wrong.
    const marks = (word - 0x01010101) & ~word & 0x80808080
    if (marks !== 0) {
      // Keeps the bytes before the NUL.
      const kept = word & (((marks & -marks) >>> 7) - 1)
      if (count === 0 && kept === 0) return ''
      return cached(bytes, at, count, kept, hash, nonAscii | kept)
    }
    nonAscii |= word
    pending[count++] = word
    hash = Math.imul(hash ^ word, 0x9e3779b1)
    hash ^= hash >>> 15
    i += 4
  }
  if (i - at === size) return cached(bytes, at, count, 0, hash, nonAscii)
  return makeString(bytes, at, lengthOf(bytes, at, size))
}

/** The string of which `count` words are pending, and `last` is the rest: zero, or one to three bytes. */
function cached(
  bytes: Uint8Array,
  at: number,
  count: number,
  last: number,
  hash: number,
  nonAscii: number,
): string {
  let length = count * 4
  if (last !== 0) {
    length += last > 0xffff ? 3 : last > 0xff ? 2 : 1
    pending[count++] = last
    hash = Math.imul(hash ^ last, 0x9e3779b1)
  }
  const slot = Math.imul(hash ^ length, 0x85ebca6b) >>> (32 - SLOT_BITS)
  const base = slot * CACHED_WORDS
  let same = 0
  while (same < count && keys[base + same] === pending[same]) same++
  // The words tell everything but what follows them: a longer string's slot begins with the same words.
  if (same === count && (count === CACHED_WORDS || keys[base + count] === 0)) return strings[slot] ?? ''
  const text = nonAscii & 0x80808080 ? decode(bytes, at, length) : fromAscii(bytes, at, length)
  for (let i = 0; i < CACHED_WORDS; i++) keys[base + i] = i < count ? (pending[i] ?? 0) : 0
  strings[slot] = text
  return text
}

function makeString(bytes: Uint8Array, at: number, length: number): string {
  if (length > CACHED_BYTES * 2) return decode(bytes, at, length)
  let all = 0
  for (let i = 0; i < length; i++) all |= bytes[at + i] ?? 0
  return all >= 0x80 ? decode(bytes, at, length) : fromAscii(bytes, at, length)
}

/** By the slice, since a TextDecoder refuses views of shared memory. */
function decode(bytes: Uint8Array, at: number, length: number): string {
  return decoder.decode(Uint8Array.prototype.slice.call(bytes, at, at + length))
}

function fromAscii(bytes: Uint8Array, at: number, length: number): string {
  let text = ''
  let i = 0
  for (; i + 4 <= length; i += 4) {
    const a = at + i
    text += String.fromCharCode(bytes[a] ?? 0, bytes[a + 1] ?? 0, bytes[a + 2] ?? 0, bytes[a + 3] ?? 0)
  }
  for (; i < length; i++) text += String.fromCharCode(bytes[at + i] ?? 0)
  return text
}

function lengthOf(bytes: Uint8Array, at: number, size: number): number {
  let length = 0
  while (length < size && bytes[at + length] !== 0) length++
  return length
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)
  )
}

/**
 * Writes a string of ASCII without NUL, and a NUL behind it where there is room.
 *
 * @returns false if the string is another, or longer than `size`; some of it may have been written then
 */
export function writeAscii(bytes: Uint8Array, at: number, size: number, text: string): boolean {
  const { length } = text
  if (length > size) return false
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0 || code >= 0x80) return false
    bytes[at + i] = code
  }
  if (length < size) bytes[at + length] = 0
  return true
}

/**
 * Writes any string as UTF-8, and a NUL behind it where there is room.
 *
 * @returns undefined if it was written, else what is wrong with it
 */
export function writeString(bytes: Uint8Array, at: number, size: number, text: string): string | undefined {
  // Before it is encoded: no string is shorter in UTF-8 than in UTF-16 units, and a huge one need not be copied.
  if (text.length > size) return `${text.length} characters do not fit ${size} bytes`
  if (text.includes('\0')) return 'a NUL would end the C string early; give a Uint8Array for bytes behind it'
  const utf8 = encoder.encode(text)
  if (utf8.length > size) return `${utf8.length} bytes of UTF-8 do not fit ${size} bytes`
  if (decoder.decode(utf8) !== text) return 'a lone surrogate has no UTF-8'
  bytes.set(utf8, at)
  if (utf8.length < size) bytes[at + utf8.length] = 0
  return undefined
}
