/** Iterators: programs that walk over what the kernel has, and write what they find. */
import { Readable } from 'node:stream'
import { BpfError } from './errors.js'
import type { KernelIterator } from './kernel.js'
import { Link } from './link.js'

/** Bytes of one read; Linux fills its own buffer of 32 KiB at a time. */
const CHUNK = 64 << 10

/**
 * An attached iterator. Attached, it does nothing yet: each walk runs its program for every object that there is at that time.
 *
 * Lifetime: as for every link. Walks that have started go on when the link is closed.
 *
 * @example
 * using tasks = object.program('dump_task').attachIterator()
 * for await (const line of tasks.lines()) console.log(line)
 */
export class IteratorLink extends Link {
  /**
   * A walk as bytes: what the program writes with `bpf_seq_write()` and `bpf_seq_printf()`, in chunks, read off the event loop's thread.
   *
   * @param chunkBytes the most that one chunk has
   */
  async *chunks(chunkBytes: number = CHUNK): AsyncGenerator<Uint8Array, void, undefined> {
    if (!Number.isInteger(chunkBytes) || chunkBytes < 1)
      throw new BpfError('BAD_VALUE', `chunkBytes must be an integer from 1 on, not ${String(chunkBytes)}`)
    const walk = this.#start()
    try {
      for (;;) {
        const chunk = new Uint8Array(chunkBytes)
        // In order: a walk has one end.
        // oxlint-disable-next-line no-await-in-loop
        const length = await walk.readAsync(chunk)
        if (length === 0) return
        yield chunk.subarray(0, length)
      }
    } finally {
      walk.close()
    }
  }

  /** A walk as a Node stream of bytes: `link.stream().pipe(file)`. */
  stream(): Readable {
    return Readable.from(this.chunks(), { objectMode: false })
  }

  /** A walk as lines of text, without their ends. */
  async *lines(): AsyncGenerator<string, void, undefined> {
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of this.chunks()) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
    rest += decoder.decode()
    if (rest !== '') yield rest
  }

  /** A whole walk at once, before it returns: for short ones. */
  read(): Uint8Array {
    const walk = this.#start()
    try {
      const parts: Uint8Array[] = []
      let size = 0
      for (;;) {
        const chunk = new Uint8Array(CHUNK)
        const length = walk.read(chunk)
        if (length === 0) return joined(parts, size)
        parts.push(chunk.subarray(0, length))
        size += length
      }
    } finally {
      walk.close()
    }
  }

  /** Like `read()`, as text. */
  text(): string {
    return new TextDecoder().decode(this.read())
  }

  #start(): KernelIterator {
    this.assertOpen()
    return this.kernelLink.openIterator()
  }
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
