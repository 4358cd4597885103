/** How far the check of pointers looks: it refuses what goes wrong on every path, and asks for no more. */
import { describe, expect, it } from 'vitest'
import { contextRules } from '../../lib/fallback/verifier/context-rules.js'
import { checkPointers } from '../../lib/fallback/verifier/pointers.js'
import { BpfError } from '../../lib/errors.js'
import * as bpf from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { BPF_MAP_TYPE } from '../../lib/linux/map-types.js'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'

const { mov64, mov64r, exit, jump, jumpr, load, storer, call, alu64, callLocal, lddw } = bpf
const LOOKUP = 1
const HASH = 0x1000n
const MAP = {
  name: 'h',
  type: BPF_MAP_TYPE.HASH,
  keySize: 4,
  valueSize: 8,
  maxEntries: 4,
  flags: 0,
  mapExtra: 0n,
}

/** Bytes of the context that a syscall program accesses, or the reason for which it is refused. */
function check(...code: readonly (Instruction | readonly Instruction[])[]): number | string | undefined {
  const instructions = code.flat()
  try {
    return checkPointers({
      name: 'f',
      instructions,
      programType: BPF_PROG_TYPE.SYSCALL,
      license: 'GPL',
      lines: [],
      sleepable: true,
      reached: new Uint8Array(instructions.length).fill(1),
      context: contextRules(BPF_PROG_TYPE.SYSCALL, 0, undefined),
      resolve: (low) => (BigInt(low) === HASH ? { map: MAP, offset: undefined } : undefined),
    })
  } catch (error) {
    if (error instanceof BpfError) return error.verifier?.summary
    throw error
  }
}

/** r0 = what is found under a key, or null. */
const lookUp = [...lddw(1, HASH), mov64r(2, 10), alu64('add', 2, -4), call(LOOKUP)]
const UNCHECKED = "R0 invalid mem access 'map_value_or_null'"

describe('the check of pointers', () => {
  it('measures the context, through copies, offsets and functions', () => {
    expect(check(mov64(0, 0), exit())).toBe(0)
    expect(check(load(32, 0, 1, 4), exit())).toBe(8)
    expect(check(mov64r(6, 1), alu64('add', 6, 8), load(64, 0, 6, 8), exit())).toBe(24)
    expect(check(callLocal(1), exit(), load(64, 0, 1, 32), exit())).toBe(40)
    expect(check(alu64('add', 1, -8), load(64, 0, 1, 0), exit())).toMatch(/off=-8 size=8/)
  })

  it('takes each comparison with null for a check, whichever way it is written', () => {
    expect(check(lookUp, load(64, 0, 0, 0), exit())).toBe(UNCHECKED)
    expect(check(lookUp, jump('jeq', 0, 0, 1), load(64, 0, 0, 0), exit())).toBe(0)
    expect(check(lookUp, jump('jne', 0, 0, 1), exit(), load(64, 0, 0, 0), exit())).toBe(0)
    expect(check(lookUp, mov64r(6, 0), jump('jeq', 6, 0, 1), load(64, 0, 0, 0), exit())).toBe(0)
    expect(check(mov64(7, 0), lookUp, jumpr('jeq', 0, 7, 1), load(64, 0, 0, 0), exit())).toBe(0)
    expect(check(mov64(7, 0), lookUp, jumpr('jeq', 7, 0, 1), load(64, 0, 0, 0), exit())).toBe(0)
    expect(check(lookUp, jump('jeq', 7, 0, 1), load(64, 0, 0, 0), exit())).toBe(UNCHECKED)
  })

  it('tells two look-ups apart', () => {
    const both = [...lookUp, mov64r(6, 0), ...lookUp, jump('jeq', 0, 0, 1)]
    expect(check(both, load(64, 0, 0, 0), exit())).toBe(0)
    expect(check(both, load(64, 0, 6, 0), exit())).toBe("R6 invalid mem access 'map_value_or_null'")
  })

  it('leaves alone what is one thing on one path and another on the next', () => {
    const merged = [load(64, 3, 1, 0), mov64r(2, 1), jump('jeq', 3, 5, 1), mov64(2, 7)]
    expect(check(merged, load(64, 0, 2, 64), exit())).toBe(8)
  })

  it('ends on loops', () => {
    expect(check(mov64(6, 0), alu64('add', 1, 8), jump('jlt', 6, 5, -2), mov64(0, 0), exit())).toBe(0)
  })

  it('refuses numbers as addresses, but not what a helper or the stack gives', () => {
    expect(check(load(64, 2, 1, 0), load(64, 0, 2, 0), exit())).toBe("R2 invalid mem access 'scalar'")
    expect(check(load(64, 2, 1, 0), storer(64, 2, 0, 1), exit())).toBe("R2 invalid mem access 'scalar'")
    expect(check(load(64, 2, 10, -8), load(64, 0, 2, 0), exit())).toBe(0)
    expect(check(call(158), load(64, 0, 0, 0), exit())).toBe(0)
  })
})
