/**
 * Structured control flow from a graph: Ramsey, "Beyond Relooper" (2022), with two changes. What follows a loop is placed behind it,
 * not inside, so that loops in a row don't nest; and of two arms the smaller one is nested, so that chains of `else if` don't.
 *
 * The walk keeps its own stack: no graph is too deep for it.
 */
import type { CodeBuffer } from './code-buffer.js'
import type { ReducibleGraph } from './dispatch.js'
import type { DominatorTree, Loops } from './dominators.js'
import { NONE } from './edges.js'
import type { Edges } from './edges.js'
import { DISPATCH, HANDOVER } from './flow-graph.js'
import type { FlowGraph } from './flow-graph.js'
import { TYPE, WASM } from './opcodes.js'
import { FLOW } from '../slots.js'

/** Code of single blocks. */
export interface BlockEmitter {
  /** Everything but the jump at the end. @param level constructs around it */
  body(block: number, isLoopHead: boolean, level: number): void
  /** Leaves an i32 that isn't 0 where the block's branch is taken, or where it isn't. */
  condition(block: number, inverted: boolean): void
  /** The end of a block that leaves the function. */
  leave(block: number): void
  /** Leaves the number of the case that a dispatcher goes on at. */
  chosen(ordinal: number): void
}

const END = -1

/** Writes the code of a function, without its last `end`. */
export function emitStructured(reducible: ReducibleGraph, out: CodeBuffer, blocks: BlockEmitter): void {
  new Structurer(reducible, out, blocks).run()
}

class Structurer {
  readonly #graph: FlowGraph
  readonly #tree: DominatorTree
  readonly #loops: Loops
  readonly #out: CodeBuffer
  readonly #blocks: BlockEmitter
  /** Blocks that are branched to; all others have one predecessor and come right behind it. */
  readonly #labelled: Uint8Array
  /** Lists of labelled blocks, ascending: those behind a block's code, and those behind the loop that it is the head of. */
  readonly #merges: Int32Array
  readonly #followers: Int32Array
  readonly #sibling: Int32Array
  /** Blocks that each one dominates. */
  readonly #size: Int32Array
  /** Constructs around a label, and around a loop. */
  readonly #labelLevel: Int32Array
  readonly #loopLevel: Int32Array
  #level = 0
  /** What is to be written, last first: blocks, and END. */
  readonly #work: Int32Array
  #planned = 0

  constructor({ graph, predecessors, tree, loops }: ReducibleGraph, out: CodeBuffer, blocks: BlockEmitter) {
    const { count } = graph
    this.#graph = graph
    this.#tree = tree
    this.#loops = loops
    this.#out = out
    this.#blocks = blocks
    this.#labelled = new Uint8Array(count)
    this.#merges = new Int32Array(count).fill(NONE)
    this.#followers = new Int32Array(count).fill(NONE)
    this.#sibling = new Int32Array(count).fill(NONE)
    this.#labelLevel = new Int32Array(count)
    this.#loopLevel = new Int32Array(count)
    this.#size = new Int32Array(count).fill(1)
    // A block adds two items as a label, one as a head, and three where it branches.
    this.#work = new Int32Array(6 * count + 1)
    for (let b = count - 1; b > 0; b--) this.#place(b, predecessors)
  }

  /** Finds where a block goes. */
  #place(block: number, { first, list }: Edges): void {
    const parent = this.#tree.parent[block] ?? 0
    this.#size[parent] = (this.#size[parent] ?? 0) + (this.#size[block] ?? 0)
    const { isHead, innermost, outer } = this.#loops
    const around = (isHead[block] === 1 ? outer[block] : innermost[block]) ?? NONE
    let left = NONE
    for (let loop = innermost[parent] ?? NONE; loop !== around && loop !== NONE; loop = outer[loop] ?? NONE)
      left = loop
    let forward = 0
    const end = first[block + 1] ?? 0
    for (let i = first[block] ?? 0; i < end && forward < 2; i++) if ((list[i] ?? 0) < block) forward++
    if (forward < 2 && left === NONE && this.#graph.flow[parent] !== DISPATCH) return
    this.#labelled[block] = 1
    const lists = left === NONE ? this.#merges : this.#followers
    const owner = left === NONE ? parent : left
    this.#sibling[block] = lists[owner] ?? NONE
    lists[owner] = block
  }

  run(): void {
    this.#plan(0)
    while (this.#planned > 0) {
      const item = this.#work[--this.#planned] ?? 0
      if (item === END) {
        this.#out.op(WASM.END)
        this.#level--
      } else this.#emit(item)
    }
    // Every way ends in a return; the validator can't know.
    this.#out.op(WASM.UNREACHABLE)
  }

  #emit(block: number): void {
    const isHead = this.#loops.isHead[block] === 1
    this.#openLabels(this.#followers[block] ?? NONE)
    if (isHead) {
      this.#plan(END)
      this.#loopLevel[block] = this.#level
      this.#open(WASM.LOOP)
    }
    this.#openLabels(this.#merges[block] ?? NONE)
    this.#blocks.body(block, isHead, this.#level)
    this.#leave(block)
  }

  /** Opens a block around each label of a list, the last one outermost, and plans what follows their ends. */
  #openLabels(list: number): void {
    let labels = 0
    for (let label = list; label !== NONE; label = this.#sibling[label] ?? NONE) labels++
    if (labels === 0) return
    const planned = this.#planned
    let rank = labels
    this.#planned += 2 * labels
    for (let label = list; label !== NONE; label = this.#sibling[label] ?? NONE) {
      rank--
      this.#labelLevel[label] = this.#level + rank
      // From the top of the stack: the end of the first label, its block, the end of the second …
      this.#work[planned + 2 * rank + 1] = END
      this.#work[planned + 2 * rank] = label
    }
    for (let i = 0; i < labels; i++) this.#open(WASM.BLOCK)
  }

  #plan(item: number): void {
    this.#work[this.#planned++] = item
  }

  #open(opcode: number): void {
    this.#out.open(opcode, TYPE.EMPTY)
    this.#level++
  }

  #leave(block: number): void {
    const { flow, next, target } = this.#graph
    const other = next[block] ?? NONE
    const taken = target[block] ?? NONE
    switch (flow[block]) {
      case FLOW.EXIT:
      case FLOW.TRAP:
      case HANDOVER:
        return this.#blocks.leave(block)
      case DISPATCH:
        return this.#dispatch(block)
      case FLOW.BRANCH:
        return other === taken ? this.#goTo(block, other) : this.#branch(block, taken, other)
      default:
        this.#goTo(block, taken === NONE ? other : taken)
    }
  }

  #branch(block: number, taken: number, other: number): void {
    const out = this.#out
    if (!this.#isInline(block, taken)) {
      this.#blocks.condition(block, false)
      out.opIndex(WASM.BR_IF, this.#distance(block, taken))
      return this.#goTo(block, other)
    }
    if (!this.#isInline(block, other)) {
      this.#blocks.condition(block, true)
      out.opIndex(WASM.BR_IF, this.#distance(block, other))
      return this.#goTo(block, taken)
    }
    const inverted = (this.#size[taken] ?? 0) > (this.#size[other] ?? 0)
    this.#blocks.condition(block, inverted)
    this.#open(WASM.IF)
    this.#plan(inverted ? taken : other)
    this.#plan(END)
    this.#plan(inverted ? other : taken)
  }

  #dispatch(block: number): void {
    const { ordinal = 0, cases = [] } = this.#graph.dispatchers.get(block) ?? {}
    this.#blocks.chosen(ordinal)
    this.#out.opIndex(WASM.BR_TABLE, cases.length - 1)
    for (const to of cases) this.#out.unsigned(this.#distance(block, to))
  }

  #goTo(from: number, to: number): void {
    if (this.#isInline(from, to)) this.#plan(to)
    else this.#out.opIndex(WASM.BR, this.#distance(from, to))
  }

  #isInline(from: number, to: number): boolean {
    return to > from && this.#labelled[to] === 0
  }

  /** Constructs between here and the one that a branch leaves or repeats. */
  #distance(from: number, to: number): number {
    const level = (to <= from ? this.#loopLevel[to] : this.#labelLevel[to]) ?? 0
    return this.#level - 1 - level
  }
}
