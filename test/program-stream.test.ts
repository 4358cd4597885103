/** Readers of programs' streams, over a program whose stream is an array. Linux's own: test/native/program-stream.test.ts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { BpfError } from '../lib/errors.js'
import type { KernelProgram } from '../lib/kernel.js'
import { openProgramStream, type ProgramStreamOptions } from '../lib/program-stream.js'
import { code } from './support/errors.js'

const encoder = new TextEncoder()

/** What a program would have written, and a reader of it that looks often. */
function streamOf(options: ProgramStreamOptions = {}) {
  let written = new Uint8Array(0)
  const program = {
    info: { name: 'say' },
    readStream(_stream: number, into: Uint8Array) {
      const part = written.subarray(0, into.length)
      into.set(part)
      written = written.slice(part.length)
      return part.length
    },
  }
  const reader = openProgramStream(program as unknown as KernelProgram, 'stdout', { periodMs: 1, ...options })
  const write = (text: string): void => {
    written = Uint8Array.of(...written, ...encoder.encode(text))
  }
  return { reader, write }
}

describe('a reader of a program’s stream', () => {
  it('gives lines to listeners, without their line feeds', () => {
    const { reader, write } = streamOf()
    const lines: string[] = []
    reader.pause().on('event', (line) => lines.push(line))
    write('one\n\ntwo\nthr')
    expect(reader.consume()).toBe(3)
    write('ee\n')
    expect(reader.consume()).toBe(1)
    expect(lines).toEqual(['one', '', 'two', 'three'])
    reader.close()
  })

  it('gives what has no line feed when nothing follows', () => {
    const { reader, write } = streamOf()
    const lines: string[] = []
    reader.pause().on('event', (line) => lines.push(line))
    write('no end')
    expect([reader.consume(), reader.consume(), reader.consume(), reader.consume()]).toEqual([0, 0, 1, 0])
    expect(lines).toEqual(['no end'])
    reader.close()
  })

  it('cuts lines that are longer than its slab, and loses nothing', () => {
    const { reader, write } = streamOf({ batchBytes: 16, batchRecords: 2 })
    let text = ''
    reader.pause().on('event', (line) => (text += line))
    write(`${'x'.repeat(50)}\n${'ä'.repeat(3)}\n`)
    while (reader.consume() > 0);
    expect(text).toBe(`${'x'.repeat(50)}${'ä'.repeat(3)}`)
    reader.close()
  })

  it('is an async iterable that looks again by itself', async () => {
    const { reader, write } = streamOf()
    const late = sleep(20).then(() => write('later\n'))
    write('now\n')
    const lines: string[] = []
    for await (const line of reader) {
      lines.push(line)
      if (lines.length === 2) break
    }
    await late
    expect(lines).toEqual(['now', 'later'])
    expect(reader.closed).toBe(true)
  })

  it('ends with its signal', async () => {
    const controller = new AbortController()
    const { reader } = streamOf({ signal: controller.signal })
    setTimeout(() => controller.abort(), 5)
    for await (const line of reader) expect.unreachable(line)
    expect(reader.closed).toBe(true)
  })

  it('says at once where there are no streams', () => {
    const program = {
      info: { name: 'say' },
      readStream() {
        throw new BpfError('UNSUPPORTED', 'no streams')
      },
    } as unknown as KernelProgram
    expect(code(() => openProgramStream(program, 'stdout', {}))).toBe('UNSUPPORTED')
    expect(code(() => openProgramStream(program, 'stdin' as 'stdout', {}))).toBe('BAD_VALUE')
    expect(code(() => openProgramStream(program, 'stdout', { periodMs: 0 }))).toBe('BAD_VALUE')
  })
})
