/** The assembler syntax of the public BPF conformance suite, and its case files. */
import { CLASS, OP, OPCODES, PSEUDO_CALL } from '../../lib/isa/opcodes.js'
import { instruction, lddw } from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'

export interface ConformanceCase {
  readonly instructions: readonly Instruction[]
  /** Input memory; empty if the case has none. */
  readonly memory: Uint8Array
  /** r0 at the end. */
  readonly result: bigint
  /** `-- raw`: the encoding that the assembly must have, one u64 a slot. */
  readonly raw: readonly bigint[] | undefined
}

/** Reads a `.data` file. */
export function parseCase(text: string): ConformanceCase {
  const sections = new Map<string, string[]>()
  let current: string[] = []
  for (const line of text.split('\n')) {
    const header = /^-- (.*)$/.exec(line.trim())
    if (header?.[1] !== undefined) {
      current = []
      sections.set(header[1].trim(), current)
    } else {
      const bare = line.replace(/#.*/, '').trim()
      if (bare !== '') current.push(bare)
    }
  }
  const words = (name: string): string[] => (sections.get(name) ?? []).join(' ').split(/\s+/).filter(Boolean)
  const [result] = words('result')
  if (result === undefined) throw new Error('a case without a result')
  return {
    instructions: assemble(sections.get('asm') ?? []),
    memory: Uint8Array.from(words('mem'), (byte) => Number.parseInt(byte, 16)),
    result: BigInt.asUintN(64, BigInt(result)),
    raw: sections.has('raw') ? words('raw').map(BigInt) : undefined,
  }
}

const SIZE_LETTERS: Readonly<Record<string, number>> = { b: 0x10, h: 0x08, w: 0x00, dw: 0x18 }
const ATOMICS: Readonly<Record<string, number>> = {
  add: 0x00,
  or: 0x40,
  and: 0x50,
  xor: 0xa0,
  xchg: 0xe1,
  cmpxchg: 0xf1,
}
const BYTE_ORDER: Readonly<Record<string, number>> = { le: OP.LE, be: OP.BE, swap: OP.BSWAP, bswap: OP.BSWAP }

/** Slots for lines without comments; two passes, for labels. */
export function assemble(lines: readonly string[]): Instruction[] {
  const labels = new Map<string, number>()
  const statements: string[] = []
  let slot = 0
  for (const line of lines) {
    const label = /^(\w+):$/.exec(line)
    if (label?.[1] !== undefined) labels.set(label[1], slot)
    else {
      statements.push(line)
      slot += line.startsWith('lddw') ? 2 : 1
    }
  }
  // `exit` may be jumped to without a label: the last exit instruction.
  const lastExit = statements.lastIndexOf('exit')
  if (lastExit >= 0 && !labels.has('exit'))
    labels.set(
      'exit',
      statements.slice(0, lastExit).reduce((n, s) => n + (s.startsWith('lddw') ? 2 : 1), 0),
    )
  const code: Instruction[] = []
  for (const statement of statements) code.push(...assembleOne(statement, code.length, labels))
  return code
}

function assembleOne(
  text: string,
  slot: number,
  labels: ReadonlyMap<string, number>,
): readonly Instruction[] {
  const space = text.indexOf(' ')
  const mnemonic = space < 0 ? text : text.slice(0, space)
  const rest = space < 0 ? '' : text.slice(space + 1)
  const operands = rest.split(',').map((o) => o.trim())
  const [first = '', second = ''] = operands
  const distance = (target: string): number => {
    if (/^[+-]/.test(target)) return Number(target)
    const at = labels.get(target)
    if (at === undefined) throw new Error(`no label ${target}`)
    return at - slot - 1
  }

  if (mnemonic === 'exit') return [instruction(OP.EXIT)]
  if (mnemonic === 'lddw') return lddw(register(first), BigInt(second))
  if (mnemonic === 'lock') return [assembleAtomic(rest)]
  if (mnemonic === 'ja') return [instruction(OP.JA, 0, 0, distance(first))]
  if (mnemonic === 'ja32') return [instruction(OP.JA32, 0, 0, 0, distance(first))]
  if (mnemonic === 'call') {
    if (rest.startsWith('local '))
      return [instruction(OP.CALL, 0, PSEUDO_CALL.LOCAL, 0, distance(rest.slice(6).trim()))]
    if (rest.startsWith('%')) return [instruction(OP.CALL | 0x08, register(rest))]
    return [instruction(OP.CALL, 0, 0, 0, Number(rest))]
  }

  const memory = /^(ldxs|ldx|stx|st)(b|h|w|dw)$/.exec(mnemonic)
  if (memory !== null) {
    const size = SIZE_LETTERS[memory[2] ?? ''] ?? 0
    switch (memory[1]) {
      case 'ldx':
      case 'ldxs': {
        const [base, offset] = address(second)
        return [
          instruction(CLASS.LDX | size | (memory[1] === 'ldxs' ? 0x80 : 0x60), register(first), base, offset),
        ]
      }
      case 'stx': {
        const [base, offset] = address(first)
        return [instruction(CLASS.STX | size | 0x60, base, register(second), offset)]
      }
      default: {
        const [base, offset] = address(first)
        return [instruction(CLASS.ST | size | 0x60, base, 0, offset, immediate(second))]
      }
    }
  }

  const order = /^(le|be|swap|bswap)(16|32|64)$/.exec(mnemonic)
  if (order !== null)
    return [instruction(BYTE_ORDER[order[1] ?? ''] ?? 0, register(first), 0, 0, Number(order[2]))]
  const extend = /^movsx(8|16|32)(32|64)$/.exec(mnemonic)
  if (extend !== null)
    return [
      instruction(
        extend[2] === '64' ? OP.MOV64_REG : OP.MOV32_REG,
        register(first),
        register(second),
        Number(extend[1]),
      ),
    ]

  const plain = /^(s?)(neg|add|sub|mul|div|mod|or|and|xor|lsh|rsh|arsh|mov|j\w+?)(32|64)?$/.exec(mnemonic)
  if (plain === null) throw new Error(`unknown mnemonic in '${text}'`)
  const name = plain[2] ?? ''
  const isJump = name.startsWith('j')
  const bits = plain[3] === '32' ? 32 : 64
  const isRegister = second.startsWith('%')
  const info = OPCODES.find((o) => o.name === name && o.bits === bits && o.register === isRegister)
  if (info === undefined) throw new Error(`no opcode for '${text}'`)
  const offset = isJump ? distance(operands[2] ?? '') : plain[1] === 's' ? 1 : 0
  if (info.kind === 'neg') return [instruction(info.opcode, register(first))]
  return [
    isRegister
      ? instruction(info.opcode, register(first), register(second), offset)
      : instruction(info.opcode, register(first), 0, offset, immediate(second)),
  ]
}

function assembleAtomic(text: string): Instruction {
  const match = /^(fetch )?([a-z]+?)(32)? (\[.*\]), (%r\d+)$/.exec(text.replace(/\s+/g, ' '))
  const operation = ATOMICS[match?.[2] ?? '']
  if (match === null || operation === undefined) throw new Error(`unknown atomic 'lock ${text}'`)
  const [base, offset] = address(match[4] ?? '')
  const fetch = match[1] === undefined ? 0 : 1
  return instruction(
    match[3] === '32' ? OP.ATOMIC32 : OP.ATOMIC64,
    base,
    register(match[5] ?? ''),
    offset,
    operation | fetch,
  )
}

function register(text: string): number {
  const match = /^%r(\d+)$/.exec(text)
  if (match === null) throw new Error(`not a register: '${text}'`)
  return Number(match[1])
}

/** 32 bits, signed or unsigned. */
function immediate(text: string): number {
  const value = Number(text.replace(/^-/, ''))
  if (!Number.isInteger(value)) throw new Error(`not a number: '${text}'`)
  return (text.startsWith('-') ? -value : value) | 0
}

function address(text: string): readonly [base: number, offset: number] {
  const match = /^\[(%r\d+)\s*([+-]\s*\w+)?\]$/.exec(text)
  if (match === null) throw new Error(`not an address: '${text}'`)
  const offset = (match[2] ?? '+0').replace(/\s/g, '')
  return [register(match[1] ?? ''), Number(offset.slice(1)) * (offset.startsWith('-') ? -1 : 1)]
}
