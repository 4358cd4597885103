/** Reads one line of assembly from left to right, and says where it is not what it should be. */
import { BpfError } from '../errors.js'

/** Text that is no assembly. */
export class AssemblyError extends BpfError {
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 units. */
  readonly column: number
  /** What would have been right there: `a register`, `'goto'`. */
  readonly expected: string

  /** @internal */
  constructor(line: number, column: number, expected: string, found: string) {
    super('BAD_ASSEMBLY', `line ${line}, column ${column}: expected ${expected}, found ${found}`)
    this.line = line
    this.column = column
    this.expected = expected
  }
}

/** A register as it is written: `r1` is all of it, `w1` its low half. */
export interface RegisterOperand {
  readonly index: number
  readonly bits: 32 | 64
}

export interface NumberOperand {
  readonly value: bigint
  readonly isHex: boolean
}

const SPACE = /[ \t\r]*/y
const WORD = /[A-Za-z_.$][\w.$]*/y
const REGISTER = /([rw])(10|[0-9])(?!\w)/y
const NUMBER = /([+-]?)[ \t]*(0[xX][0-9a-fA-F]+|[0-9]+)(?!\w)/y
const NEXT = /\w+|\S/y

export class Scanner {
  #at = 0

  /** @param text one line, without its comment */
  constructor(
    readonly text: string,
    readonly line: number,
  ) {
    this.#skipSpace()
  }

  get atEnd(): boolean {
    return this.#at >= this.text.length
  }

  /** Takes these characters, if they come next; words only as a whole. */
  take(literal: string): boolean {
    const end = this.#at + literal.length
    if (!this.text.startsWith(literal, this.#at)) return false
    if (/\w$/.test(literal) && /\w/.test(this.text[end] ?? '')) return false
    this.#at = end
    this.#skipSpace()
    return true
  }

  /** Takes the first of these that comes next. */
  takeOne<T extends string>(literals: readonly T[]): T | undefined {
    return literals.find((literal) => this.take(literal))
  }

  /** Like {@link take}, for each of them in turn. */
  expect(...literals: readonly string[]): void {
    for (const literal of literals) if (!this.take(literal)) this.fail(`'${literal}'`)
  }

  word(): string | undefined {
    return this.#match(WORD)?.[0]
  }

  register(): RegisterOperand | undefined {
    const found = this.#match(REGISTER)
    return found === undefined ? undefined : { index: Number(found[2]), bits: found[1] === 'r' ? 64 : 32 }
  }

  /** The number of a 64-bit register. */
  expectRegister(what = 'a register from r0 to r10'): number {
    const before = this.#at
    const register = this.register()
    if (register?.bits === 64) return register.index
    return this.fail(what, before)
  }

  number(): NumberOperand | undefined {
    const found = this.#match(NUMBER)
    if (found === undefined) return undefined
    const [, sign, digits = '0'] = found
    const value = BigInt(digits)
    return { value: sign === '-' ? -value : value, isHex: /^0x/i.test(digits) }
  }

  /** A number in a range, as a number; what lies in the upper half of unsigned values wraps around. */
  expectNumber(what: string, least: number, most: number): number {
    const before = this.#at
    const found = this.number()
    if (found !== undefined && found.value >= least && found.value <= most) return Number(found.value)
    return this.fail(`${what} from ${least} to ${most}`, before)
  }

  expectEnd(): void {
    if (!this.atEnd) this.fail('the end of the line')
  }

  /** Where the scanner is, for a later {@link fail}. */
  get position(): number {
    return this.#at
  }

  fail(expected: string, at: number = this.#at): never {
    NEXT.lastIndex = at
    const next = NEXT.exec(this.text)?.[0]
    const found = next === undefined ? 'the end of the line' : `'${next}'`
    throw new AssemblyError(this.line, at + 1, expected, found)
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.text)
    if (found === null) return undefined
    this.#at = pattern.lastIndex
    this.#skipSpace()
    return found
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#at
    SPACE.exec(this.text)
    this.#at = SPACE.lastIndex
  }
}
