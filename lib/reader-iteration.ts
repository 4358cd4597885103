/** Async iteration that can be ended while it waits. */

/** What is iterated over. */
export interface IterationSource<T> {
  /** The next item, if it is there already. An exception ends the iteration. */
  take(): IteratorYieldResult<T> | undefined
  /** Waits until `take()` is worth another try. @returns false at the end */
  more(): Promise<boolean>
  /** The iteration is over; ends a wait of `more()`. May come more than once. */
  end(): void
}

type Result<T> = IteratorResult<T, undefined>

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/**
 * An iterator over a source.
 *
 * An async generator would queue `return()` behind a `next()` that waits for an event which may never come: a stream that is destroyed,
 * or a `Promise.race()` that was lost, would keep the reader open for good. Here `return()` ends the wait.
 */
export class ReaderIteration<T> implements AsyncIterableIterator<T, undefined, undefined> {
  readonly #source: IterationSource<T>
  /** Settled when the last `next()` is answered; undefined while none waits. */
  #waiting: Promise<unknown> | undefined
  #ended = false

  constructor(source: IterationSource<T>) {
    this.#source = source
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Result<T>> {
    if (this.#waiting === undefined) {
      try {
        const result = this.#take()
        if (result !== undefined) return Promise.resolve(result)
      } catch (error) {
        this.#end()
        return Promise.reject(error)
      }
    }
    // In the order in which they were asked for.
    const answer = this.#waiting === undefined ? this.#wait() : this.#waiting.then(() => this.#wait())
    const settled: Promise<void> = answer.then(
      () => this.#settle(settled),
      () => this.#settle(settled),
    )
    this.#waiting = settled
    return answer
  }

  return(): Promise<Result<T>> {
    this.#end()
    return Promise.resolve(DONE)
  }

  throw(error: unknown): Promise<Result<T>> {
    this.#end()
    return Promise.reject(error)
  }

  #take(): Result<T> | undefined {
    return this.#ended ? DONE : this.#source.take()
  }

  async #wait(): Promise<Result<T>> {
    try {
      for (;;) {
        const result = this.#take()
        if (result !== undefined) return result
        if (!(await this.#source.more())) break
      }
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return DONE
  }

  #settle(settled: Promise<unknown>): void {
    if (this.#waiting === settled) this.#waiting = undefined
  }

  #end(): void {
    this.#ended = true
    this.#source.end()
  }
}
