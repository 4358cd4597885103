/** Which kernel `open()` takes. `npm test` has built dist/ by now. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { describeNative } from './support/require-kernel.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

interface Outcome {
  readonly stdout: string
  readonly stderr: string
}

const WITHOUT_CAPABILITIES = ['setpriv', '--inh-caps=-all', '--bounding-set=-all']

/** Opens execsnoop and prints the kernel's name, or the error's code. */
async function choose(options: string, variable = '', prefix: readonly string[] = []): Promise<Outcome> {
  const script = `
    import { open } from '${ROOT}dist/lib/index.js'
    for (let i = 0; i < 2; i++) try {
      using: { const spec = open('${ROOT}bpf/execsnoop.bpf.o', ${options}); console.log(spec.kernel.name); spec.close() }
    } catch (error) { console.log(error.code, error.message) }`
  const words = [...prefix, process.execPath, '--input-type=module', '-e', script]
  const [command = '', ...args] = words
  return promisify(execFile)(command, args, { env: { ...process.env, LIBBPF_NODE_KERNEL: variable } })
}

describe('open()', () => {
  it('takes the fallback where it is asked for, without a word', async () => {
    expect(await choose(`{ kernel: 'fallback' }`)).toEqual({ stdout: 'fallback\nfallback\n', stderr: '' })
  })

  it('takes the environment for a default', async () => {
    expect((await choose('{}', 'fallback')).stdout).toBe('fallback\nfallback\n')
    expect((await choose(`{ kernel: 'auto' }`, 'fallback')).stdout).toBe('fallback\nfallback\n')
  })

  it('refuses kernels that it does not know', async () => {
    expect((await choose(`{ kernel: 'windows' }`)).stdout).toMatch(
      /^BAD_VALUE option kernel must be one of auto, native, fallback/,
    )
    expect((await choose('{}', 'windows')).stdout).toMatch(
      /^BAD_VALUE environment variable LIBBPF_NODE_KERNEL/,
    )
  })
})

describeNative('open() on Linux', () => {
  it('takes Linux where that can be had', async () => {
    expect(await choose('{}')).toEqual({ stdout: 'native\nnative\n', stderr: '' })
  })

  it('takes the fallback without the right, and warns once with the reason', async () => {
    const { stdout, stderr } = await choose('{}', '', WITHOUT_CAPABILITIES)
    expect(stdout).toBe('fallback\nfallback\n')
    expect(stderr.match(/LIBBPF_NODE_FALLBACK/g)).toHaveLength(1)
    expect(stderr).toMatch(/simulated kernel, not in Linux: .*CAP_BPF and CAP_PERFMON are missing/)
  })

  it('never simulates what was to be native', async () => {
    const { stdout } = await choose(`{ kernel: 'native' }`, 'fallback', WITHOUT_CAPABILITIES)
    expect(stdout).toMatch(/^NO_NATIVE_KERNEL .*CAP_BPF and CAP_PERFMON are missing/)
  })
})
