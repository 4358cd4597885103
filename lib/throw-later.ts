/** Exceptions of those whom a reader calls: they are theirs, and keep nothing from others. */

/** A listener's exception becomes an uncaught exception of its own, and keeps no other event from its listeners. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

export function guarded(emit: () => void): void {
  try {
    emit()
  } catch (error) {
    throwLater(error)
  }
}
