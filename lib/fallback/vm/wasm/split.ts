/**
 * Functions that are too large for one WebAssembly function, in parts. Each part is a function of its own, of blocks that follow each other in
 * reverse postorder; registers wait in globals where control goes from one part to another. Any graph can be split that way.
 */
import { NONE } from './edges.js'
import { DISPATCH, HANDOVER, inOrder } from './flow-graph.js'
import type { FlowGraph } from './flow-graph.js'

/** Slots of a part, about. With all checks an instruction takes up to 60 bytes, and engines take 7 MB. */
export const SLOTS_OF_PART = 60_000

export interface Part {
  /**
   * The blocks, behind a dispatcher that leads to those that other parts go to. Where control leaves the part there is a block whose flow is
   * HANDOVER, and whose start is the number of the entry that follows.
   */
  readonly graph: FlowGraph
  /** Number of its first entry, over all parts; the function starts at entry 0. */
  readonly firstEntry: number
}

/** @returns undefined if the graph is small enough as it is */
export function split(graph: FlowGraph, length: number): readonly Part[] | undefined {
  if (length <= SLOTS_OF_PART) return undefined
  const bounds = [0]
  let slots = 0
  for (let b = 0; b < graph.count; b++) {
    const size = (graph.end[b] ?? 0) - (graph.start[b] ?? 0)
    if (slots > 0 && slots + size > SLOTS_OF_PART) {
      bounds.push(b)
      slots = 0
    }
    slots += size
  }
  const parts = bounds.map((from, i) => ({ from, to: bounds[i + 1] ?? graph.count }))
  const partOf = new Int32Array(graph.count)
  parts.forEach(({ from, to }, i) => partOf.fill(i, from, to))
  const isEntry = new Uint8Array(graph.count)
  isEntry[0] = 1
  for (let b = 0; b < graph.count; b++)
    for (const to of [graph.next[b] ?? NONE, graph.target[b] ?? NONE])
      if (to !== NONE && partOf[to] !== partOf[b]) isEntry[to] = 1
  const entryNumber = new Int32Array(graph.count)
  let entries = 0
  for (let b = 0; b < graph.count; b++) if (isEntry[b] === 1) entryNumber[b] = entries++
  return parts.map(({ from, to }) => partGraph(graph, from, to, isEntry, entryNumber))
}

function partGraph(
  graph: FlowGraph,
  from: number,
  to: number,
  isEntry: Uint8Array,
  entryNumber: Int32Array,
): Part {
  // The dispatcher comes first, then the blocks, then those that hand over.
  const blocks = to - from
  const start = [0, ...graph.start.subarray(from, to)]
  const end = [0, ...graph.end.subarray(from, to)]
  const flow = [DISPATCH, ...graph.flow.subarray(from, to)]
  const next = [NONE]
  const target = [NONE]
  const cases: number[] = []
  let firstEntry = NONE
  const handovers = new Map<number, number>()
  const turned = (block: number): number => {
    if (block === NONE) return NONE
    if (block >= from && block < to) return block - from + 1
    let handover = handovers.get(block)
    if (handover === undefined) {
      handover = 1 + blocks + handovers.size
      handovers.set(block, handover)
      start.push(entryNumber[block] ?? 0)
      end.push(entryNumber[block] ?? 0)
      flow.push(HANDOVER)
    }
    return handover
  }
  for (let b = from; b < to; b++) {
    next.push(turned(graph.next[b] ?? NONE))
    target.push(turned(graph.target[b] ?? NONE))
    if (isEntry[b] !== 1) continue
    if (firstEntry === NONE) firstEntry = entryNumber[b] ?? 0
    cases.push(b - from + 1)
  }
  const none = Array.from(handovers, () => NONE)
  return {
    firstEntry,
    graph: inOrder({
      count: start.length,
      entry: 0,
      start: Int32Array.from(start),
      end: Int32Array.from(end),
      flow: Uint8Array.from(flow),
      next: Int32Array.from([...next, ...none]),
      target: Int32Array.from([...target, ...none]),
      dispatchers: new Map([[0, { ordinal: 0, cases }]]),
      choices: new Map(),
    }),
  }
}
