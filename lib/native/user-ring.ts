/** The producer of a user ring buffer in Linux. */
import type { KernelUserRing, KernelWatch, ReaderOptions } from '../kernel.js'
import type { AddonUserRing } from './addon-types.js'
import { pumpArguments } from './reader.js'

/** A drain is a record without bytes; however many there were, the ring is looked at once. */
const ONE_AT_A_TIME: ReaderOptions = {
  batchBytes: 8,
  batchRecords: 1,
  floodIntervalMs: 0,
  floodWakeups: 0,
  floodPeriodMs: 0,
}

export class NativeUserRing implements KernelUserRing {
  readonly #handle: AddonUserRing

  constructor(handle: AddonUserRing) {
    this.#handle = handle
  }

  reserve(size: number): number {
    return this.#handle.reserve(size)
  }

  submit(reservation: number, bytes: Uint8Array): void {
    this.#handle.submit(reservation, bytes)
  }

  discard(reservation: number): void {
    this.#handle.discard(reservation)
  }

  output(bytes: Uint8Array): boolean {
    return this.#handle.output(bytes)
  }

  watchDrains(listener: () => void): KernelWatch {
    return this.#handle.openDrains(...pumpArguments(listener, ONE_AT_A_TIME))
  }

  close(): void {
    this.#handle.close()
  }
}
