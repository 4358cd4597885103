/** What is said of a feature. */

export interface Answer {
  /** `unknown`: it can't be told, `because` says why. */
  readonly answer: 'yes' | 'no' | 'unknown'
  /** Why not, or why it can't be told: half a sentence, for people. */
  readonly because?: string
}

export const YES: Answer = { answer: 'yes' }

export function no(because?: string): Answer {
  return because === undefined ? { answer: 'no' } : { answer: 'no', because }
}

export function unknown(because: string): Answer {
  return { answer: 'unknown', because }
}

/** Remembers what a function answered, by its argument. */
export function cached<K, V>(find: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>()
  return (key) => {
    const found = known.get(key)
    if (found !== undefined) return found
    const value = find(key)
    known.set(key, value)
    return value
  }
}
