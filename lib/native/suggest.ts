/** Suggestions out of long lists: functions of the kernel, symbols of a library. */
import { nearestWords } from '../nearest.js'

/** A hint of words that may have been meant; undefined for none. */
export function didYouMeanHint(words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined
  return `Did you mean ${words.map((word) => `'${word}'`).join(' or ')}?`
}

/**
 * The words of a long list that may have been meant. Only those of like length, or with the word in them, are looked at closely: comparing
 * 200,000 names takes a second.
 */
export function nearestOfMany(word: string, candidates: Iterable<string>): readonly string[] {
  const room = Math.max(1, Math.floor(word.length / 3))
  const first = word.slice(0, 1)
  const like: string[] = []
  for (const name of candidates) {
    const isLike = Math.abs(name.length - word.length) <= room && (name.startsWith(first) || name.endsWith(word.slice(-3)))
    if (isLike || (word.length >= 4 && name.includes(word))) like.push(name)
  }
  return nearestWords(word, like)
}

/** Whether a name has `*` or `?` in it. */
export function isPattern(text: string): boolean {
  return /[*?]/.test(text)
}

/** `*` stands for any text, `?` for one character: libbpf's patterns. */
export function matcher(pattern: string): (name: string) => boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')
  const expression = new RegExp(`^${escaped}$`)
  return (name) => expression.test(name)
}
