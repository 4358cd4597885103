/** BPF_MAP_*_BATCH: kernel/bpf/syscall.c and hashtab.c of Linux 6.18. */
import type { BatchOperation, MapBatch } from '../../kernel.js'
import { EINVAL, ENOENT, ENOSPC, ENOTSUPP } from '../errors.js'
import type { Memory } from '../memory.js'
import { u32 } from './array.js'
import type { Batches, MapStorage } from './types.js'

/** Entries that were read or done, and 0 or a negative errno. */
export interface BatchResult {
  readonly count: number
  readonly error: number
}

export function runBatch(
  memory: Memory,
  storage: MapStorage,
  operation: BatchOperation,
  batch: MapBatch,
): BatchResult {
  const { batches } = storage
  const none = { count: 0, error: ENOTSUPP }
  if (batches === undefined) return none
  if (batch.flags !== 0) return { count: 0, error: EINVAL }
  if (batch.count === 0) return { count: 0, error: 0 }
  switch (operation) {
    case 'lookup':
      return batches.part === undefined
        ? walkKeys(memory, storage, batch)
        : walkParts(memory, storage, batches.part, batch, false)
    case 'lookupAndDelete':
      return batches.part === undefined ? none : walkParts(memory, storage, batches.part, batch, true)
    case 'update':
      return each(batch, (i) => {
        const { keySize } = storage.attributes
        return storage.updateAll(batch.keys, i * keySize, batch.values, i * storage.bufferSize, 0)
      })
    case 'delete':
      return batches.removable
        ? each(batch, (i) => storage.delete(batch.keys, i * storage.attributes.keySize))
        : none
    default:
      return operation satisfies never
  }
}

function each({ count }: MapBatch, run: (index: number) => number): BatchResult {
  for (let i = 0; i < count; i++) {
    const error = run(i)
    if (error !== 0) return { count: i, error }
  }
  return { count, error: 0 }
}

/** The cursor is a part's number: a part is read as a whole, or not yet. */
function walkParts(
  memory: Memory,
  storage: MapStorage,
  part: NonNullable<Batches['part']>,
  batch: MapBatch,
  remove: boolean,
): BatchResult {
  const { keySize } = storage.attributes
  const { bufferSize } = storage
  let index = batch.first ? 0 : u32(batch.cursor, 0)
  let count = 0
  for (; ; index++) {
    const elements = part(index)
    if (elements === undefined || count + elements.length / 2 > batch.count) {
      new DataView(batch.cursor.buffer, batch.cursor.byteOffset).setUint32(0, index, true)
      return { count, error: elements === undefined ? ENOENT : count === 0 ? ENOSPC : 0 }
    }
    for (let i = 0; i < elements.length; i += 2) {
      const [key = 0, value = 0] = [elements[i], elements[i + 1]]
      batch.keys.set(memory.u8.subarray(key, key + keySize), count * keySize)
      batch.values.set(memory.u8.subarray(value, value + bufferSize), count * bufferSize)
      if (remove) storage.delete(batch.keys, count * keySize)
      count++
    }
  }
}

/** The cursor is the last key that was read. */
function walkKeys(memory: Memory, storage: MapStorage, batch: MapBatch): BatchResult {
  const { keySize } = storage.attributes
  const { bufferSize } = storage
  const next = new Uint8Array(keySize)
  let last = batch.first ? null : batch.cursor.slice(0, keySize)
  let count = 0
  for (; count < batch.count; count++) {
    const error = storage.nextKey(last, next)
    if (error !== 0) return { count, error }
    const value = storage.lookupAll(next, 0)
    batch.keys.set(next, count * keySize)
    batch.values.set(memory.u8.subarray(value, value + bufferSize), count * bufferSize)
    last = next.slice()
    batch.cursor.set(last)
  }
  return { count, error: 0 }
}
