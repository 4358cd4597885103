/** A map that no object owns. */
import { Handle } from './handle.js'
import type { KernelMap } from './kernel.js'
import { BpfMap } from './map.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'

/** Warns of a map that is collected while it is open, as of every other handle. */
class MapHandle extends Handle {
  constructor(map: KernelMap) {
    super(map, `map '${map.info.name}'`)
  }
}

/**
 * A map that was created, or opened, without an object.
 *
 * Lifetime: until `close()` or the end of a `using` block. The kernel keeps the map itself as long as a program, a pin or another process
 * holds it.
 */
export class StandaloneMap<K = unknown, V = unknown> extends BpfMap<K, V> implements Disposable {
  readonly #handle: MapHandle

  /** @internal */
  constructor(map: KernelMap, file: ObjectFile, definition: MapDefinition | undefined) {
    const handle = new MapHandle(map)
    super(map, file, definition, handle)
    this.#handle = handle
  }

  get closed(): boolean {
    return this.#handle.closed
  }

  /** Its file descriptor, to be handed to other processes or libraries; it stays the map's. Undefined in the fallback kernel. */
  get fd(): number | undefined {
    return this.kernelMap.fd
  }

  /** Idempotent. */
  close(): void {
    this.#handle.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
