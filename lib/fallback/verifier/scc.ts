/** Strongly connected components of the control-flow graph: the loops. */
import type { Code } from './code.js'

/**
 * Number of the component of each instruction; 0: it is on no loop. Tarjan's algorithm, without recursion.
 */
export function components(code: Code): Int32Array {
  const { length } = code
  const component = new Int32Array(length)
  const index = new Int32Array(length).fill(-1)
  const lowest = new Int32Array(length)
  const onStack = new Uint8Array(length)
  const stack: number[] = []
  let counter = 0
  let found = 0
  const successors: number[][] = Array.from({ length }, () => [])
  for (let slot = 0; slot < length; slot++) {
    code.successors(slot, (next) => {
      if (next < length) (successors[slot] as number[]).push(next)
    })
    if (code.isWide(slot)) slot++
  }
  const work: { readonly slot: number; next: number }[] = []
  const enter = (slot: number): void => {
    index[slot] = lowest[slot] = counter++
    stack.push(slot)
    onStack[slot] = 1
    work.push({ slot, next: 0 })
  }
  const lower = (slot: number, value: number): void => {
    if (value < (lowest[slot] as number)) lowest[slot] = value
  }
  for (let root = 0; root < length; root++) {
    if (index[root] !== -1) continue
    enter(root)
    for (let top = work[work.length - 1]; top !== undefined; top = work[work.length - 1]) {
      const { slot } = top
      const next = successors[slot]?.[top.next++]
      if (next !== undefined) {
        if (index[next] === -1) enter(next)
        else if (onStack[next] === 1) lower(slot, index[next] as number)
        continue
      }
      work.pop()
      const caller = work[work.length - 1]
      if (caller !== undefined) lower(caller.slot, lowest[slot] as number)
      if (lowest[slot] !== index[slot]) continue
      const alone = stack[stack.length - 1] === slot && !(successors[slot] as number[]).includes(slot)
      if (!alone) found++
      for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
        onStack[member] = 0
        if (!alone) component[member] = found
        if (member === slot) break
      }
    }
  }
  return component
}
