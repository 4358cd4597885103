/** A map in Linux. */
import { readFileSync } from 'node:fs'
import { BpfError } from '../errors.js'
import type {
  BatchOperation,
  BatchOutcome,
  KernelLink,
  KernelMap,
  KernelProgram,
  KernelReader,
  MapBatch,
  MapDetails,
  MapInfo,
  KernelUserRing,
  PerfOptions,
  ReaderOptions,
  RecordSink,
} from '../kernel.js'
import { errno } from '../linux/errno.js'
import { BPF_MAP_TYPE } from '../linux/map-types.js'
import type { AddonBatchOutcome, AddonLink, AddonMap, AddonScratchCalls } from './addon-types.js'
import { toError } from './failure.js'
import { NativeHandle } from './native-handle.js'
import { removePin } from './pin.js'
import { NativeProgram } from './program.js'
import { openPerf, openRing } from './reader.js'
import { NativeUserRing } from './user-ring.js'

/** See `enum class BatchOperation` in native/map_batch.h. */
const BATCH_OPERATIONS: Readonly<Record<BatchOperation, { readonly number: number; readonly call: string }>> = {
  lookup: { number: 0, call: 'bpf(BPF_MAP_LOOKUP_BATCH)' },
  lookupAndDelete: { number: 1, call: 'bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH)' },
  update: { number: 2, call: 'bpf(BPF_MAP_UPDATE_BATCH)' },
  delete: { number: 3, call: 'bpf(BPF_MAP_DELETE_BATCH)' },
}
const ENOENT = errno('ENOENT')
/** There is one Linux. */
const LINUX = {}

/** What libbpf does with a struct_ops map. */
export interface StructOpsCalls {
  attach(): KernelLink
  /** Puts the map into the place of the one that the link has. */
  update(link: AddonLink): void
}

export class NativeMap extends NativeHandle implements KernelMap {
  readonly info: MapInfo
  readonly realm = LINUX
  readonly scratch: { readonly key: Uint8Array; readonly value: Uint8Array }
  readonly #handle: AddonMap
  readonly #key: Uint8Array
  readonly #value: Uint8Array
  // The functions themselves: looking them up in the addon, an object of many properties, would take as long as calling them.
  readonly #calls: AddonScratchCalls
  readonly #chosenScratch: Uint32Array
  readonly #lookupScratch: AddonScratchCalls['lookupScratch']
  readonly #updateScratch: AddonScratchCalls['updateScratch']
  readonly #deleteScratch: AddonScratchCalls['deleteScratch']
  /** Number of the scratch; 0 where the quick way isn't there: no keys, no memory that is shared with C++, or closed. */
  #quick: number
  #closed = false
  #memory: Uint8Array | undefined
  readonly #structOps: StructOpsCalls | undefined

  /**
   * @param name as the object file has it: the kernel cuts names at 15 bytes
   * @param structOps of a map of an object: libbpf knows how
   */
  constructor(calls: AddonScratchCalls, handle: AddonMap, name: string, structOps?: StructOpsCalls) {
    super()
    this.#calls = calls
    this.#chosenScratch = calls.chosenScratch
    this.#lookupScratch = calls.lookupScratch
    this.#updateScratch = calls.updateScratch
    this.#deleteScratch = calls.deleteScratch
    this.#handle = handle
    this.#structOps = structOps
    this.info = { name, ...handle.info() }
    const { keySize, bufferSize } = this.info
    const scratch = keySize === 0 ? undefined : handle.scratch()
    this.#quick = scratch?.number ?? 0
    this.#key = scratch?.bytes.subarray(0, keySize) ?? new Uint8Array(keySize)
    this.#value = scratch?.bytes.subarray(scratch.valueOffset) ?? new Uint8Array(bufferSize)
    this.scratch = { key: this.#key, value: this.#value }
  }

  get closed(): boolean {
    return this.#closed
  }

  lookup(key: Uint8Array, value: Uint8Array, flags: number): boolean {
    if (this.#choose(key, value, flags)) return this.#lookupScratch() === undefined
    return this.#handle.lookup(key, value, flags)
  }

  update(key: Uint8Array, value: Uint8Array, flags: number): void {
    if (this.#choose(key, value, flags)) this.#updateScratch()
    else this.#handle.update(key, value, flags)
  }

  delete(key: Uint8Array): boolean {
    if (this.#choose(key, this.#value, 0)) return this.#deleteScratch() === undefined
    return this.#handle.delete(key)
  }

  nextKey(key: Uint8Array | null, next: Uint8Array): boolean {
    return this.#handle.nextKey(key, next)
  }

  lookupAndDelete(key: Uint8Array, value: Uint8Array, flags: number): boolean {
    return this.#handle.lookupAndDelete(key, value, flags)
  }

  /** The kernel takes a file descriptor for the thing, of 4 bytes. */
  updateHandle(key: Uint8Array, handle: KernelMap | KernelProgram, flags: number): void {
    if (!(handle instanceof NativeMap || handle instanceof NativeProgram)) {
      throw new BpfError('BAD_VALUE', `map '${this.info.name}': '${handle.info.name}' is not in the native kernel`)
    }
    const value = new Uint8Array(this.info.bufferSize)
    new DataView(value.buffer).setInt32(0, handle.fd, true)
    this.#handle.update(key, value, flags)
  }

  batch(operation: BatchOperation, { first, cursor, keys, values, count, flags }: MapBatch): BatchOutcome {
    const { number } = BATCH_OPERATIONS[operation]
    return this.#outcome(operation, this.#handle.batch(number, first, cursor, keys, values, count, flags))
  }

  async batchAsync(operation: BatchOperation, batch: MapBatch): Promise<BatchOutcome> {
    const { first, cursor, keys, values, count, flags } = batch
    const { number } = BATCH_OPERATIONS[operation]
    const outcome = await this.#handle.batchAsync(number, first, cursor, keys, values, count, flags)
    if (operation === 'lookup' || operation === 'lookupAndDelete') {
      cursor.set(outcome.cursor)
      keys.set(outcome.keys)
      values.set(outcome.values)
    }
    return this.#outcome(operation, outcome)
  }

  freeze(): void {
    this.#handle.freeze()
  }

  pin(path: string): void {
    this.#handle.pin(path)
  }

  unpin(path: string): void {
    removePin(path)
  }

  details(): MapDetails {
    const { mapExtra, ifindex, btfId, btfKeyType, btfValueType } = this.#handle.details()
    // The kernel tells the rest through /proc only.
    const fdinfo = readFileSync(`/proc/self/fdinfo/${this.fd}`, 'latin1')
    const field = (name: string): number | undefined => {
      const text = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(fdinfo)?.[1]
      return text === undefined ? undefined : Number(text)
    }
    return {
      frozen: field('frozen') === 1,
      memlock: field('memlock'),
      mapExtra,
      ifindex,
      btfId,
      btfKeyType,
      btfValueType,
    }
  }

  duplicate(): NativeMap {
    return new NativeMap(this.#calls, this.#handle.duplicate(), this.info.name)
  }

  get fd(): number {
    return this.#handle.fd()
  }

  memory(): Uint8Array | undefined {
    // Kept: reading through the view must not cost a call of the addon.
    return (this.#memory ??= this.#handle.memory())
  }

  openRing(sink: RecordSink, options: ReaderOptions, others: readonly KernelMap[] = []): KernelReader {
    return openRing(this.#handle, sink, options, others)
  }

  openPerf(sink: RecordSink, options: PerfOptions): KernelReader {
    return openPerf(this.#handle, sink, options)
  }

  openUserRing(): KernelUserRing {
    return new NativeUserRing(this.#handle.openUserRing())
  }

  override takeLink(link: AddonLink): boolean {
    if (this.#structOps === undefined || this.info.type !== BPF_MAP_TYPE.STRUCT_OPS) return false
    this.#structOps.update(link)
    return true
  }

  attachStructOps(): KernelLink {
    if (this.#structOps !== undefined && this.info.type === BPF_MAP_TYPE.STRUCT_OPS) return this.#structOps.attach()
    throw new BpfError('BAD_VALUE', `map '${this.info.name}' is no struct_ops map of an object`)
  }

  close(): void {
    this.#closed = true
    this.#quick = 0
    this.#memory = undefined
    this.#handle.close()
  }

  /** Whether the quick way is there for these arguments; this map is chosen for it then. */
  #choose(key: Uint8Array, value: Uint8Array, flags: number): boolean {
    if (this.#quick === 0 || key !== this.#key || value !== this.#value || flags !== 0) return false
    this.#chosenScratch[0] = this.#quick
    return true
  }

  #outcome(operation: BatchOperation, { count, errno: error }: AddonBatchOutcome): BatchOutcome {
    if (error === 0) return { count, end: false, error: undefined }
    const isWalk = operation === 'lookup' || operation === 'lookupAndDelete'
    if (isWalk && error === ENOENT) return { count, end: true, error: undefined }
    const { call } = BATCH_OPERATIONS[operation]
    const subject = `map '${this.info.name}'`
    const failure = toError({ call, errno: error, subject, log: '', reason: '', expected: 0, actual: 0 })
    if (failure instanceof BpfError) return { count, end: false, error: failure }
    throw failure
  }
}
