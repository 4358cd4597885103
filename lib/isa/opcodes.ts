/**
 * Every opcode of the BPF instruction set, in one table: RFC 9669 section 4, with the extensions of Linux 6.18
 * (may_goto, 8- and 16-bit load-acquire and store-release). The verifier, the interpreter and the disassembler read it.
 */

/** Low three bits of an opcode. */
export const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const

/** Opcodes that code asks for by name. The rest is in {@link opcodeInfo}. */
export const OP = {
  LDDW: 0x18,
  MOV64_IMM: 0xb7,
  MOV64_REG: 0xbf,
  MOV32_IMM: 0xb4,
  MOV32_REG: 0xbc,
  CALL: 0x85,
  EXIT: 0x95,
  JA: 0x05,
  JA32: 0x06,
  MAY_GOTO: 0xe5,
  LE: 0xd4,
  BE: 0xdc,
  BSWAP: 0xd7,
  ATOMIC8: 0xd3,
  ATOMIC16: 0xcb,
  ATOMIC32: 0xc3,
  ATOMIC64: 0xdb,
} as const

/** Source register of LDDW: what the immediate means (RFC 9669 section 5.4). */
export const PSEUDO_LDDW = {
  IMM: 0,
  MAP_FD: 1,
  MAP_VALUE: 2,
  BTF_ID: 3,
  FUNC: 4,
  MAP_IDX: 5,
  MAP_IDX_VALUE: 6,
} as const

/** Offsets that make a 64-bit move between registers something else; 8, 16 and 32 extend the sign. */
export const MOV_OFFSET = { ADDR_SPACE_CAST: 1, PERCPU: -1 } as const

/** Immediates of address space casts: from an arena (1) to the kernel's memory (0), and back. */
export const ADDRESS_CAST = { FROM_ARENA: 1, TO_ARENA: 1 << 16 } as const

/** Source register of CALL: what the immediate means. */
export const PSEUDO_CALL = { HELPER: 0, LOCAL: 1, KFUNC: 2 } as const

/** Immediates of atomic instructions. */
export const ATOMIC = {
  ADD: 0x00,
  OR: 0x40,
  AND: 0x50,
  XOR: 0xa0,
  FETCH: 0x01,
  XCHG: 0xe1,
  CMPXCHG: 0xf1,
  LOAD_ACQUIRE: 0x100,
  STORE_RELEASE: 0x110,
} as const

export type OpcodeKind =
  | 'alu'
  | 'mov'
  | 'neg'
  | 'end'
  | 'bswap'
  | 'ja'
  | 'jump'
  | 'may_goto'
  | 'call'
  | 'exit'
  | 'lddw'
  | 'packet'
  | 'load'
  | 'store'
  | 'atomic'

/** Fields that an instruction uses, as bits; all others must be zero. */
export const FIELD = { DST: 1, SRC: 2, OFFSET: 4, IMM: 8 } as const

export interface OpcodeInfo {
  readonly opcode: number
  readonly kind: OpcodeKind
  /** `add`, `jeq`, `load` …: the RFC's names in small letters. */
  readonly name: string
  /** How Linux's verifier log writes the operation: `+=`, `s>`. */
  readonly symbol: string
  /** Bits that ALU operations and jumps work on; bits that memory operations move. */
  readonly bits: 8 | 16 | 32 | 64
  /** The second operand is the source register (BPF_X). */
  readonly register: boolean
  /** Loads that extend the sign (BPF_MEMSX). */
  readonly signed: boolean
  /** Bits of {@link FIELD}. */
  readonly fields: number
  /** As Linux calls its kind in "… uses reserved fields". */
  readonly group: string
  /** The first clang -mcpu version that emits it. */
  readonly mcpu: 1 | 2 | 3 | 4
}

type Row = readonly [operation: number, name: string, symbol: string, mcpu: 1 | 2 | 3 | 4]

/** High four bits of ALU opcodes that have an immediate and a register form in both widths. */
const ALU_OPERATIONS: readonly Row[] = [
  [0x00, 'add', '+=', 1],
  [0x10, 'sub', '-=', 1],
  [0x20, 'mul', '*=', 1],
  [0x30, 'div', '/=', 1],
  [0x40, 'or', '|=', 1],
  [0x50, 'and', '&=', 1],
  [0x60, 'lsh', '<<=', 1],
  [0x70, 'rsh', '>>=', 1],
  [0x90, 'mod', '%=', 1],
  [0xa0, 'xor', '^=', 1],
  [0xb0, 'mov', '=', 1],
  [0xc0, 'arsh', 's>>=', 1],
]

/** High four bits of conditional jumps. */
const JUMP_OPERATIONS: readonly Row[] = [
  [0x10, 'jeq', '==', 1],
  [0x20, 'jgt', '>', 1],
  [0x30, 'jge', '>=', 1],
  [0x40, 'jset', '&', 1],
  [0x50, 'jne', '!=', 1],
  [0x60, 'jsgt', 's>', 1],
  [0x70, 'jsge', 's>=', 1],
  [0xa0, 'jlt', '<', 2],
  [0xb0, 'jle', '<=', 2],
  [0xc0, 'jslt', 's<', 2],
  [0xd0, 'jsle', 's<=', 2],
]

/** Size bits of memory opcodes. */
const SIZES = [
  [0x00, 32],
  [0x08, 16],
  [0x10, 8],
  [0x18, 64],
] as const

const { DST, SRC, OFFSET, IMM } = FIELD
/** Source bit: the second operand is a register. */
const X = 0x08
const DIVISIONS = new Set(['div', 'mod'])

function buildTable(): readonly (OpcodeInfo | undefined)[] {
  const table: (OpcodeInfo | undefined)[] = Array.from({ length: 256 })
  const add = (
    opcode: number,
    kind: OpcodeKind,
    name: string,
    bits: 8 | 16 | 32 | 64,
    fields: number,
    group: string,
    more: { symbol?: string; register?: boolean; signed?: boolean; mcpu?: 1 | 2 | 3 | 4 } = {},
  ): void => {
    const { symbol = name, register = false, signed = false, mcpu = 1 } = more
    table[opcode] = { opcode, kind, name, symbol, bits, register, signed, fields, group, mcpu }
  }

  for (const [klass, bits] of [
    [CLASS.ALU, 32],
    [CLASS.ALU64, 64],
  ] as const) {
    for (const [operation, name, symbol, mcpu] of ALU_OPERATIONS) {
      const mov = name === 'mov'
      const kind = mov ? 'mov' : 'alu'
      const group = mov ? 'BPF_MOV' : 'BPF_ALU'
      // The offset tells signed division (1) from unsigned, and a sign-extending move (8, 16, 32) from a plain one.
      const offset = DIVISIONS.has(name) ? OFFSET : 0
      add(klass | operation, kind, name, bits, DST | IMM | offset, group, { symbol, mcpu })
      add(klass | operation | X, kind, name, bits, DST | SRC | offset | (mov ? OFFSET : 0), group, {
        symbol,
        mcpu,
        register: true,
      })
    }
    add(klass | 0x80, 'neg', 'neg', bits, DST, 'BPF_NEG', { symbol: '-' })
  }
  add(OP.LE, 'end', 'le', 64, DST | IMM, 'BPF_END')
  add(OP.BE, 'end', 'be', 64, DST | IMM, 'BPF_END')
  add(OP.BSWAP, 'bswap', 'bswap', 64, DST | IMM, 'BPF_END', { mcpu: 4 })

  for (const [klass, bits, oldest] of [
    [CLASS.JMP, 64, 1],
    [CLASS.JMP32, 32, 3],
  ] as const) {
    for (const [operation, name, symbol, since] of JUMP_OPERATIONS) {
      const mcpu = oldest > since ? oldest : since
      add(klass | operation, 'jump', name, bits, DST | IMM | OFFSET, 'BPF_JMP/JMP32', { symbol, mcpu })
      add(klass | operation | X, 'jump', name, bits, DST | SRC | OFFSET, 'BPF_JMP/JMP32', {
        symbol,
        mcpu,
        register: true,
      })
    }
  }
  add(OP.JA, 'ja', 'ja', 64, OFFSET, 'BPF_JA', { symbol: 'goto' })
  add(OP.JA32, 'ja', 'ja32', 32, IMM, 'BPF_JA', { symbol: 'gotol', mcpu: 4 })
  add(OP.MAY_GOTO, 'may_goto', 'may_goto', 64, OFFSET, 'BPF_JCOND', { mcpu: 4 })
  add(OP.CALL, 'call', 'call', 64, SRC | OFFSET | IMM, 'BPF_CALL')
  add(OP.EXIT, 'exit', 'exit', 64, 0, 'BPF_EXIT')

  add(OP.LDDW, 'lddw', 'lddw', 64, DST | SRC | IMM, 'BPF_LD_IMM64')
  for (const [size, bits] of SIZES) {
    if (bits !== 64) {
      add(CLASS.LD | size | 0x20, 'packet', 'ldabs', bits, IMM, 'BPF_LD_[ABS|IND]')
      add(CLASS.LD | size | 0x40, 'packet', 'ldind', bits, SRC | IMM, 'BPF_LD_[ABS|IND]', { register: true })
      add(CLASS.LDX | size | 0x80, 'load', 'load', bits, DST | SRC | OFFSET, 'BPF_LDX', {
        signed: true,
        mcpu: 4,
      })
    }
    add(CLASS.LDX | size | 0x60, 'load', 'load', bits, DST | SRC | OFFSET, 'BPF_LDX')
    add(CLASS.ST | size | 0x60, 'store', 'store', bits, DST | OFFSET | IMM, 'BPF_ST')
    add(CLASS.STX | size | 0x60, 'store', 'store', bits, DST | SRC | OFFSET, 'BPF_STX', { register: true })
    add(CLASS.STX | size | 0xc0, 'atomic', 'atomic', bits, DST | SRC | OFFSET | IMM, 'BPF_ATOMIC', {
      register: true,
    })
  }
  return table
}

const TABLE = buildTable()

/** What an opcode is; undefined if there is no such opcode. */
export function opcodeInfo(opcode: number): OpcodeInfo | undefined {
  return TABLE[opcode]
}

/** All opcodes, ascending. */
export const OPCODES: readonly OpcodeInfo[] = TABLE.filter((info) => info !== undefined)

/** What the immediate of an atomic instruction asks for. */
export interface AtomicInfo {
  readonly name: 'add' | 'or' | 'and' | 'xor' | 'xchg' | 'cmpxchg' | 'load_acquire' | 'store_release'
  /** The old value comes back: in the source register, for cmpxchg in r0. */
  readonly fetch: boolean
  /** How Linux's verifier log writes it. */
  readonly symbol: string
  /** The first clang -mcpu version that emits it. */
  readonly mcpu: 1 | 3 | 4
}

/** By the immediate of the instruction. RFC 9669 section 5.3; load-acquire and store-release from Linux 6.15. */
export const ATOMIC_OPERATIONS: ReadonlyMap<number, AtomicInfo> = new Map<number, AtomicInfo>([
  [ATOMIC.ADD, { name: 'add', fetch: false, symbol: '+=', mcpu: 1 }],
  [ATOMIC.OR, { name: 'or', fetch: false, symbol: '|=', mcpu: 3 }],
  [ATOMIC.AND, { name: 'and', fetch: false, symbol: '&=', mcpu: 3 }],
  [ATOMIC.XOR, { name: 'xor', fetch: false, symbol: '^=', mcpu: 3 }],
  [ATOMIC.ADD | ATOMIC.FETCH, { name: 'add', fetch: true, symbol: 'fetch_add', mcpu: 3 }],
  [ATOMIC.OR | ATOMIC.FETCH, { name: 'or', fetch: true, symbol: 'fetch_or', mcpu: 3 }],
  [ATOMIC.AND | ATOMIC.FETCH, { name: 'and', fetch: true, symbol: 'fetch_and', mcpu: 3 }],
  [ATOMIC.XOR | ATOMIC.FETCH, { name: 'xor', fetch: true, symbol: 'fetch_xor', mcpu: 3 }],
  [ATOMIC.XCHG, { name: 'xchg', fetch: true, symbol: 'xchg', mcpu: 3 }],
  [ATOMIC.CMPXCHG, { name: 'cmpxchg', fetch: true, symbol: 'cmpxchg', mcpu: 3 }],
  [ATOMIC.LOAD_ACQUIRE, { name: 'load_acquire', fetch: false, symbol: 'load_acquire', mcpu: 4 }],
  [ATOMIC.STORE_RELEASE, { name: 'store_release', fetch: false, symbol: 'store_release', mcpu: 4 }],
])
