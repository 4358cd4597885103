/** Handles that nobody closed. `npm test` has built dist/ by now. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Runs a module with `open` and `kernel` at hand. @returns what it printed on either stream */
async function run(body: string): Promise<string> {
  const script = `
    import { open } from '${ROOT}dist/lib/index.js'
    import { createKernel } from '${ROOT}dist/lib/fallback/index.js'
    const kernel = createKernel({ clock: 'manual' })
    const load = () => open('${ROOT}bpf/test/contract.bpf.o', { kernel }).load()
    const collect = async () => { for (let i = 0; i < 20; i++) { gc(); await new Promise((r) => setTimeout(r, 5)) } }
    ${body}`
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--input-type=module',
    '-e',
    script,
  ])
  return stdout + stderr
}

describe('a handle', () => {
  it('that is collected while open warns, and goes on working', async () => {
    const output = await run(`const object = load()
       ;(() => { object.program('on_exec').attach() })()
       await collect()
       const root = kernel.tasks.spawn({ pid: 50, comm: 'root', filename: '/r', argv: ['r'] })
       object.bss.tree_root = 50
       const child = kernel.tasks.spawn({ comm: 'x', filename: '/x', argv: ['x'], parent: root })
       console.log('seen', object.bss.seen_pid === child.pid)`)
    expect(output).toMatch(/LIBBPF_NODE_LEAK.*link of program 'on_exec' .* was garbage-collected while open/)
    expect(output).toContain('seen true')
  })

  it('that was closed is collected in silence', async () => {
    const output = await run(`(() => { const o = load(); o.attach().close(); o.close() })(); await collect()`)
    expect(output).toBe('')
  })

  it('of an object stays while one of its maps is in use', async () => {
    const output = await run(`const map = (() => load().map('counters'))()
       await collect()
       map.set(1, 5n)
       console.log(map.get(1))`)
    expect(output).toBe('5n\n')
  })
})
