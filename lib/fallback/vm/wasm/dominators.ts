/**
 * Dominators and loops of a flow graph whose blocks are numbered in reverse postorder.
 *
 * One pass finds the immediate dominators of a reducible graph: forward predecessors come first, and a retreating edge
 * adds nothing, as its target dominates its source. Common ancestors are found through skip pointers (Myers, "An
 * applicative random-access stack"), in logarithmic time: a common exit of a hundred thousand blocks stays cheap.
 */
import { NONE } from './edges.js'
import type { Edges } from './edges.js'

export interface DominatorTree {
  /** Immediate dominators; NONE for the entry. */
  readonly parent: Int32Array
  readonly depth: Int32Array
  readonly skip: Int32Array
}

export function dominatorTree({ count, first, list }: Edges): DominatorTree {
  const parent = new Int32Array(count).fill(NONE)
  const depth = new Int32Array(count)
  const skip = new Int32Array(count)
  const tree = { parent, depth, skip }
  for (let b = 1; b < count; b++) {
    let dominator = NONE
    const end = first[b + 1] ?? 0
    for (let i = first[b] ?? 0; i < end; i++) {
      const from = list[i] ?? 0
      if (from < b) dominator = dominator === NONE ? from : commonAncestor(tree, dominator, from)
    }
    parent[b] = dominator
    depth[b] = (depth[dominator] ?? 0) + 1
    const over = skip[dominator] ?? 0
    const farther = skip[over] ?? 0
    const same = (depth[dominator] ?? 0) - (depth[over] ?? 0) === (depth[over] ?? 0) - (depth[farther] ?? 0)
    skip[b] = same ? farther : dominator
  }
  return tree
}

function commonAncestor(tree: DominatorTree, a: number, b: number): number {
  const { parent, depth, skip } = tree
  let x = a
  let y = b
  if ((depth[x] ?? 0) < (depth[y] ?? 0)) [x, y] = [y, x]
  x = ancestorAt(tree, x, depth[y] ?? 0)
  while (x !== y) {
    if (skip[x] !== skip[y]) {
      x = skip[x] ?? 0
      y = skip[y] ?? 0
    } else {
      x = parent[x] ?? 0
      y = parent[y] ?? 0
    }
  }
  return x
}

function ancestorAt({ parent, depth, skip }: DominatorTree, block: number, level: number): number {
  let at = block
  while ((depth[at] ?? 0) > level) {
    const far = skip[at] ?? 0
    at = (depth[far] ?? 0) >= level ? far : (parent[at] ?? 0)
  }
  return at
}

export function dominates(tree: DominatorTree, a: number, b: number): boolean {
  return a <= b && ancestorAt(tree, b, tree.depth[a] ?? 0) === a
}

export interface Loops {
  /** 1 for the head of a loop. */
  readonly isHead: Uint8Array
  /** Head of the innermost loop that a block is in, a head in its own; NONE. */
  readonly innermost: Int32Array
  /** For a head: the head of the loop around its own; NONE. */
  readonly outer: Int32Array
}

/**
 * The loops of a graph, by walking back from the sources of retreating edges, inner loops first. @returns undefined if the graph is
 * irreducible: a loop can be entered beside its head
 */
export function findLoops(predecessors: Edges, tree: DominatorTree): Loops | undefined {
  const { count, first, list } = predecessors
  const isHead = new Uint8Array(count)
  const innermost = new Int32Array(count).fill(NONE)
  const outer = new Int32Array(count).fill(NONE)
  /** Outermost loop known so far around a block or head: union-find, so that inner loops are stepped over. */
  const around = new Int32Array(count).fill(NONE)
  const outermost = (block: number): number => {
    let top = block
    while ((around[top] ?? NONE) !== NONE) top = around[top] ?? NONE
    for (let at = block; at !== top;) {
      const up = around[at] ?? NONE
      around[at] = top
      at = up
    }
    return top
  }
  const work: number[] = []
  for (let head = count - 1; head >= 0; head--) {
    const end = first[head + 1] ?? 0
    for (let i = first[head] ?? 0; i < end; i++) {
      const from = list[i] ?? 0
      if (from < head) continue
      if (!dominates(tree, head, from)) return undefined
      isHead[head] = 1
      work.push(from)
    }
    if (isHead[head] !== 1) continue
    innermost[head] = head
    for (let from = work.pop(); from !== undefined; from = work.pop()) {
      const member = outermost(from)
      if (member === head) continue
      around[member] = head
      if (isHead[member] === 1) outer[member] = head
      else innermost[member] = head
      const last = first[member + 1] ?? 0
      for (let i = first[member] ?? 0; i < last; i++) {
        const before = list[i] ?? 0
        // Retreating edges to an inner head come from inside its loop.
        if (outermost(before) !== head) work.push(before)
      }
    }
  }
  return { isHead, innermost, outer }
}
