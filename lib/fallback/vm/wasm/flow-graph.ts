/**
 * The control-flow graph of one function: what can be reached from its first slot, in basic blocks.
 *
 * Blocks are numbered in reverse postorder of a depth-first walk, so that an edge to a smaller or equal number is a
 * retreating one. Everything is linear in the function's size, and nothing is recursive: programs of a million
 * instructions are compiled too.
 */
import { NONE } from './edges.js'
import type { Edges } from './edges.js'
import { FLOW } from '../slots.js'
import type { Slots } from '../slots.js'

/** Longer blocks are cut, so that a part of a large function can become a function of its own. */
const LONGEST_BLOCK = 4096

export interface FlowGraph {
  /** Blocks, the entry first. */
  readonly count: number
  /** First slot, and the one behind the last, of each block. */
  readonly start: Int32Array
  readonly end: Int32Array
  /** One of FLOW: how the block's last instruction goes on. */
  readonly flow: Uint8Array
  /** Where a branch that isn't taken, or a block without a jump, goes on; NONE. */
  readonly next: Int32Array
  /** Where a jump or taken branch leads; NONE. */
  readonly target: Int32Array
  /** Blocks of dispatch.ts: those that go where a number says, and those that set the number. */
  readonly dispatchers: ReadonlyMap<number, Dispatcher>
  readonly choices: ReadonlyMap<number, Choice>
}

export interface Dispatcher {
  /** Which of the function's dispatchers it is. */
  readonly ordinal: number
  /** Where it leads, by number. */
  readonly cases: readonly number[]
}

/** What a block without slots chooses for a dispatcher. */
export interface Choice {
  readonly ordinal: number
  readonly choice: number
}

/** Flow of a block without slots that goes where its predecessor said. */
export const DISPATCH = 5
/** Flow of a block without slots at which control goes to another part of the function: see split.ts. */
export const HANDOVER = 6

/** Scratch space for the graphs of a program's functions, one after the other. */
export class FlowGraphs {
  readonly #slots: Slots
  /** Number of the graph that reached a slot last, and the same for leaders. */
  readonly #reached: Int32Array
  readonly #leader: Int32Array
  readonly #blockAt: Int32Array
  #stamp = 0

  constructor(slots: Slots) {
    this.#slots = slots
    this.#reached = new Int32Array(slots.count + 1)
    this.#leader = new Int32Array(slots.count + 1)
    this.#blockAt = new Int32Array(slots.count + 1)
  }

  build(entry: number): FlowGraph {
    const [first, last] = this.#findLeaders(entry)
    return inOrder(this.#cut(entry, first, last))
  }

  /** Marks what can be reached, and where blocks start. @returns the first slot, and the one behind the last */
  #findLeaders(entry: number): readonly [first: number, last: number] {
    const slots = this.#slots
    const reached = this.#reached
    const leader = this.#leader
    const stamp = ++this.#stamp
    const work = [entry]
    let first = entry
    let last = entry
    leader[entry] = stamp
    for (let from = work.pop(); from !== undefined; from = work.pop()) {
      let slot = from
      let length = 0
      if (slot < first) first = slot
      for (;;) {
        if (reached[slot] === stamp) {
          leader[slot] = stamp
          break
        }
        reached[slot] = stamp
        if (++length % LONGEST_BLOCK === 0) leader[slot] = stamp
        const flow = slots.flow(slot)
        if (flow === FLOW.EXIT || flow === FLOW.TRAP) break
        if (flow === FLOW.BRANCH || flow === FLOW.JUMP) {
          const target = slots.target(slot)
          leader[target] = stamp
          if (reached[target] !== stamp) work.push(target)
          if (flow === FLOW.JUMP) break
          leader[slot + 1] = stamp
        }
        slot += slots.length(slot)
      }
      if (slot >= last) last = slot + 1
    }
    return [first, last]
  }

  /** Blocks in the order of their slots, with successors as slots. */
  #cut(entry: number, first: number, last: number): RawGraph {
    const slots = this.#slots
    const stamp = this.#stamp
    const reached = this.#reached
    const leader = this.#leader
    const blockAt = this.#blockAt
    let count = 0
    for (let slot = first; slot < last; slot++) {
      if (reached[slot] !== stamp) continue
      if (leader[slot] === stamp) blockAt[slot] = count++
      // A jump into the middle of an instruction is a trap of its own, and what stands behind isn't.
      if (reached[slot - 1] === stamp && slots.length(slot - 1) === 2) leader[slot + 1] = stamp
    }
    const start = new Int32Array(count)
    const end = new Int32Array(count)
    const flow = new Uint8Array(count)
    let block = -1
    for (let slot = first; slot < last; slot++) {
      if (reached[slot] !== stamp) continue
      if (leader[slot] === stamp) start[++block] = slot
      flow[block] = slots.flow(slot)
      end[block] = slot + (flow[block] === FLOW.TRAP ? 1 : slots.length(slot))
    }
    const next = new Int32Array(count).fill(NONE)
    const target = new Int32Array(count).fill(NONE)
    for (let b = 0; b < count; b++) {
      const kind = flow[b] ?? 0
      const behind = end[b] ?? 0
      if (kind === FLOW.NEXT || kind === FLOW.BRANCH) next[b] = blockAt[behind] ?? 0
      if (kind === FLOW.JUMP || kind === FLOW.BRANCH) target[b] = blockAt[slots.target(behind - 1)] ?? 0
    }
    const entryBlock = blockAt[entry] ?? 0
    return {
      count,
      entry: entryBlock,
      start,
      end,
      flow,
      next,
      target,
      dispatchers: new Map(),
      choices: new Map(),
    }
  }
}

/** A graph in any order. */
export interface RawGraph extends FlowGraph {
  readonly entry: number
}

/** Renumbers in reverse postorder. */
export function inOrder(raw: RawGraph): FlowGraph {
  const { count } = raw
  const numberOf = reversePostorder(raw)
  const numbered = (block: number): number => (block === NONE ? NONE : (numberOf[block] ?? 0))
  const permute = (values: Int32Array, edges: boolean): Int32Array => {
    const result = new Int32Array(count)
    for (let b = 0; b < count; b++) {
      const value = values[b] ?? NONE
      result[numberOf[b] ?? 0] = edges ? numbered(value) : value
    }
    return result
  }
  const flow = new Uint8Array(count)
  for (let b = 0; b < count; b++) flow[numberOf[b] ?? 0] = raw.flow[b] ?? 0
  const dispatchers = new Map<number, Dispatcher>()
  for (const [block, { ordinal, cases }] of raw.dispatchers)
    dispatchers.set(numbered(block), { ordinal, cases: cases.map(numbered) })
  const choices = new Map([...raw.choices].map(([block, choice]) => [numbered(block), choice] as const))
  return {
    count,
    start: permute(raw.start, false),
    end: permute(raw.end, false),
    flow,
    next: permute(raw.next, true),
    target: permute(raw.target, true),
    dispatchers,
    choices,
  }
}

/** The edges of a graph. */
export function successors({ count, next, target, dispatchers }: FlowGraph): Edges {
  const first = new Int32Array(count + 1)
  let edges = 0
  for (const { cases } of dispatchers.values()) edges += cases.length
  const list = new Int32Array(2 * count + edges)
  let at = 0
  for (let b = 0; b < count; b++) {
    first[b] = at
    const [taken, other] = [target[b] ?? NONE, next[b] ?? NONE]
    if (taken !== NONE) list[at++] = taken
    if (other !== NONE && other !== taken) list[at++] = other
    if (dispatchers.size > 0) for (const to of dispatchers.get(b)?.cases ?? []) list[at++] = to
  }
  first[count] = at
  return { count, first, list: list.subarray(0, at) }
}

/** The place of each block in reverse postorder. All blocks can be reached. */
function reversePostorder(raw: RawGraph): Int32Array {
  const { count, entry } = raw
  const { first, list } = successors(raw)
  const numberOf = new Int32Array(count).fill(NONE)
  /** Where the look at a block's successors goes on; NONE: the block wasn't seen. */
  const progress = new Int32Array(count).fill(NONE)
  const stack = new Int32Array(count)
  let depth = 0
  let left = count
  stack[depth++] = entry
  progress[entry] = first[entry] ?? 0
  while (depth > 0) {
    const block = stack[depth - 1] ?? 0
    const edge = progress[block] ?? 0
    if (edge === first[block + 1]) {
      numberOf[block] = --left
      depth--
      continue
    }
    progress[block] = edge + 1
    // The jump comes first: what falls through lies right behind its block then.
    const successor = list[edge] ?? 0
    if (progress[successor] === NONE) {
      progress[successor] = first[successor] ?? 0
      stack[depth++] = successor
    }
  }
  return numberOf
}
