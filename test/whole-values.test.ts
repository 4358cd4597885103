import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { BtfBuilder } from '../lib/btf/builder.js'
import { parseBtf } from '../lib/btf/parse.js'
import { createCodec, type Codec } from '../lib/codec/index.js'
import { code } from './support/errors.js'
import { readWhole, writeWhole } from '../lib/whole-values.js'

function unsigned(size: number): Codec {
  const builder = new BtfBuilder()
  const id = builder.int(`u${size * 8}`, size)
  return createCodec(parseBtf(builder.finish()), id)
}

describe('a value in shared memory', () => {
  it.each([1, 2, 4, 8])('of %i bytes is written where it belongs, aligned or not', (size) => {
    const codec = unsigned(size)
    const value = size === 8 ? 0x0102030405060708n : 0x01020304 >>> (32 - 8 * size)
    for (let offset = 0; offset < 16; offset++) {
      const bytes = new Uint8Array(new ArrayBuffer(64), 8, 40)
      writeWhole(codec, value, bytes, offset)
      const expected = new Uint8Array(40)
      codec.encode(value, expected, offset)
      expect(bytes).toEqual(expected)
      expect(readWhole(codec, bytes, offset)).toBe(value)
    }
  })

  it('stays as it was when the new one is refused', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)
    for (const offset of [0, 1])
      expect(code(() => writeWhole(unsigned(4), -1, bytes, offset))).toBe('BAD_VALUE')
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9))
  })

  it('is never seen half written by another thread', async () => {
    const shared = new SharedArrayBuffer(16)
    // Counts values that are neither of the two that are written, until told to end.
    const reader = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads')
       const words = new Uint32Array(workerData), end = new Int32Array(workerData, 8)
       const seen = new Set()
       while (Atomics.load(end, 0) === 0) seen.add(Atomics.load(words, 0))
       parentPort.postMessage([...seen])`,
      { eval: true, workerData: shared },
    )
    await new Promise((resolve) => reader.once('online', resolve))
    const bytes = new Uint8Array(shared)
    const codec = unsigned(4)
    writeWhole(codec, 0x01010101, bytes, 0)
    for (let i = 0; i < 300_000; i++) writeWhole(codec, i % 2 === 0 ? 0x01010101 : 0xfefefefe, bytes, 0)
    const message = new Promise<number[]>((resolve) => reader.once('message', resolve))
    Atomics.store(new Int32Array(shared, 8), 0, 1)
    const seen = new Set(await message)
    for (const value of [0, 0x01010101, 0xfefefefe]) seen.delete(value)
    expect([...seen]).toEqual([])
  })
})
