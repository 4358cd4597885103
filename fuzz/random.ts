/** Numbers that are the same for a seed, on every machine. */
export interface Random {
  /** An integer from 0 to below `n`. */
  below(n: number): number
  /** Whether something happens that has this probability. */
  chance(probability: number): boolean
  /** One of them. @throws RangeError if there are none */
  pick<T>(from: readonly T[]): T
}

/** Mulberry32: 32 bits of state, which is enough to choose bytes. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (n: number): number => Math.floor(next() * n)
  return {
    below,
    chance: (probability) => next() < probability,
    pick(from) {
      const index = below(from.length)
      if (!(index in from)) throw new RangeError('there is nothing to pick from')
      return from[index] as (typeof from)[number]
    },
  }
}
