/** Those who wait for room in a user ring buffer. */
import { BpfError } from './errors.js'
import type { KernelWatch } from './kernel.js'
import { abortSignal } from './reader-options.js'

export interface WaitOptions {
  /** Ends the wait: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal
}

interface Waiter {
  /** @returns false: there is still no room */
  attempt(): boolean
  reject(reason: unknown): void
}

/**
 * Waiters get room in the order in which they came: a large record is not starved by small ones. The event loop stays alive while
 * somebody waits.
 */
export class DrainQueue {
  readonly #openWatch: (listener: () => void) => KernelWatch
  readonly #subject: string
  readonly #waiters: Waiter[] = []
  #watch: KernelWatch | undefined
  #closed = false

  /** @param openWatch called with the first wait */
  constructor(openWatch: (listener: () => void) => KernelWatch, subject: string) {
    this.#openWatch = openWatch
    this.#subject = subject
  }

  /** @param attempt what gives undefined as long as there is no room */
  async wait<T>(attempt: () => T | undefined, options: WaitOptions): Promise<T> {
    const signal = abortSignal(options.signal)
    signal?.throwIfAborted()
    const given = this.#waiters.length === 0 ? attempt() : undefined
    return given ?? this.#enqueue(attempt, signal)
  }

  close(): void {
    this.#closed = true
    this.#watch?.close()
    for (const waiter of this.#waiters.splice(0))
      waiter.reject(new BpfError('CLOSED', `${this.#subject} was closed`))
  }

  #enqueue<T>(attempt: () => T | undefined, signal: AbortSignal | undefined): Promise<T> {
    this.#watch ??= this.#openWatch(() => this.#serve())
    const watch = this.#watch
    return new Promise<T>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
        reject(signal?.reason)
        // The next one may want less.
        this.#serve()
      }
      const settle = (): void => signal?.removeEventListener('abort', onAbort)
      const waiter: Waiter = {
        attempt() {
          const given = attempt()
          if (given === undefined) return false
          settle()
          resolve(given)
          return true
        },
        reject(reason) {
          settle()
          reject(reason)
        },
      }
      this.#waiters.push(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
      watch.ref()
      watch.resume()
    })
  }

  #serve(): void {
    if (this.#closed) return
    for (;;) {
      const [first] = this.#waiters
      if (first === undefined) break
      if (!this.#isDone(first)) return
      this.#waiters.shift()
    }
    this.#watch?.pause()
    this.#watch?.unref()
  }

  /** Whether the first one waits no longer: it has room, or can't get any. */
  #isDone(waiter: Waiter): boolean {
    try {
      return waiter.attempt()
    } catch (error) {
      waiter.reject(error)
      return true
    }
  }
}
