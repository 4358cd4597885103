/** func_info and line_info that don't fit a program. Linux 6.18.44 says the same of the same. */
import { describe, expect, it } from 'vitest'
import { parseBtf } from '../../lib/btf/parse.js'
import { callLocal, exit, lddw, mov64 } from '../../lib/isa/build.js'
import { type CaseCode, outcome } from './support.js'

/** 1: int, 2: a prototype that returns it, 3: a function of that prototype. */
const btf = parseBtf(
  (() => {
    const names = new TextEncoder().encode('\0int\0f\0')
    const types = [1, 1 << 24, 4, (1 << 24) | 32, 0, 13 << 24, 1, 5, 12 << 24, 2]
    const header = [0x0001_eb9f, 24, 0, types.length * 4, types.length * 4, names.length]
    return new Uint8Array([...new Uint8Array(Uint32Array.from([...header, ...types]).buffer), ...names])
  })(),
)
const twoFunctions: CaseCode = [mov64(0, 0), callLocal(1), exit(), mov64(0, 1), exit()]
const wide: CaseCode = [lddw(1, 1n), mov64(0, 0), exit()]

type Starts = readonly (readonly [insn: number, type: number])[]

function judged(code: CaseCode, starts: Starts, lines: readonly number[] = []): string {
  return outcome(code, {
    debugInfo: {
      functions: starts.map(([insn, type]) => ({ insn, type })),
      lines: lines.map((insn) => ({ insn })),
      btf,
    },
  })
}

const both: Starts = [
  [0, 3],
  [3, 3],
]

it('fits', () => {
  expect(judged(twoFunctions, both, [0, 3])).toBe('accepted')
  expect(judged(twoFunctions, both)).toBe('accepted')
})

describe('func_info', () => {
  it.each<[Starts, string]>([
    [[[1, 3], [3, 3]], 'nonzero insn_off 1 for the first func info record'],
    [[[0, 3], [0, 3]], 'same or smaller insn offset (0) than previous func info record (0)'],
    [[[0, 2], [3, 3]], 'invalid type id 2 in func info'],
    [[[0, 9], [3, 3]], 'invalid type id 9 in func info'],
    [[[0, 3]], "number of funcs in func_info doesn't match number of subprogs"],
    [[[0, 3], [2, 3]], "func_info BTF section doesn't match subprog layout in BPF program"],
  ])('%j: %s', (starts, reason) => {
    expect(judged(twoFunctions, starts)).toBe(`-: ${reason}`)
  }) // prettier-ignore
})

describe('line_info', () => {
  it.each<[number[], string]>([
    [[0], 'missing bpf_line_info for 1 funcs starting from func#1'],
    [[1, 3], 'missing bpf_line_info for func#0'],
    [[0, 4], 'missing bpf_line_info for func#1'],
    [[0, 1, 1, 3], 'Invalid line_info[2].insn_off:1 (prev_offset:1 prog->len:5)'],
    [[0, 3, 5], 'Invalid line_info[2].insn_off:5 (prev_offset:3 prog->len:5)'],
  ])('%j: %s', (lines, reason) => {
    expect(judged(twoFunctions, both, lines)).toBe(`-: ${reason}`)
  })

  it('starts no line within an instruction', () => {
    expect(judged(wide, [[0, 3]], [0, 1])).toBe('-: Invalid insn code at line_info[1].insn_off')
  })
})
