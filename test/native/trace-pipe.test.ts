import { existsSync, readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { open, TracePipe, type BpfError, type TraceMessage } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { describeSince } from '../support/require-kernel.js'
import { mountTracefs, type Tracefs } from '../support/tracefs.js'

let mounted: Tracefs
let tracefs: string
beforeAll(async () => {
  mounted = await mountTracefs()
  tracefs = mounted.path
})
afterAll(() => mounted.close())

function print(first: number, count: number): void {
  using object = open(objectPath('test/readers'), { kernel: 'native' }).load()
  object.program('print').run({ ctx: new Uint8Array(Uint32Array.of(first, count).buffer) })
}

/** The object holds `syscall` programs: Linux 5.14. */
const describeNative = describeSince('5.14')

describeNative('a trace pipe', () => {
  it('gives what programs print, taken apart', async () => {
    using pipe = new TracePipe({ kernel: 'native', tracefs })
    const seen: TraceMessage[] = []
    pipe.on('event', (line) => seen.push(line))
    print(1, 2)
    await vi.waitFor(() => expect(seen.map(({ message }) => message)).toContain('number 1 of 2'))
    const found = seen.find(({ message }) => message === 'number 1 of 2')
    expect(found?.pid).toBeGreaterThan(0)
    expect(found?.task).not.toBe('')
    expect(found?.cpu).toBeGreaterThanOrEqual(0)
    expect(found?.ts).toBeGreaterThan(0)
    expect(found?.flags.length).toBeGreaterThanOrEqual(4)
  })

  it('has an instance of its own, and removes it', async () => {
    const before = readdirSync(`${tracefs}/instances`)
    const pipe = new TracePipe({ kernel: 'native', tracefs, instance: `libbpf-node-test-${process.pid}` })
    expect(readdirSync(`${tracefs}/instances`)).toContain(`libbpf-node-test-${process.pid}`)
    pipe.on('event', () => {})
    pipe.close()
    pipe.close()
    expect(readdirSync(`${tracefs}/instances`)).toEqual(before)
  })

  it('is iterated', async () => {
    const pipe = new TracePipe({ kernel: 'native', tracefs })
    setTimeout(() => print(7, 9), 10)
    for await (const { message } of pipe) if (message === 'number 7 of 9') break
    expect(pipe.closed).toBe(true)
  })

  it('two of them both get everything', async () => {
    using first = new TracePipe({ kernel: 'native', tracefs })
    using second = new TracePipe({ kernel: 'native', tracefs })
    const seen: string[][] = [[], []]
    first.on('event', ({ message }) => seen[0]?.push(message))
    second.on('event', ({ message }) => seen[1]?.push(message))
    print(4, 5)
    await vi.waitFor(() => {
      expect(seen[0]).toContain('number 4 of 5')
      expect(seen[1]).toContain('number 4 of 5')
    })
  })

  it('gives the command where tracefs is not mounted', () => {
    const nowhere = '/sys/kernel/no-such-place'
    expect(existsSync(nowhere)).toBe(false)
    let error: BpfError | undefined
    try {
      new TracePipe({ kernel: 'native', tracefs: nowhere }).close()
    } catch (thrown) {
      error = thrown as BpfError
    }
    expect([error?.code, error?.hint]).toEqual([
      'UNSUPPORTED',
      expect.stringContaining(`mount -t tracefs tracefs ${nowhere}`),
    ])
  })

  it('refuses a name that is no name', () => {
    expect(code(() => new TracePipe({ kernel: 'native', tracefs, instance: '../x' }))).toBe('BAD_VALUE')
  })
})
