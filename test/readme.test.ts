/** README's example does what README says. */
import { readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { createKernel } from '../lib/fallback/index.js'
import { open } from '../lib/open.js'
import { objectPath } from './support/kernels.js'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const source = readFileSync(new URL('../bpf/test/counter.bpf.c', import.meta.url), 'utf8')

/** The text of README's fenced blocks of a language. */
function blocks(language: string): readonly string[] {
  return Array.from(
    readme.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm')),
    ([, text = '']) => text,
  )
}

describe("README's example", () => {
  it('shows the BPF program that is tested', () => {
    const [program = ''] = blocks('c')
    // The tested one takes the few types that it needs from elsewhere.
    const own = program.replace(/^#include "vmlinux\.h".*$/m, '#include "kernel_types.h"')
    const withoutBlanks = (text: string) => text.split('\n').filter((line) => line.trim() !== '')
    expect(withoutBlanks(source)).toEqual(expect.arrayContaining(withoutBlanks(own)))
    expect(withoutBlanks(source).slice(2)).toEqual(withoutBlanks(own))
  })

  it('counts and reports executions of one user', async () => {
    const kernel = createKernel({ clock: 'manual', seed: 1 })
    const spec = open(objectPath('test/counter'), { kernel })
    spec.rodata['only_uid'] = 1000
    using object = spec.load()
    using _links = object.attach()
    using events = object.map('events').ringBuffer<{ pid: number; comm: string }>({ type: 'event' })
    const seen: string[] = []
    events.on('event', ({ comm }) => seen.push(comm))
    kernel.tasks.spawn({ comm: 'curl', uid: 1000, filename: '/usr/bin/curl', argv: ['curl'] })
    kernel.tasks.spawn({ comm: 'cron', uid: 0, filename: '/usr/sbin/cron', argv: ['cron'] })
    await vi.waitFor(() => expect(seen).toEqual(['curl']))
    expect(object.bss['execs']).toBe(1n)
  })
})
