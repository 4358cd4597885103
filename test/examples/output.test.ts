/** execsnoop's table. */
import { describe, expect, it } from 'vitest'
import { Table } from '../../examples/execsnoop/output.js'
import type { ProcessEvent } from '../../examples/execsnoop/process-event.js'

/** A stand-in for a terminal (or a pipe) that keeps what is written. */
function stream(terminal: { readonly isTTY: boolean; readonly columns?: number }) {
  let text = ''
  const out = { ...terminal, write: (chunk: string) => ((text += chunk), true) }
  return { out: out as unknown as NodeJS.WriteStream, lines: () => text.split('\n').slice(0, -1) }
}

const event: ProcessEvent = {
  event: 'exec',
  time: '2026-01-02T03:04:05.006Z',
  pid: 4711,
  ppid: 1,
  uid: 0,
  comm: 'sh',
  filename: '/bin/sh',
  args: ['sh', '-c', 'echo \u001b]0;owned\u0007'],
}

describe("execsnoop's table", () => {
  it('aligns values under their titles', () => {
    const { out, lines } = stream({ isTTY: false })
    const table = new Table(out)
    table.begin({ name: 'fallback', description: 'simulated', reason: 'because' })
    table.show({ ...event, event: 'exit', durationMs: 1234.5, signal: 9 })
    const [first, titles = '', row = ''] = lines()
    expect(first).toBe('fallback kernel (simulated): because')
    for (const [title, value] of [
      ['PID', '4711'],
      ['DURATION', '1.23 s'],
      ['EXIT', 'SIGKILL'],
    ] as const) {
      const end = titles.indexOf(` ${title} `) + title.length + 1
      expect(row.slice(0, end).endsWith(value)).toBe(true)
    }
  })

  it('never passes control characters of names on to the terminal', () => {
    const { out, lines } = stream({ isTTY: false })
    new Table(out).show(event)
    expect(lines()[0]).toContain(String.raw`echo \x1b]0;owned\x07`)
  })

  it('fits lines into the terminal', () => {
    const { out, lines } = stream({ isTTY: true, columns: 40 })
    new Table(out).show(event)
    // oxlint-disable-next-line no-control-regex -- colours are what is taken away
    expect(lines()[0]?.replace(/\u001b\[\d+m/g, '')).toHaveLength(40)
  })
})
