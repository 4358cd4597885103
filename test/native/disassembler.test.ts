/** The kernel's verifier log is the disassembler's judge: same instruction, same text. */
import { expect, it } from 'vitest'
import { assemble, disassembleProgram } from '../../lib/isa/index.js'
import type { Instruction } from '../../lib/isa/index.js'
import { end, instruction } from '../../lib/isa/build.js'
import { MOV_OFFSET, OPCODES } from '../../lib/isa/opcodes.js'
import { BpfError } from '../../lib/errors.js'
import { open } from '../../lib/open.js'
import { RAW_PROGRAM, rawObject } from '../support/raw-object.js'
import { describeSince, linuxIsAtLeast } from '../support/require-kernel.js'

/** All kinds of operands, where they need no map. The kernel may refuse a program: what it printed until then counts. */
const PROGRAMS: readonly string[] = [
  `r6 = r1
   r0 = *(u8 *)skb[12]
   r7 = 3
   r0 = *(u16 *)skb[r7 + -3]
   r0 = *(u32 *)skb[-4096]
   r1 = 0x5
   r1 = 0x123456789abcdef0
   r1 = 0xffffffff
   w1 = -1
   r2 = (s8)r1
   w2 = (s16)w1
   r2 = (s32)r1
   r1 = -r1
   w1 = -w1
   r1 = be16 r1
   r1 = le64 r1
   r1 = bswap32 r1
   r0 = 0
   exit`,
  `*(u64 *)(r10 -8) = 5
   *(u8 *)(r10 -16) = -3
   r2 = -1
   *(u32 *)(r10 -16) = r2
   *(u64 *)(r10 -16) = r2
   r3 = *(u64 *)(r10 -8)
   r3 = *(s32 *)(r10 -8)
   r3 = *(s8 *)(r10 -1)
   lock *(u64 *)(r10 -8) += r2
   lock *(u32 *)(r10 -8) |= r2
   lock *(u64 *)(r10 -8) &= r2
   lock *(u32 *)(r10 -8) ^= r2
   r2 = atomic64_fetch_add((u64 *)(r10 -8), r2)
   r2 = atomic_fetch_or((u32 *)(r10 -8), r2)
   r2 = atomic64_fetch_and((u64 *)(r10 -8), r2)
   r2 = atomic_fetch_xor((u32 *)(r10 -8), r2)
   r2 = atomic64_xchg((u64 *)(r10 -8), r2)
   r0 = 1
   r0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r2)
   r0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r2)
   r2 = load_acquire((u32 *)(r10 -8))
   store_release((u8 *)(r10 -8), r2)
   r0 = 0
   exit`,
  `call bpf_get_prandom_u32#7
   r6 = r0
   call bpf_ktime_get_ns#5
   may_goto pc+1
   goto pc+0
   gotol pc+0
   call sub
   r0 = 0
   exit
   sub: r0 = 5
   exit`,
  'call unknown#999\nr0 = 0\nexit',
  'r1 = addr_space_cast(r1, 0, 1)\nr0 = 0\nexit',
]

/** Each arithmetic operation and each jump, with an immediate and with a register. */
const TABLE: readonly Instruction[] = OPCODES.flatMap(({ kind, name, opcode, register }) => {
  const operand = (imm: number, offset = 0): Instruction =>
    instruction(opcode, 2, register ? 3 : 0, offset, register ? 0 : imm)
  if (kind === 'alu') return name === 'div' || name === 'mod' ? [operand(7), operand(-7, 1)] : [operand(7)]
  return kind === 'jump' ? [operand(-2)] : []
})

describeSince('6.15')('the disassembler', () => {
  it.each(PROGRAMS)('writes as the kernel does: %s', (text) => {
    const { kernel, ours } = both(assemble(text), 'socket')
    expect(kernel.length).toBeGreaterThan(0)
    expect(ours).toEqual(kernel)
  })

  it('writes arithmetic and jumps as the kernel does', () => {
    expect(TABLE).toHaveLength(11 * 4 + 8 + 44)
    const values = assemble('r2 = 5\nr3 = 7')
    const { kernel, ours } = both([...values, ...TABLE, ...assemble('r0 = 0\nexit')], 'socket')
    expect(kernel.length).toBeGreaterThan(0)
    expect(ours).toEqual(kernel)
  })

  it('writes what the kernel makes of a move alone', () => {
    const cast = instruction(0xbf, 1, 1, MOV_OFFSET.ADDR_SPACE_CAST, (3 << 16) | 4)
    const { kernel, ours } = both([cast, end('be', 1, 64), ...assemble('r0 = 0\nexit')], 'socket')
    // Linux 7 refuses it before it writes anything.
    expect(kernel.length > 0).toBe(!linuxIsAtLeast('7.0'))
    expect(ours).toEqual(kernel)
  })
})

/** Lines of the log that show instructions, and ours for the same slots. */
function both(
  instructions: readonly Instruction[],
  section: string,
): { readonly kernel: readonly string[]; readonly ours: readonly (string | undefined)[] } {
  const bySlot = new Map(disassembleProgram(instructions).map((line) => [Number.parseInt(line, 10), line]))
  // `12: (b7) r0 = 0     ; R0=0`, and with live registers between number and opcode.
  const shown = [...verifierLog(instructions, section).matchAll(/^ *(\d+): (?:[.0-9]{10} )?(\([0-9a-f]{2}\) .*?) *(?:;.*)?$/gm)]
  return {
    kernel: shown.map(([, slot, text]) => `${slot}: ${text}`),
    ours: shown.map(([, slot]) => bySlot.get(Number(slot))),
  }
}

/** What the verifier told, whatever its verdict. */
function verifierLog(instructions: readonly Instruction[], section: string): string {
  const spec = open(rawObject(instructions, section), { kernel: 'native' })
  const program = spec.programs[RAW_PROGRAM]
  if (program === undefined) throw new Error('no program')
  program.logLevel = 2
  try {
    using object = spec.load()
    return object.program(RAW_PROGRAM).log
  } catch (error) {
    if (error instanceof BpfError && error.verifier !== undefined) return error.verifier.log
    throw error
  }
}
