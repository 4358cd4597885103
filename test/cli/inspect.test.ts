/** `libbpf-node inspect` as a person runs it. `npm test` has built dist/ by now. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = `${ROOT}dist/lib/cli/main.js`

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function run(...args: readonly string[]): Promise<Ended> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [MAIN, ...args])) }
  } catch (error) {
    return error as Ended
  }
}

describe('libbpf-node inspect', () => {
  it('shows programs, maps and globals as text', async () => {
    const { code, stdout } = await run('inspect', `${ROOT}bpf/execsnoop.bpf.o`)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^license Dual MIT\/GPL, with BTF$/m)
    expect(stdout).toMatch(/^ *handle_exec +tp_btf\/sched_process_exec +tracing +\d+ +\d+$/m)
    expect(stdout).toMatch(/^ *starts +hash +u32 \(4 B\) +u64 \(8 B\) +16384$/m)
    expect(stdout).toMatch(/^ *\.rodata +target_uid +u32 +16 +4 +4294967295$/m)
  })

  it('gives the same as JSON', async () => {
    const { stdout } = await run('inspect', '--json', `${ROOT}bpf/test/contract.bpf.o`)
    expect(JSON.parse(stdout)).toMatchObject({
      license: 'Dual MIT/GPL',
      btf: true,
      programs: expect.arrayContaining([
        expect.objectContaining({ name: 'bump', type: 'syscall', autoload: true }),
        expect.objectContaining({ name: 'optional', type: 'tracing', autoload: false }),
      ]),
      maps: expect.arrayContaining([
        expect.objectContaining({
          name: 'pairs',
          type: 'array',
          keySize: 4,
          valueSize: 24,
          valueType: 'struct pair',
        }),
        expect.objectContaining({ name: '.rodata', flags: ['BPF_F_RDONLY_PROG', 'BPF_F_MMAPABLE'] }),
      ]),
      globals: expect.arrayContaining([
        expect.objectContaining({
          section: '.rodata',
          name: 'preset',
          value: { left: -1, right: '1099511627776', label: 'preset' },
        }),
        expect.objectContaining({ section: '.data', name: 'balance', type: 's32', value: -7 }),
      ]),
    })
  })

  it('shows what is in an object without type information', async () => {
    const { code, stdout } = await run('inspect', `${ROOT}bpf/test/no_btf.bpf.o`)
    expect(code).toBe(0)
    expect(stdout).toMatch(/without BTF/)
    expect(stdout).toMatch(/^ *\.bss +array/m)
  })

  it.each([
    [['inspect', 'no-such-file.o'], /^libbpf-node: can't read the object .*ENOENT/],
    [['inspect', `${ROOT}package.json`], /^libbpf-node: .*package\.json: .*not an ELF/i],
    [['inspect'], /missing required argument/],
    [['inspekt', 'x'], /unknown command 'inspekt'/],
  ])('ends with an error for %j', async (args, message) => {
    const { code, stderr } = await run(...args)
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
  })

  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
      readonly version: string
    }
    expect((await run('--version')).stdout).toBe(`${version}\n`)
  })
})
