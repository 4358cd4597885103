/** The edges of a graph, as two flat arrays. */

/** Where there is no block. */
export const NONE = -1

/** Edges of a graph, successors and predecessors. */
export interface Edges {
  readonly count: number
  /** Successors of block b: `list[first[b]] … list[first[b + 1] - 1]`. */
  readonly first: Int32Array
  readonly list: Int32Array
}

/** Turns edges around. */
export function reverse({ count, first, list }: Edges): Edges {
  const starts = new Int32Array(count + 1)
  for (let i = 0; i < list.length; i++) {
    const behind = (list[i] ?? 0) + 1
    starts[behind] = (starts[behind] ?? 0) + 1
  }
  for (let b = 0; b < count; b++) starts[b + 1] = (starts[b + 1] ?? 0) + (starts[b] ?? 0)
  const at = starts.slice()
  const sources = new Int32Array(list.length)
  for (let b = 0; b < count; b++) {
    const end = first[b + 1] ?? 0
    for (let i = first[b] ?? 0; i < end; i++) {
      const to = list[i] ?? 0
      const place = at[to] ?? 0
      sources[place] = b
      at[to] = place + 1
    }
  }
  return { count, first: starts, list: sources }
}
