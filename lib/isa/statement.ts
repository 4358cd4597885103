/** One instruction of assembly, from left to right: the grammar that assemble.ts describes. */
import { helperByName } from '../linux/helpers.js'
import { instruction, lddw } from './build.js'
import type { Instruction } from './instruction.js'
import {
  ATOMIC,
  ATOMIC_OPERATIONS,
  CLASS,
  MOV_OFFSET,
  OP,
  OPCODES,
  PSEUDO_CALL,
  PSEUDO_LDDW,
} from './opcodes.js'
import type { RegisterOperand, Scanner } from './scanner.js'

/** Where an instruction wants the distance to a label. */
export type LabelField = 'offset' | 'imm'

const SIZE_BITS: Readonly<Record<string, number>> = { 8: 0x10, 16: 0x08, 32: 0x00, 64: 0x18 }
const MODE = { ABS: 0x20, IND: 0x40, MEM: 0x60, SIGNED: 0x80, ATOMIC: 0xc0 } as const
const REGISTER_FORM = 0x08
const INT32 = { least: -(2 ** 31), most: 2 ** 31 - 1, bits: 2 ** 32 - 1 } as const
export const INT16 = { least: -(2 ** 15), most: 2 ** 15 - 1 } as const
/** Longest first: `>` must not win over `>>=`. */
const longestFirst = (symbols: Iterable<string>): readonly string[] =>
  [...new Set(symbols)].sort((a, b) => b.length - a.length)

const ALU = OPCODES.filter(({ kind }) => kind === 'alu')
const ALU_SYMBOLS = longestFirst([...ALU.map(({ symbol }) => symbol), 's/=', 's%='])
const JUMPS = OPCODES.filter(({ kind }) => kind === 'jump')
const JUMP_SYMBOLS = longestFirst(JUMPS.map(({ symbol }) => symbol))
/** Atomics that give nothing back, by symbol; those that do, by name. */
const ATOMICS = new Map([...ATOMIC_OPERATIONS].map(([imm, { symbol }]) => [symbol, imm]))
const LOCKED = ['+=', '|=', '&=', '^='] as const
const FETCHED = ['fetch_add', 'fetch_or', 'fetch_and', 'fetch_xor', 'xchg', 'cmpxchg'] as const
const BYTE_ORDERS = { le: OP.LE, be: OP.BE, bswap: OP.BSWAP } as const
const UNSIGNED = ['u8', 'u16', 'u32', 'u64'] as const
const WIDTHS = [16, 32, 64] as const

/** One instruction, read. */
export class Statement {
  constructor(
    readonly scanner: Scanner,
    readonly labels: ReadonlySet<string | undefined>,
    readonly useLabel: (field: LabelField, label: string, at: number) => void,
  ) {}

  parse(): readonly Instruction[] {
    const { scanner } = this
    if (scanner.take('exit')) return [instruction(OP.EXIT)]
    if (scanner.take('gotol')) return [instruction(OP.JA32, 0, 0, 0, this.#target('imm'))]
    if (scanner.take('goto')) return [instruction(OP.JA, 0, 0, this.#target('offset'))]
    if (scanner.take('may_goto')) return [instruction(OP.MAY_GOTO, 0, 0, this.#target('offset'))]
    if (scanner.take('if')) return [this.#jump()]
    if (scanner.take('call')) return [this.#call()]
    if (scanner.take('lock')) return [this.#locked()]
    if (scanner.take('store_release')) return [this.#storeRelease()]
    if (scanner.take('*')) return [this.#store()]
    const register = scanner.register()
    if (register === undefined) return scanner.fail('an instruction')
    return scanner.take('=') ? this.#assignment(register) : [this.#alu(register)]
  }

  #alu(register: RegisterOperand): Instruction {
    const { scanner } = this
    const symbol = scanner.takeOne(ALU_SYMBOLS) ?? scanner.fail("an operator such as '=' or '+='")
    const isSigned = symbol === 's/=' || symbol === 's%='
    const plain = isSigned ? symbol.slice(1) : symbol
    const { opcode, dst, src, imm } = this.#secondOperand(register, ALU, plain)
    return instruction(opcode, dst, src, isSigned ? 1 : 0, imm)
  }

  /** The operand behind an operator: a register of the same width, or an immediate. */
  #secondOperand(register: RegisterOperand, table: typeof OPCODES, symbol: string): Instruction {
    const at = this.scanner.position
    const source = this.scanner.register()
    if (source !== undefined && source.bits !== register.bits)
      this.scanner.fail(
        `a ${register.bits === 64 ? '64-bit register (r0…r10)' : '32-bit register (w0…w10)'} or a number`,
        at,
      )
    const found = table.find(
      (info) => info.symbol === symbol && info.bits === register.bits && !info.register,
    )
    const opcode = found?.opcode ?? this.scanner.fail('another operator', at)
    return source === undefined
      ? instruction(opcode, register.index, 0, 0, this.#immediate())
      : instruction(opcode | REGISTER_FORM, register.index, source.index)
  }

  #immediate(what = 'a register, or a number'): number {
    return this.scanner.expectNumber(what, INT32.least, INT32.bits) | 0
  }

  #jump(): Instruction {
    const { scanner } = this
    const register = scanner.register() ?? scanner.fail('a register')
    const symbol = scanner.takeOne(JUMP_SYMBOLS) ?? scanner.fail(`a comparison: ${JUMP_SYMBOLS.join(' ')}`)
    const { opcode, dst, src, imm } = this.#secondOperand(register, JUMPS, symbol)
    scanner.expect('goto')
    return instruction(opcode, dst, src, this.#target('offset'), imm)
  }

  /** `pc+3`, or a label, whose distance is put in later. */
  #target(field: LabelField): number {
    const { scanner } = this
    const at = scanner.position
    if (scanner.take('pc')) {
      const { least, most } = field === 'imm' ? INT32 : INT16
      return scanner.expectNumber('a distance', least, most)
    }
    const label = scanner.word() ?? scanner.fail("a distance such as 'pc+3', or a label", at)
    this.useLabel(field, label, at)
    return 0
  }

  #call(): Instruction {
    const { scanner } = this
    const at = scanner.position
    if (scanner.take('pc'))
      return instruction(
        OP.CALL,
        0,
        PSEUDO_CALL.LOCAL,
        0,
        scanner.expectNumber('a distance', INT32.least, INT32.most),
      )
    if (scanner.take('kernel-function#')) {
      const id = this.#immediate('a BTF id')
      return instruction(OP.CALL, 0, PSEUDO_CALL.KFUNC, this.#of(INT16), id)
    }
    const name = scanner.word()
    if (name !== undefined && this.labels.has(name)) {
      this.useLabel('imm', name, at)
      return instruction(OP.CALL, 0, PSEUDO_CALL.LOCAL)
    }
    const numbered = name === undefined || scanner.take('#')
    const id = numbered ? this.#immediate('the number of a helper') : helperByName(name)?.id
    if (id === undefined)
      return scanner.fail("a helper such as 'bpf_map_lookup_elem#1', a label, or 'pc+3'", at)
    return instruction(OP.CALL, 0, PSEUDO_CALL.HELPER, 0, id)
  }

  /** ` of N`: in which BTF; 0 where nothing says so. */
  #of({ least, most }: { readonly least: number; readonly most: number }): number {
    return this.scanner.take('of') ? this.scanner.expectNumber('the BTF', least, most) : 0
  }

  /** `(u32 *)`: the width, from those that are allowed. */
  #width(types: readonly string[]): { readonly bits: number; readonly signed: boolean } {
    const { scanner } = this
    scanner.expect('(')
    const type = scanner.takeOne(types) ?? scanner.fail(`one of ${types.join(', ')}`)
    scanner.expect('*', ')')
    return { bits: Number(type.slice(1)), signed: type.startsWith('s') }
  }

  /** `(r1 +8)` */
  #address(): { readonly base: number; readonly offset: number } {
    const { scanner } = this
    scanner.expect('(')
    const base = scanner.expectRegister()
    if (scanner.take(')')) return { base, offset: 0 }
    const offset = scanner.expectNumber('an offset', INT16.least, INT16.most)
    scanner.expect(')')
    return { base, offset }
  }

  #store(): Instruction {
    const { scanner } = this
    const { bits } = this.#width(UNSIGNED)
    const { base, offset } = this.#address()
    scanner.expect('=')
    const size = SIZE_BITS[bits] ?? 0
    const at = scanner.position
    const source = scanner.register()
    if (source?.bits === 32) scanner.fail('a register from r0 to r10, or a number', at)
    return source === undefined
      ? instruction(CLASS.ST | MODE.MEM | size, base, 0, offset, this.#immediate())
      : instruction(CLASS.STX | MODE.MEM | size, base, source.index, offset)
  }

  #locked(): Instruction {
    const { scanner } = this
    scanner.expect('*')
    const { bits } = this.#width(['u32', 'u64'])
    const { base, offset } = this.#address()
    const symbol = scanner.takeOne(LOCKED) ?? scanner.fail(`one of ${LOCKED.join(' ')}`)
    return atomic(bits, base, scanner.expectRegister(), offset, ATOMICS.get(symbol) ?? 0)
  }

  #storeRelease(): Instruction {
    const { scanner } = this
    scanner.expect('(')
    const { bits } = this.#width(UNSIGNED)
    const { base, offset } = this.#address()
    scanner.expect(',')
    const source = scanner.expectRegister()
    scanner.expect(')')
    return atomic(bits, base, source, offset, ATOMIC.STORE_RELEASE)
  }

  /** What stands behind `r1 =` or `w1 =`. */
  #assignment(register: RegisterOperand): readonly Instruction[] {
    const { scanner } = this
    const { index: dst, bits } = register
    const at = scanner.position
    const [immediate, copy] = bits === 64 ? [OP.MOV64_IMM, OP.MOV64_REG] : [OP.MOV32_IMM, OP.MOV32_REG]
    const source = scanner.register()
    if (source?.bits === bits) return [instruction(copy, dst, source.index)]
    if (source !== undefined) scanner.fail(`a ${bits}-bit value`, at)
    for (const from of bits === 64 ? [8, 16, 32] : [8, 16])
      if (scanner.take(`(s${from})`)) return [instruction(copy, dst, this.#sameWidth(bits), from)]
    if (bits === 64) {
      const found = this.#wideValue(dst)
      if (found !== undefined) return found
    }
    const number = scanner.number()
    if (number === undefined) {
      if (!scanner.take('-')) scanner.fail('a value', at)
      if (this.#sameWidth(bits) !== dst) scanner.fail('the negation of the same register', at)
      return [instruction((bits === 64 ? CLASS.ALU64 : CLASS.ALU) | 0x80, dst)]
    }
    const { value, isHex } = number
    if (bits === 64 && (scanner.take('ll') || isHex)) {
      if (value < -(2n ** 63n) || value >= 2n ** 64n) scanner.fail('a number of 64 bits', at)
      return lddw(dst, value)
    }
    if (value < INT32.least || value > INT32.bits)
      scanner.fail('a number of 32 bits (of 64: with ll behind it)', at)
    return [instruction(immediate, dst, 0, 0, Number(value) | 0)]
  }

  #sameWidth(bits: 32 | 64): number {
    const at = this.scanner.position
    const register = this.scanner.register()
    return register?.bits === bits ? register.index : this.scanner.fail(`a ${bits}-bit register`, at)
  }

  /** Values that only whole registers take; undefined where none of these comes. */
  #wideValue(dst: number): readonly Instruction[] | undefined {
    const { scanner } = this
    if (scanner.take('*')) return [this.#load(dst)]
    if (scanner.take('map')) return this.#mapReference(dst)
    if (scanner.take('subprog')) return this.#subprogram(dst)
    if (scanner.take('btf')) {
      scanner.expect('[', 'id', ':')
      const id = this.#immediate('a BTF id')
      scanner.expect(']')
      return wide(dst, PSEUDO_LDDW.BTF_ID, id, this.#of(INT32))
    }
    if (scanner.take('&')) {
      scanner.expect('(', 'void', '__percpu', '*', ')', '(')
      const source = scanner.expectRegister()
      scanner.expect(')')
      return [instruction(OP.MOV64_REG, dst, source, MOV_OFFSET.PERCPU)]
    }
    if (scanner.take('addr_space_cast')) return [this.#addressSpaceCast(dst)]
    if (scanner.take('load_acquire')) {
      scanner.expect('(')
      const { bits } = this.#width(UNSIGNED)
      const { base, offset } = this.#address()
      scanner.expect(')')
      return [atomic(bits, dst, base, offset, ATOMIC.LOAD_ACQUIRE)]
    }
    for (const [name, opcode] of Object.entries(BYTE_ORDERS))
      for (const width of WIDTHS)
        if (scanner.take(`${name}${width}`)) return [this.#byteOrder(dst, opcode, width)]
    for (const bits of [32, 64])
      for (const name of FETCHED)
        if (scanner.take(`atomic${bits === 64 ? '64' : ''}_${name}`)) return [this.#fetch(dst, bits, name)]
    return undefined
  }

  #load(dst: number): Instruction {
    const { scanner } = this
    const { bits, signed } = this.#width([...UNSIGNED, 's8', 's16', 's32'])
    const size = SIZE_BITS[bits] ?? 0
    if (dst === 0 && !signed && bits < 64 && scanner.take('skb')) return this.#packetLoad(size)
    const { base, offset } = this.#address()
    return instruction(CLASS.LDX | (signed ? MODE.SIGNED : MODE.MEM) | size, dst, base, offset)
  }

  /** `skb[12]`, `skb[r1 + 12]` */
  #packetLoad(size: number): Instruction {
    const { scanner } = this
    scanner.expect('[')
    const source = scanner.register()
    if (source !== undefined) scanner.take('+')
    const imm = this.#immediate('an offset into the packet')
    scanner.expect(']')
    return instruction(
      CLASS.LD | (source === undefined ? MODE.ABS : MODE.IND) | size,
      0,
      source?.index ?? 0,
      0,
      imm,
    )
  }

  /** `map[id:5]`, `map[id:5][0]+16`, `map[idx:2]`, `map[idx:2]+16` */
  #mapReference(dst: number): readonly Instruction[] {
    const { scanner } = this
    scanner.expect('[')
    const by = scanner.takeOne(['id', 'fd', 'idx']) ?? scanner.fail("'id:', 'fd:' or 'idx:'")
    scanner.expect(':')
    const map = this.#immediate('a number of a map')
    scanner.expect(']')
    const byIndex = by === 'idx'
    const isValue = byIndex ? !scanner.atEnd : scanner.take('[')
    if (!isValue) return wide(dst, byIndex ? PSEUDO_LDDW.MAP_IDX : PSEUDO_LDDW.MAP_FD, map, 0)
    if (!byIndex) scanner.expect('0', ']')
    const offset = scanner.expectNumber('an offset into the value', 0, INT32.bits) | 0
    return wide(dst, byIndex ? PSEUDO_LDDW.MAP_IDX_VALUE : PSEUDO_LDDW.MAP_VALUE, map, offset)
  }

  #subprogram(dst: number): readonly Instruction[] {
    const { scanner } = this
    scanner.expect('[')
    const at = scanner.position
    const label = scanner.word()
    if (label !== undefined) this.useLabel('imm', label, at)
    const distance = label === undefined ? scanner.expectNumber('a distance', INT32.least, INT32.most) : 0
    scanner.expect(']')
    return wide(dst, PSEUDO_LDDW.FUNC, distance, 0)
  }

  #addressSpaceCast(dst: number): Instruction {
    const { scanner } = this
    scanner.expect('(')
    const source = scanner.expectRegister()
    scanner.expect(',')
    const to = scanner.expectNumber('an address space', 0, 0xffff)
    scanner.expect(',')
    const from = scanner.expectNumber('an address space', 0, 0xffff)
    scanner.expect(')')
    return instruction(OP.MOV64_REG, dst, source, MOV_OFFSET.ADDR_SPACE_CAST, (to << 16) | from)
  }

  #byteOrder(dst: number, opcode: number, width: number): Instruction {
    const at = this.scanner.position
    if (this.scanner.expectRegister() !== dst) this.scanner.fail(`r${dst}: bytes are swapped in place`, at)
    return instruction(opcode, dst, 0, 0, width)
  }

  /** `((u64 *)(r1 +8), r2)`; of cmpxchg, `((u64 *)(r1 +8), r0, r2)`. */
  #fetch(dst: number, bits: number, name: (typeof FETCHED)[number]): Instruction {
    const { scanner } = this
    scanner.expect('(', '(', `u${bits}`, '*', ')')
    const { base, offset } = this.#address()
    scanner.expect(',')
    if (name === 'cmpxchg') scanner.expect('r0', ',')
    const at = scanner.position
    const source = scanner.expectRegister()
    if (dst !== (name === 'cmpxchg' ? 0 : source)) scanner.fail(`r${dst}, where the old value goes`, at)
    scanner.expect(')')
    return atomic(bits, base, source, offset, ATOMICS.get(name) ?? 0)
  }
}

function atomic(bits: number, dst: number, src: number, offset: number, imm: number): Instruction {
  return instruction(CLASS.STX | MODE.ATOMIC | (SIZE_BITS[bits] ?? 0), dst, src, offset, imm)
}

function wide(dst: number, source: number, low: number, high: number): readonly Instruction[] {
  return [instruction(OP.LDDW, dst, source, 0, low), instruction(0, 0, 0, 0, high)]
}
