/** The native kernel at the seam: for tests of what lies below it. */
import { readFileSync } from 'node:fs'
import type { KernelObject, RecordBatch, ReaderOptions } from '../../lib/kernel.js'
import { nativeKernel } from '../../lib/native/kernel.js'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import type { ObjectFile } from '../../lib/object-file/types.js'
import { linuxIsAtLeast, SYSCALL_PROGRAMS } from './require-kernel.js'

/** An object file of which the native kernel needs the bytes only: libbpf reads the rest itself. */
export function imageOf(name: string): ObjectFile {
  const image = new Uint8Array(readFileSync(new URL(`../../bpf/test/${name}.bpf.o`, import.meta.url)))
  return {
    image,
    license: '',
    kernelVersion: 0,
    btf: undefined,
    programs: [],
    maps: [],
    text: undefined,
    externs: [],
  }
}

export function openNative(name: string): KernelObject & { close(): void } {
  return nativeKernel().openObject(imageOf(name), { name })
}

/** Programs of type `syscall` are left out where Linux has none. */
export function loadNative(name: string): KernelObject {
  const object = openNative(name)
  if (!linuxIsAtLeast(SYSCALL_PROGRAMS)) {
    for (const { name: program, type } of object.programs) {
      if (type === BPF_PROG_TYPE.SYSCALL) object.configureProgram(program, { autoload: false })
    }
  }
  object.load()
  return object
}

export function u32(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer)
}

export function readU32(bytes: Uint8Array | undefined, index = 0): number {
  if (bytes === undefined) throw new Error('no bytes')
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(index * 4, true)
}

export const RING_OPTIONS: ReaderOptions = {
  batchBytes: 64 << 10,
  batchRecords: 4096,
  floodIntervalMs: 2,
  floodWakeups: 8,
  floodPeriodMs: 1,
}

/** Runs ring_producer: `count` records of `size` bytes, numbered from `first`. @returns how many found no room */
export function produce(object: KernelObject, count: number, size = 16, first = 0): number {
  const { ctx } = object.program('produce').run({ ctx: u32(first, count, size, 0) })
  return readU32(ctx, 3)
}

/** The numbers with which the records of a batch start. */
export function numbersOf({ count, bytes, index }: RecordBatch): readonly number[] {
  return Array.from({ length: count }, (_, i) => readU32(bytes.subarray(index[2 * i])))
}

/** What `action` throws. */
export function thrownBy(action: () => unknown): Error {
  try {
    action()
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
