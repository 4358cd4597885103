/** `libbpf-node verify`: objects, or programs as JSON lines, in; verdicts out. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
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

const run = (file: string): Outcome => verify('--raw', file)

function verify(...args: readonly string[]): Outcome {
  try {
    const stdout = execFileSync(process.execPath, [command, 'verify', ...args], {
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

const object = (name: string): string => join(import.meta.dirname, `../../bpf/test/${name}.bpf.o`)

describe('of an object', () => {
  it('prints a table and why a program is refused, and fails', () => {
    const { status, stdout } = verify(object('rejected'))
    expect(status).toBe(1)
    expect(stdout).toMatch(
      /^ *careless +socket_filter +refused +EACCES +7 +0 +[\d.]+ +R0 invalid mem access/m,
    )
    expect(stdout).toMatch(/^ {2}at .*rejected\.bpf\.c:18:10 return \*value;$/m)
    expect(stdout).toMatch(/^ {2}instruction 7: r0 = \*\(u32 \*\)\(r0 \+0\)$/m)
    expect(stdout).not.toMatch(/^processed/m)
  })

  it('succeeds if the program is accepted', () => {
    const { status, stdout } = verify(object('contract'), '--program', 'bump')
    expect([status, stdout]).toEqual([0, expect.stringMatching(/bump +syscall +accepted +- +27 +1/)])
  })

  it('prints the log on demand', () => {
    const { stdout } = verify(object('rejected'), '--log-level', '1')
    expect(stdout).toMatch(/^Log of careless\n0: R1=ctx\(\) R10=fp0$/m)
  })

  it('gives JSON', () => {
    const { stdout } = verify(object('rejected'), '--json')
    expect(JSON.parse(stdout)).toMatchObject([
      { program: 'careless', accepted: false, errno: 13, explanation: { source: { line: 18, column: 10 } } },
    ])
  })

  it('gives annotations for GitHub', () => {
    const { stdout } = verify(object('rejected'), '--format', 'github')
    expect(stdout).toMatch(
      /^::error file=bpf\/test\/rejected\.bpf\.c,line=18,col=10,title=[^:]*careless[^:]*::R0 invalid mem access .*%0A/,
    )
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
  })

  it.each([
    [[], /name an object/],
    [['a.bpf.o', '--raw', 'b.jsonl'], /not both/],
    [['none.bpf.o'], /ENOENT|no such file/],
    [[object('contract'), '--program', 'bumb'], /bump/],
    [[object('contract'), '--log-level', '9'], /0 to 4/],
  ])('says what is wrong with %j', (args, message) => {
    const { status, stderr } = verify(...args)
    expect([status, stderr]).toEqual([1, expect.stringMatching(message)])
  })
})

describe('--target', () => {
  const tracing = join(import.meta.dirname, '../../bpf/test/tracing.bpf.o')
  const target = (text: string): Outcome => verify(tracing, '--program', 'replacement', '--target', text)

  it('says what an extension extends', () => {
    expect(target(`replacement=${tracing}:with_replaceable`).status).toBe(0)
    expect(target(`replacement=${tracing}:with_replaceable:with_replaceable`).status).toBe(0)
    expect(target(`replacement=${tracing}:with_replaceable:gone`).stdout).toContain("no function 'gone'")
  })

  it('has a form', () => {
    expect(target(tracing).stderr).toContain('EXTENSION=OBJECT[:PROGRAM[:FUNCTION]]')
  })
})
