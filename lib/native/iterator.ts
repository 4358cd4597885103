/** A walk of an iterator in Linux: a file that runs its program while it is read. */
import { close, closeSync, read, readSync } from 'node:fs'
import { promisify } from 'node:util'
import { BpfError, systemError } from '../errors.js'
import type { KernelIterator } from '../kernel.js'
import { errno } from '../linux/errno.js'

const readLater = promisify(read)

export class NativeIterator implements KernelIterator {
  readonly #subject: string
  #fd: number | undefined
  /** Reads on other threads, which must end before the descriptor is closed. */
  #pending = 0

  /** @param fd is closed by this */
  constructor(fd: number, subject: string) {
    this.#fd = fd
    this.#subject = subject
  }

  read(into: Uint8Array): number {
    const fd = this.#open()
    for (;;) {
      try {
        return readSync(fd, into, 0, into.length, null)
      } catch (error) {
        this.#rethrow(error)
      }
    }
  }

  async readAsync(into: Uint8Array): Promise<number> {
    const fd = this.#open()
    this.#pending++
    try {
      for (;;) {
        try {
          // One after the other: a retry, not a series.
          // oxlint-disable-next-line no-await-in-loop
          const { bytesRead } = await readLater(fd, into, 0, into.length, null)
          return bytesRead
        } catch (error) {
          this.#rethrow(error)
        }
      }
    } finally {
      this.#pending--
      if (this.#pending === 0 && this.#fd === undefined) close(fd)
    }
  }

  close(): void {
    const fd = this.#fd
    this.#fd = undefined
    if (fd !== undefined && this.#pending === 0) closeSync(fd)
  }

  #open(): number {
    if (this.#fd === undefined) throw new BpfError('CLOSED', `${this.#subject} was closed`)
    return this.#fd
  }

  /** Linux gives up with EAGAIN after a million objects of which the program wrote nothing: it goes on when it is asked again. */
  #rethrow(error: unknown): void {
    const { code, errno: negative = -errno('EIO') } = error as NodeJS.ErrnoException
    if (code === 'EAGAIN') return
    const hint =
      code === 'E2BIG' ? 'The program writes more for one object than the kernel has room for: 8 pages, or 32 KiB' : undefined
    throw systemError('read', -negative, this.#subject, { cause: error, ...(hint !== undefined && { hint }) })
  }
}
