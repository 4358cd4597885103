/** The example as a person runs it: a process with arguments, output and signals. `npm test` has built dist/ by now. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { describeNative } from '../support/require-kernel.js'

const MAIN = fileURLToPath(new URL('../../dist/examples/execsnoop/main.js', import.meta.url))

interface Line {
  readonly event: string
  readonly pid: number
  readonly ppid: number
  readonly uid: number
  readonly comm: string
  readonly filename?: string
  readonly args?: readonly string[]
  readonly exitCode?: number
  readonly signal?: number
  readonly durationMs?: number
  readonly reason?: string
  readonly name?: string
}

interface Ended {
  readonly code: number | null
  readonly lines: readonly Line[]
  readonly errors: string
}

type Running = ChildProcessByStdio<null, Readable, Readable>

/** Root without any capability: it may read the checkout, and may not use bpf(). */
function startUnprivileged(...args: readonly string[]): Running {
  const drop = ['--inh-caps=-all', '--bounding-set=-all']
  const env = { ...process.env, LIBBPF_NODE_KERNEL: '' }
  return spawn('setpriv', [...drop, process.execPath, MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  })
}

function start(...args: readonly string[]): Running {
  const env = { ...process.env, LIBBPF_NODE_KERNEL: '' }
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
}

async function end(child: Running): Promise<Ended> {
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const [code] = (await once(child, 'close')) as [number | null]
  const lines = output.split('\n').filter(Boolean)
  return { code, errors, lines: lines.map((line) => JSON.parse(line) as Line) }
}

/** It comes when the programs are attached. */
async function firstLine(child: Running): Promise<void> {
  await once(createInterface({ input: child.stdout }), 'line')
}

describe('execsnoop without a kernel', () => {
  it('says in its first line that processes are simulated, and why', async () => {
    const { code, lines } = await end(start('--kernel', 'fallback', '--duration', '0.1'))
    expect(code).toBe(0)
    expect(lines[0]).toMatchObject({
      event: 'kernel',
      name: 'fallback',
      reason: expect.stringMatching(/simulated.*asked for/),
    })
  })

  it('shows forks, executions and exits of a seeded scenario', async () => {
    const { lines, errors } = await end(start('--kernel', 'fallback', '--duration', '2.5', '--seed', '7'))
    const events = lines.slice(1)
    expect(events.map(({ event }) => event).slice(0, 5)).toEqual(['fork', 'exec', 'fork', 'exec', 'exit'])
    expect(events[1]).toMatchObject({ comm: 'bash', filename: '/bin/bash', args: ['bash'] })
    const [, , fork, exec, exit] = events
    expect(exec).toMatchObject({ pid: fork?.pid, ppid: 100 })
    expect(exec?.filename).toMatch(/^\/usr/)
    expect(exit?.durationMs).toBeGreaterThan(0)
    expect(errors).toMatch(/^\d+ forks, \d+ execs, \d+ exits, 0 events lost$/m)
  })

  it('plays the same scenario for the same seed', async () => {
    const [first, second] = await Promise.all(
      [1, 2].map(() => end(start('--kernel', 'fallback', '--duration', '2.5', '--seed', '42'))),
    )
    const story = (ended: Ended | undefined) =>
      ended?.lines.slice(1, 6).map(({ event, pid, comm }) => [event, pid, comm])
    expect(story(first)).toEqual(story(second))
    expect(story(first)).toHaveLength(5)
  })

  it('filters by name and by tree', async () => {
    const { lines } = await end(start('--kernel', 'fallback', '--duration', '0.5', '--name', 'bash'))
    expect(new Set(lines.slice(1).map(({ comm }) => comm))).toEqual(new Set(['bash']))
    const none = await end(start('--kernel', 'fallback', '--duration', '0.5', '--tree', '77777'))
    expect(none.lines).toHaveLength(1)
  })

  it('filters by user, by process and by duration', async () => {
    const [byUser, byPid, byDuration] = await Promise.all([
      end(start('--kernel', 'fallback', '--duration', '2.5', '--uid', '0', '--seed', '8')),
      end(start('--kernel', 'fallback', '--duration', '0.5', '--pid', '100')),
      end(start('--kernel', 'fallback', '--duration', '1.5', '--min-duration', '3600000')),
    ])
    expect(new Set(byUser.lines.slice(1).map(({ uid }) => uid))).toEqual(new Set([0]))
    expect(new Set(byPid.lines.slice(1).map(({ pid }) => pid))).toEqual(new Set([100]))
    expect(new Set(byDuration.lines.slice(1).map(({ event }) => event))).toEqual(new Set(['fork', 'exec']))
  })

  it('ends cleanly with totals at Ctrl-C', async () => {
    const child = start('--kernel', 'fallback')
    const ended = end(child)
    await firstLine(child)
    child.kill('SIGINT')
    const { code, errors } = await ended
    expect(code).toBe(0)
    expect(errors).toMatch(/events lost/)
  })

  it('ends when nobody reads its output any more', async () => {
    const child = start('--kernel', 'fallback')
    await firstLine(child)
    child.stdout.destroy()
    const [code] = (await once(child, 'exit')) as [number | null]
    expect(code).toBe(0)
  })

  it.each([
    [['--kernel', 'windows'], /Allowed choices/],
    [['--tree', '0'], /process id/],
    [['--tree', 'x'], /process id/],
    [['--duration', '-1'], /number of seconds/],
    [['--uid', '4294967295'], /user id/],
    [['surplus'], /too many arguments/],
  ])('refuses %j', async (args, message) => {
    const { code, errors } = await end(start(...args))
    expect(code).toBe(1)
    expect(errors).toMatch(message)
  })
})

describeNative('execsnoop on Linux', () => {
  it('shows the processes of a tree, and no others', async () => {
    // The tree waits until it is watched.
    const tree = spawn('sh', ['-c', 'read go; sh -c "kill -9 \\$\\$"; (exit 7); ls /nonexistent'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const child = start('--kernel', 'native', '--tree', String(tree.pid))
    const ended = end(child)
    await firstLine(child)
    tree.stdin?.end('go\n')
    await once(tree, 'close')
    await new Promise((resolve) => setTimeout(resolve, 300))
    child.kill('SIGINT')
    const { code, lines, errors } = await ended
    expect(code).toBe(0)
    expect(lines[0]).toMatchObject({ event: 'kernel', name: 'native' })
    const events = lines.slice(1)
    const exits = events.filter(({ event }) => event === 'exit')
    expect(exits.find(({ signal }) => signal === 9)?.comm).toBe('sh')
    expect(exits.some(({ exitCode, ppid }) => exitCode === 7 && ppid === tree.pid)).toBe(true)
    const ls = events.find(({ event, comm }) => event === 'exec' && comm === 'ls')
    expect(ls?.args).toEqual(['ls', '/nonexistent'])
    const family = new Set([
      tree.pid,
      ...events.filter(({ event }) => event === 'fork').map(({ pid }) => pid),
    ])
    expect(events.filter(({ pid }) => !family.has(pid))).toEqual([])
    expect(errors).toMatch(/0 events lost/)
  })

  it('names the missing capability when native is asked for without the right', async () => {
    const { code, errors } = await end(startUnprivileged('--kernel', 'native'))
    expect(code).toBe(1)
    expect(errors).toMatch(/CAP_BPF and CAP_PERFMON are missing/)
  })

  it('goes on simulated, saying which capability is missing, when nothing was asked for', async () => {
    const { code, lines } = await end(startUnprivileged('--duration', '0.1'))
    expect(code).toBe(0)
    expect(lines[0]).toMatchObject({
      name: 'fallback',
      reason: expect.stringMatching(/CAP_BPF and CAP_PERFMON are missing/),
    })
  })
})
