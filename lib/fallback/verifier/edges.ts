/** The control-flow graph backwards: where each instruction may be come to from, within its function. */

/** Instructions by slot, and where each leads: -1 is nowhere. */
interface Graph {
  readonly length: number
  nextOf(slot: number): number
  branchOf(slot: number): number
  isWide(slot: number): boolean
}

/** Origins of instruction i are origins[before[i]] … origins[before[i + 1] - 1]. */
export interface Edges {
  readonly before: Int32Array
  readonly origins: Int32Array
}

export function edgesOf(code: Graph): Edges {
  const { length } = code
  const before = new Int32Array(length + 2)
  const count = (to: number): void => {
    if (to >= 0) before[to + 1] = (before[to + 1] as number) + 1
  }
  for (let slot = 0; slot < length; slot++) {
    count(code.nextOf(slot))
    count(code.branchOf(slot))
    if (code.isWide(slot)) slot++
  }
  for (let i = 0; i <= length; i++) before[i + 1] = (before[i + 1] as number) + (before[i] as number)
  const free = before.slice()
  const origins = new Int32Array(before[length + 1] as number)
  const add = (from: number, to: number): void => {
    if (to < 0) return
    origins[free[to] as number] = from
    free[to] = (free[to] as number) + 1
  }
  for (let slot = 0; slot < length; slot++) {
    add(slot, code.nextOf(slot))
    add(slot, code.branchOf(slot))
    if (code.isWide(slot)) slot++
  }
  return { before, origins }
}
