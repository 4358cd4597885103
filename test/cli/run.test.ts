/** `libbpf-node run --raw` as a person runs it. `npm test` has built dist/ by now. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { assemble, encode } from '../../lib/isa/index.js'

const MAIN = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stderr: string
  readonly answers: readonly Record<string, unknown>[]
}

async function run(lines: readonly unknown[], ...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, 'run', '--raw', '-', ...args])
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdin.end(lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
  const code = await new Promise<number | null>((resolve) => void child.on('close', resolve))
  const answers = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { code, stderr, answers }
}

const insns = (text: string): string => Buffer.from(encode(assemble(text))).toString('hex')

describe.each(['interpreter', 'wasm'])('libbpf-node run --raw --engine %s', (engine) => {
  const modes = [['verified', []], ['sandboxed', ['--no-verify']]] as const // prettier-ignore
  it.each(modes)('answers each line, %s', async (_name, flags) => {
    const { code, answers, stderr } = await run(
      [
        { id: 1, insns: insns('r0 = 0x123456789abcdef\nexit') },
        { id: 'sum', insns: insns('r0 = *(u8 *)(r1 +0)\nr3 = *(u8 *)(r1 +1)\nr0 += r3\n*(u16 *)(r1 +2) = r0\nexit'), memory: '02030000' },
        { id: null, insns: insns('r0 = r2\nexit'), memory: '000000' },
        { insns: insns('call 5\nr0 += 1\nexit'), helpers: { 5: '0x29' } },
        { id: 4, insns: insns('call bpf_get_smp_processor_id\nexit'), helpers: ['bpf_get_smp_processor_id'] },
        { id: 5, insns: insns('call twice\nr1 = r0\ncall twice\nexit\ntwice: r0 = r2\nr0 += r0\nr2 = r0\nexit'), memory: '00' },
      ],
      '--engine',
      engine,
      ...flags,
    ) // prettier-ignore
    expect(answers.slice(0, 5)).toEqual([
      { id: 1, r0: '123456789abcdef' },
      { id: 'sum', r0: '5', memory: '02030500' },
      { id: null, r0: '3', memory: '000000' },
      { r0: '2a' },
      { id: 4, r0: '0' },
    ])
    expect([code, stderr]).toEqual([0, ''])
  })

  it('names the instruction that traps in the sandbox', async () => {
    const { answers } = await run(
      [
        { id: 'wild', insns: insns('r0 = 0\nr0 = *(u64 *)(r1 +8)\nexit'), memory: '0000000000000000' },
        { id: 'null', insns: insns('r1 = 0\n*(u8 *)(r1 +0) = 1\nexit') },
        { id: 'for ever', insns: insns('x: goto x\nexit') },
        { id: 'alive', insns: insns('r0 = 1\nexit') },
      ],
      '--engine',
      engine,
      '--no-verify',
      '--fuel',
      '10000',
    )
    expect(answers).toEqual([
      { id: 'wild', code: 'TRAP', insn: 1, error: expect.stringContaining('out of bounds') },
      { id: 'null', code: 'TRAP', insn: 1, error: expect.stringContaining('null pointer') },
      { id: 'for ever', code: 'TRAP', insn: 0, error: expect.stringContaining('fuel') },
      { id: 'alive', r0: '1' },
    ])
  })

  it('refuses what the verifier refuses, unless told not to', async () => {
    const request = { id: 1, insns: insns('r0 = 1\ngoto pc+5\nexit') }
    expect((await run([request], '--engine', engine)).answers).toEqual([
      { id: 1, code: 'VERIFIER_REJECTED', insn: 1, error: 'jump out of range from insn 1 to 7' },
    ])
  })

  it('answers bad lines with their numbers, and goes on', async () => {
    const good = { id: 9, insns: insns('r0 = 9\nexit') }
    const { code, answers } = await run(
      ['{', '[]', '', { id: 'a' }, { id: 'b', insns: 'xyz' }, { id: 'c', insns: '95' }, { id: 'd', insns: '', helpers: ['frob'] }, { insns: 5, memory: 7 }, good],
      '--engine',
      engine,
    ) // prettier-ignore
    expect(code).toBe(0)
    expect(answers.map(({ line, id }) => [line, id])).toEqual([
      [1, undefined],
      [2, undefined],
      [4, 'a'],
      [5, 'b'],
      [undefined, 'c'],
      [7, 'd'],
      [8, undefined],
      [undefined, 9],
    ])
    expect(answers.slice(0, 7).every(({ error }) => typeof error === 'string')).toBe(true)
    expect(answers[4]).toMatchObject({ code: 'BAD_OBJECT' })
    expect(answers.at(-1)).toEqual({ id: 9, r0: '9' })
  })
})

describe('libbpf-node run', () => {
  it.each([
    [['run'], /required option '--raw <file>'/],
    [['run', '--raw', '/no/such/file'], /can't read \/no\/such\/file: ENOENT/],
    [['run', '--raw', '-', '--engine', 'frob'], /Allowed choices are .*interpreter, wasm/],
    [['run', '--raw', '-', '--fuel', '0'], /must be a positive integer/],
  ])('ends with an error for %j', async (args, message) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const code = await new Promise((resolve) => void child.on('close', resolve))
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
  })
})
