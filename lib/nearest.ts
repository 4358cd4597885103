/** "Did you mean …": the known words nearest to one that isn't known. */

/** Past this length a word is no typing error any more; comparing it would only cost time. */
const MAX_WORD = 128

/** The candidate that was most likely meant by `word`, or undefined if none is near enough: see {@link nearestWords}. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  return nearestWords(word, candidates, 1)[0]
}

/**
 * The candidates nearest to `word`, best first: those that differ by few single-character edits (insert, delete,
 * replace, swap of neighbours), and those of which `word` is a part. Case doesn't count.
 *
 * @param limit most answers
 * @returns empty where nothing is near enough to be meant
 */
export function nearestWords(word: string, candidates: Iterable<string>, limit = 3): readonly string[] {
  const wanted = word.slice(0, MAX_WORD).toLowerCase()
  if (wanted === '') return []
  const tolerance = Math.max(1, Math.floor(wanted.length / 3))
  const scored: { readonly name: string; readonly score: number }[] = []
  const seen = new Set<string>()
  for (const name of candidates) {
    if (seen.has(name)) continue
    seen.add(name)
    const other = name.slice(0, MAX_WORD).toLowerCase()
    const distance = editDistance(wanted, other)
    if (distance <= tolerance) scored.push({ name, score: distance })
    else if (
      wanted.length >= 3 &&
      (other.includes(wanted) || (other.length >= 3 && wanted.includes(other)))
    ) {
      scored.push({ name, score: tolerance + distance })
    }
  }
  // Array.prototype.sort is stable: equally near words stay in their given order.
  scored.sort((a, b) => a.score - b.score)
  return scored.slice(0, limit).map((entry) => entry.name)
}

/**
 * A sentence for the `hint` of an error: `Did you mean 'events' or 'event'?`; or, where nothing is near, the
 * words there are, `There are: a, b, c`.
 *
 * @returns undefined if there are no candidates at all
 */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const all = [...candidates]
  const near = nearestWords(word, all)
  if (near.length > 0) return `Did you mean ${near.map((name) => `'${name}'`).join(' or ')}?`
  if (all.length === 0) return undefined
  const shown = all.slice(0, 12)
  return `There are: ${shown.join(', ')}${all.length > shown.length ? `, and ${all.length - shown.length} more` : ''}`
}

/** Damerau-Levenshtein distance (optimal string alignment) in UTF-16 units. */
export function editDistance(a: string, b: string): number {
  let previous: number[] = []
  let current = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(at(current, j) + 1, at(next, j - 1) + 1, at(current, j - 1) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, at(previous, j - 2) + 1)
      }
      next.push(best)
    }
    previous = current
    current = next
  }
  return at(current, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
