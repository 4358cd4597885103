/** Strongly connected components of the control-flow graph: the loops. */
import type { Code } from './code.js'

/** Number of the component of each instruction; 0: it is on no loop. Functions are looked at each on its own. */
export function components(code: Code): Int32Array {
  return hasBackEdges(code) ? new Search(code).component : new Int32Array(code.length)
}

/** Without a jump backwards there is no loop. */
function hasBackEdges(code: Code): boolean {
  for (let slot = 0; slot < code.length; slot++) {
    if (code.jumpsBack(slot)) return true
  }
  return false
}

/** Ways out of an instruction: straight on, and where it branches to. */
const WAYS = 2

/** Tarjan's algorithm, without recursion. */
class Search {
  readonly component: Int32Array
  /** In the order of discovery, from 1 on; 0: not seen. */
  private readonly index: Int32Array
  private readonly lowest: Int32Array
  private readonly onStack: Uint8Array
  private readonly stack: Int32Array
  private stacked = 0
  private readonly work: Int32Array
  /** Ways that were followed, of each instruction. */
  private readonly followed: Uint8Array
  private depth = 0
  private counter = 0
  private found = 0

  constructor(private readonly code: Code) {
    const { length } = code
    this.component = new Int32Array(length)
    this.index = new Int32Array(length)
    this.lowest = new Int32Array(length)
    this.onStack = new Uint8Array(length)
    this.stack = new Int32Array(length)
    this.work = new Int32Array(length)
    this.followed = new Uint8Array(length)
    for (let root = 0; root < length; root++) if (this.index[root] === 0) this.search(root)
  }

  private enter(slot: number): void {
    this.index[slot] = this.lowest[slot] = ++this.counter
    this.stack[this.stacked++] = slot
    this.onStack[slot] = 1
    this.work[this.depth++] = slot
  }

  private lower(slot: number, value: number): void {
    if (value < (this.lowest[slot] as number)) this.lowest[slot] = value
  }

  private search(root: number): void {
    const { code, followed, index, lowest, work } = this
    this.enter(root)
    while (this.depth > 0) {
      const slot = work[this.depth - 1] as number
      const way = followed[slot] as number
      if (way < WAYS) {
        followed[slot] = way + 1
        const next = way === 0 ? code.nextOf(slot) : code.branchOf(slot)
        if (next < 0 || next >= code.length) continue
        if (index[next] === 0) this.enter(next)
        else if (this.onStack[next] === 1) this.lower(slot, index[next] as number)
        continue
      }
      this.depth--
      if (this.depth > 0) this.lower(work[this.depth - 1] as number, lowest[slot] as number)
      if (lowest[slot] === index[slot]) this.close(slot)
    }
  }

  /** The instructions above one on the stack, and itself, form a component: a loop, unless it is alone and not its own successor. */
  private close(slot: number): void {
    const { code, stack, component } = this
    const alone =
      stack[this.stacked - 1] === slot && code.nextOf(slot) !== slot && code.branchOf(slot) !== slot
    if (!alone) this.found++
    for (;;) {
      const member = stack[--this.stacked] as number
      this.onStack[member] = 0
      if (!alone) component[member] = this.found
      if (member === slot) return
    }
  }
}
