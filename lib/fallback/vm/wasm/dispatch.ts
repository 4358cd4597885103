/**
 * Irreducible graphs: loops that can be entered at more than one block. All edges to the entries of such a loop go through a dispatcher
 * then, which is its only entry and leads to where its predecessor said. Compilers hardly make such loops; `goto` can.
 */
import { dominatorTree, findLoops } from './dominators.js'
import type { DominatorTree, Loops } from './dominators.js'
import { NONE, reverse } from './edges.js'
import type { Edges } from './edges.js'
import { DISPATCH, inOrder, successors } from './flow-graph.js'
import type { FlowGraph, RawGraph } from './flow-graph.js'
import { FLOW } from '../slots.js'

/** A graph that is reducible, and what is known of it. */
export interface ReducibleGraph {
  readonly graph: FlowGraph
  readonly predecessors: Edges
  readonly tree: DominatorTree
  readonly loops: Loops
}

/** The graph itself if it is reducible; else one with dispatchers that is. */
export function dispatched(graph: FlowGraph): ReducibleGraph {
  let result = graph
  for (;;) {
    const edges = successors(result)
    const predecessors = reverse(edges)
    const tree = dominatorTree(predecessors)
    const loops = findLoops(predecessors, tree)
    if (loops !== undefined) return { graph: result, predecessors, tree, loops }
    const loop = irreducibleLoop(edges, predecessors)
    if (loop === undefined) throw new Error('a graph is irreducible, but no loop of it has two entries')
    result = withDispatcher(result, loop)
  }
}

interface IrreducibleLoop {
  readonly entries: readonly number[]
  readonly isMember: (block: number) => boolean
}

/** A loop that has several entries, an outer one before those in it, which are found when it has got its dispatcher. */
function irreducibleLoop(edges: Edges, predecessors: Edges): IrreducibleLoop | undefined {
  const { count } = edges
  /** Blocks that still belong to a loop that is looked into; heads of loops that are in order are taken out. */
  const removed = new Uint8Array(count)
  for (;;) {
    const component = components(edges, removed)
    const entries = new Map<number, number[]>()
    const sizes = new Map<number, number>()
    for (let b = 0; b < count; b++) {
      const own = component[b] ?? NONE
      if (own === NONE) continue
      sizes.set(own, (sizes.get(own) ?? 0) + 1)
      const end = predecessors.first[b + 1] ?? 0
      let isEntry = b === 0
      for (let i = predecessors.first[b] ?? 0; i < end && !isEntry; i++)
        isEntry = component[predecessors.list[i] ?? 0] !== own
      if (!isEntry) continue
      const list = entries.get(own)
      if (list === undefined) entries.set(own, [b])
      else list.push(b)
    }
    let progress = false
    for (const [own, list] of entries) {
      if ((sizes.get(own) ?? 0) < 2) continue
      if (list.length > 1) return { entries: list, isMember: (block) => component[block] === own }
      removed[list[0] ?? 0] = 1
      progress = true
    }
    if (!progress) return undefined
  }
}

/** Strongly connected components of what isn't removed, by Tarjan's algorithm with a stack of its own. NONE: removed. */
function components({ count, first, list }: Edges, removed: Uint8Array): Int32Array {
  const component = new Int32Array(count).fill(NONE)
  const order = new Int32Array(count).fill(NONE)
  const low = new Int32Array(count)
  const edge = new Int32Array(count)
  const open: number[] = []
  const path: number[] = []
  let time = 0
  const enter = (block: number): void => {
    order[block] = low[block] = time++
    edge[block] = first[block] ?? 0
    open.push(block)
    path.push(block)
  }
  for (let root = 0; root < count; root++) {
    if (removed[root] === 1 || order[root] !== NONE) continue
    enter(root)
    while (path.length > 0) {
      const block = path.at(-1) ?? 0
      const at = edge[block] ?? 0
      if (at < (first[block + 1] ?? 0)) {
        edge[block] = at + 1
        const to = list[at] ?? 0
        if (removed[to] === 1) continue
        if (order[to] === NONE) enter(to)
        else if (component[to] === NONE) low[block] = Math.min(low[block] ?? 0, order[to] ?? 0)
        continue
      }
      path.pop()
      const parent = path.at(-1)
      if (parent !== undefined) low[parent] = Math.min(low[parent] ?? 0, low[block] ?? 0)
      if (low[block] !== order[block]) continue
      for (let member = open.pop(); member !== undefined; member = open.pop()) {
        component[member] = block
        if (member === block) break
      }
    }
  }
  return component
}

/**
 * Turns all edges to the entries to a new block that leads to them. On the way each passes a block that says to which: one for edges from inside
 * the loop, and one for those from outside, or the loop would have several entries again.
 */
function withDispatcher(graph: FlowGraph, { entries, isMember }: IrreducibleLoop): FlowGraph {
  const { count } = graph
  const ordinal = graph.dispatchers.size
  const dispatcher = count
  const chooser = (choice: number, inside: boolean): number => count + 1 + 2 * choice + (inside ? 1 : 0)
  const total = count + 1 + 2 * entries.length
  const choiceOf = new Map(entries.map((entry, choice) => [entry, choice]))
  const turn = (to: number, inside: boolean): number => {
    const choice = choiceOf.get(to)
    return choice === undefined ? to : chooser(choice, inside)
  }
  const extended = (values: Int32Array): Int32Array<ArrayBuffer> => {
    const longer = new Int32Array(total).fill(NONE)
    longer.set(values)
    return longer
  }
  const [start, end] = [extended(graph.start).fill(0, count), extended(graph.end).fill(0, count)]
  const [next, target] = [extended(graph.next), extended(graph.target)]
  const flow = new Uint8Array(total).fill(FLOW.NEXT)
  flow.set(graph.flow)
  for (let b = 0; b < count; b++) {
    next[b] = turn(next[b] ?? NONE, isMember(b))
    target[b] = turn(target[b] ?? NONE, isMember(b))
  }
  const dispatchers = new Map([[dispatcher, { ordinal, cases: entries }]])
  for (const [block, { ordinal: other, cases }] of graph.dispatchers)
    dispatchers.set(block, { ordinal: other, cases: cases.map((to) => turn(to, isMember(block))) })
  flow[dispatcher] = DISPATCH
  const choices = new Map(graph.choices)
  entries.forEach((_, choice) => {
    for (const inside of [false, true]) {
      const block = chooser(choice, inside)
      next[block] = dispatcher
      choices.set(block, { ordinal, choice })
    }
  })
  return inOrder(
    withoutUnreachable({
      count: total,
      entry: turn(0, false),
      start,
      end,
      flow,
      next,
      target,
      dispatchers,
      choices,
    }),
  )
}

/** Choosers that nobody needs are left out: every block of a graph can be reached. */
function withoutUnreachable(raw: RawGraph): RawGraph {
  const { first, list } = successors(raw)
  const numberOf = new Int32Array(raw.count).fill(NONE)
  const found = [raw.entry]
  numberOf[raw.entry] = 0
  // `found` grows while it is walked.
  for (const block of found) {
    for (let i = first[block] ?? 0; i < (first[block + 1] ?? 0); i++) {
      const to = list[i] ?? 0
      if (numberOf[to] !== NONE) continue
      numberOf[to] = found.length
      found.push(to)
    }
  }
  const numbered = (block: number): number => (block === NONE ? NONE : (numberOf[block] ?? NONE))
  const pick = (values: Int32Array): Int32Array => Int32Array.from(found, (block) => values[block] ?? 0)
  return {
    count: found.length,
    entry: 0,
    start: pick(raw.start),
    end: pick(raw.end),
    flow: Uint8Array.from(found, (block) => raw.flow[block] ?? 0),
    next: pick(raw.next).map(numbered),
    target: pick(raw.target).map(numbered),
    dispatchers: new Map(
      [...raw.dispatchers].map(([block, { ordinal, cases }]) => [
        numbered(block),
        { ordinal, cases: cases.map(numbered) },
      ]),
    ),
    choices: new Map([...raw.choices].map(([block, choice]) => [numbered(block), choice])),
  }
}
