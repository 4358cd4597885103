/** Exception callbacks: nobody calls them. What Linux 6.18 said. */
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { FunctionArgument, FunctionInfo } from '../../lib/fallback/verifier/program.js'
import { verify as verifyObject, type ProgramVerdict } from '../../lib/index.js'
import * as bpf from '../../lib/isa/build.js'
import { outcome } from './support.js'

const argument = (typeName: string): FunctionArgument => ({
  kind: 'scalar',
  pointee: 'other',
  typeName,
  size: 8,
  tags: [],
})

const functions = (typeName: string): readonly FunctionInfo[] => [
  { start: 0, name: 'main', global: true, args: [], returns: 'int' },
  { start: 3, name: 'handle', global: true, args: [argument(typeName)], returns: 'int' },
]
const code = [bpf.mov64(1, 1), bpf.callLocal(1), bpf.exit(), bpf.mov64(0, 0), bpf.exit()]

it.each([
  ['the callback', ['handle'], 'unsigned long', /insn 1 cannot call exception cb directly$/],
  [
    'what may be one, where nothing tells',
    'untold',
    'unsigned long',
    /UNSUPPORTED: call of handle\(\): it may be an exception callback/,
  ],
] as const)('refuses a call of %s', (_what, exceptionCallbacks, type, reason) => {
  expect(outcome(code, { functions: functions(type), exceptionCallbacks })).toMatch(reason)
})

it('accepts calls of what surely is none', () => {
  expect(outcome(code, { functions: functions('unsigned long') })).toBe('accepted')
  expect(outcome(code, { functions: functions('long'), exceptionCallbacks: 'untold' })).toBe('accepted')
})

describe('programs of an object', () => {
  const path = fileURLToPath(new URL('../../bpf/test/exceptions.bpf.o', import.meta.url))
  const judge = (program: string): ProgramVerdict | undefined =>
    verifyObject(path, { kernel: 'fallback', program })[0]

  it.each(['throws', 'throws_uncaught'])('%s is accepted: its callback comes with it', (program) => {
    expect(judge(program)).toMatchObject({ accepted: true })
  })

  it.each([
    ['calls_callback', /^insn 6 cannot call exception cb directly$/],
    ['catches_pointer', /^Arg#0 type UNKNOWN in handle_pointer\(\) is not supported yet\.$/],
    ['catches_nowhere', /^exception callback 'nobody' could not be found in BTF$/],
  ])('%s is refused', (program, reason) => {
    expect(judge(program)).toMatchObject({ accepted: false })
    expect(judge(program)?.reason).toMatch(reason)
  })
})
