/** `libbpf-node verify --raw`: programs as JSON lines in, verdicts as JSON lines out. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, it } from 'vitest'
import { exit, load, mov64 } from '../../lib/isa/build.js'
import { encode, type Instruction } from '../../lib/isa/instruction.js'

const command = join(import.meta.dirname, '../../dist/lib/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'libbpf-node-'))
afterAll(() => rmSync(folder, { recursive: true }))

const program = (id: string, code: readonly Instruction[]): string =>
  JSON.stringify({
    id,
    insns: Array.from(encode(code), (byte) => byte.toString(16).padStart(2, '0')).join(''),
    prog_type_id: 1,
    expected_attach_type: 0,
    prog_flags: 0,
    license: 'GPL',
    maps: [],
    map_refs: [],
  })

interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

function run(file: string): Outcome {
  try {
    const stdout = execFileSync(process.execPath, [command, 'verify', '--raw', file], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    return { status: 0, stdout, stderr: '' }
  } catch (error) {
    return error as Outcome
  }
}

const good = program('good', [mov64(0, 0), exit()])
const bad = program('bad', [load(64, 0, 1, 300), exit()])

it('prints a verdict for each program, and fails if one is refused', () => {
  const file = join(folder, 'two.jsonl.gz')
  writeFileSync(file, gzipSync(`${good}\n${bad}\n`))
  const { status, stdout } = run(file)
  const verdicts = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  expect(verdicts).toMatchObject([
    { id: 'good', accepted: true, errno: 0, insnsProcessed: 2 },
    { id: 'bad', accepted: false, errno: 13, insn: 0, reason: 'invalid bpf_context access off=300 size=8' },
  ])
  expect(status).toBe(1)
})

it('succeeds if all are accepted', () => {
  const file = join(folder, 'good.jsonl')
  writeFileSync(file, `${good}\n`)
  expect(run(file).status).toBe(0)
})

it.each([
  ['no JSON', '{', /bad\.jsonl:1: no JSON/],
  ['no program', '{"id":"x","insns":"0"}', /bad\.jsonl:1: a program has id, insns/],
])('says what is wrong with a line that is %s', (_what, line, message) => {
  const file = join(folder, 'bad.jsonl')
  writeFileSync(file, line)
  const { status, stderr } = run(file)
  expect([status, stderr]).toEqual([1, expect.stringMatching(message)])
})

it('says that a file is missing', () => {
  expect(run(join(folder, 'none.jsonl')).stderr).toMatch(/can't be read/)
})
