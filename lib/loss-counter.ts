/** What a reader's source has lost since it was asked last: by the program's count, and by the kernel's. */
import type { DropCounter } from './drop-counter.js'
import { BpfError } from './errors.js'
import { throwLater } from './throw-later.js'

export class LossCounter {
  #counter: DropCounter | undefined
  /** What the program's counter told last. */
  #counted = 0
  /** What the kernel told last, by CPU. */
  #lost: number[] | undefined

  constructor(counter: DropCounter | undefined) {
    this.#counter = counter
  }

  /** By the program's count. */
  counted(): number {
    const total = this.#read() ?? this.#counted
    const rise = Math.max(total - this.#counted, 0)
    this.#counted += rise
    return rise
  }

  /**
   * By the kernel's count.
   *
   * @param lost what it tells now, by CPU
   * @returns what is new, by CPU; undefined: nothing
   */
  byCpu(lost: Float64Array): number[] | undefined {
    const known = (this.#lost ??= Array.from(lost, () => 0))
    let rises: number[] | undefined
    for (let cpu = 0; cpu < lost.length; cpu++) {
      const now = lost[cpu]! // cpu < lost.length
      const before = known[cpu]! // as long as `lost`
      if (now === before) continue
      rises ??= Array.from(lost, () => 0)
      // The counts start again where somebody transferred their memory away.
      rises[cpu] = now > before ? now - before : now
      known[cpu] = now
    }
    return rises
  }

  #read(): number | undefined {
    try {
      return this.#counter?.read()
    } catch (error) {
      // A function that someone gave: what it said last stays.
      this.#counter = undefined
      if (!(error instanceof BpfError && error.code === 'CLOSED')) throwLater(error)
      return undefined
    }
  }
}
