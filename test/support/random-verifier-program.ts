/**
 * Nearly valid programs, by a seed: types are known as a program is written, and mostly respected. Text of cases (test/verifier/cases), so that what is
 * found becomes one.
 *
 * Bounded: loops count to 16 at most, or are left to may_goto and bpf_loop.
 */
import type { Privileges } from '../../lib/linux/capabilities.js'
import { seededRandom, type Random } from '../../fuzz/random.js'

/** What a register or slot holds, as far as the generator cares. */
type Kind = 'none' | 'number' | 'ctx' | 'value?' | 'value' | 'packet' | 'end' | 'record?' | 'record' | 'stack'

/** The text of a case, in front of its expectation. */
export interface RandomProgramText {
  readonly head: readonly string[]
  readonly lines: readonly string[]
}

interface Flavour {
  readonly type: string
  /** Offsets of `data` and `data_end` in the context, if it has a packet. */
  readonly packet?: readonly [data: number, end: number]
  readonly context: readonly string[]
  readonly helpers: readonly string[]
}

const SYSCALL: Flavour = {
  type: 'syscall',
  context: ['u64 *)(ctx +0)', 'u32 *)(ctx +8)', 'u8 *)(ctx +13)', 's16 *)(ctx +16)'],
  helpers: [],
}

/** Of those that all kernels here run there are more. */
const FLAVOURS: readonly Flavour[] = [
  { type: 'socket_filter', context: ['u32 *)(ctx +0)', 'u32 *)(ctx +8)', 'u8 *)(ctx +48)'], helpers: [] },
  {
    type: 'sched_cls',
    packet: [76, 80],
    context: ['u32 *)(ctx +0)', 'u32 *)(ctx +68)', 'u16 *)(ctx +8)'],
    helpers: ['bpf_get_hash_recalc'],
  },
  SYSCALL,
  SYSCALL,
  { type: 'xdp', packet: [0, 4], context: ['u32 *)(ctx +12)', 'u32 *)(ctx +16)'], helpers: [] },
]

/** Those that take no capability. */
const FLAVOURS_FOR_ALL: readonly Flavour[] = [
  ...FLAVOURS.filter(({ type }) => type === 'socket_filter'),
  { type: 'cgroup_skb', context: ['u32 *)(ctx +0)', 'u32 *)(ctx +8)', 'u32 *)(ctx +48)'], helpers: [] },
]

const IMMEDIATES = [0, 1, -1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 255, 256, 0x7fff, 0xffff, 0x7fffffff, -8, -16, -0x80000000] // prettier-ignore
const MASKS = [1, 3, 7, 15, 12, 8, 31, 255]
const ALU = ['+=', '-=', '*=', '&=', '|=', '^=', '<<=', '>>=', 's>>=', '/=', '%=', 's/=']
const COMPARISONS = ['==', '!=', '>', '>=', '<', '<=', 's>', 's>=', 's<', 's<=', '&']
const SIZES = ['u8', 'u16', 'u32', 'u64'] as const
const BYTES = { u8: 1, u16: 2, u32: 4, u64: 8 } as const
const STACK_SLOTS = 6
const VALUE_SIZE = 16
const MAX_DEPTH = 3
const CALLBACK = 'callback'

/** @param privileges of who loads it: programs of other types than these allow are not worth a question */
export function randomProgramText(
  seed: number,
  run: number,
  privileges: Privileges = 'all',
): RandomProgramText {
  const flavours = privileges === 'none' ? FLAVOURS_FOR_ALL : FLAVOURS
  return new Writer(seededRandom(Math.imul(seed, 0x9e3779b1) ^ run), flavours).program()
}

class Writer {
  readonly #random: Random
  readonly #lines: string[] = []
  readonly #functions: string[][] = []
  readonly #head: string[] = []
  readonly #flavour: Flavour
  /** Whether it gives the same each time that it runs: nothing random, and no clock. */
  readonly #isForeseen: boolean
  #kinds = new Map<number, Kind>()
  #slots = new Map<number, Kind>()
  #labels = 0
  #depth = 0
  /** Registers that loops count in. */
  readonly #reserved = new Set<number>()

  constructor(random: Random, flavours: readonly Flavour[]) {
    this.#random = random
    this.#flavour = this.#pick(flavours)
    this.#isForeseen = this.#chance(0.7)
  }

  program(): RandomProgramText {
    this.#kinds.set(1, 'ctx')
    this.#kinds.set(10, 'stack')
    this.#emit('r6 = r1')
    this.#kinds.set(6, 'ctx')
    if (this.#isForeseen) this.#initializeStack()
    this.#block(4 + this.#below(14))
    this.#finish()
    const lines = [...this.#lines, ...this.#functions.flat()]
    const { type } = this.#flavour
    const flags = [
      ...(type === 'syscall' ? ['sleepable'] : []),
      ...(this.#chance(0.1) ? ['test_state_freq'] : []),
    ]
    const head = [`type ${type}`, ...(flags.length > 0 ? [`flags ${flags.join(' ')}`] : []), ...this.#head]
    return { head, lines }
  }

  #block(statements: number): void {
    for (let i = 0; i < statements; i++) this.#statement()
  }

  #statement(): void {
    const choice = this.#below(100)
    if (choice < 18) this.#arithmetic()
    else if (choice < 26) this.#constant()
    else if (choice < 36) this.#branch()
    else if (choice < 46) this.#access()
    else if (choice < 54) this.#spillOrFill()
    else if (choice < 61) this.#lookup()
    else if (choice < 68) this.#index()
    else if (choice < 74) this.#packet()
    else if (choice < 78) this.#record()
    else if (choice < 82) this.#atomic()
    else if (choice < 86) this.#loop()
    else if (choice < 90) this.#call()
    else if (choice < 93) this.#helper()
    else if (choice < 96) this.#move()
    else if (choice < 98) this.#callback()
    else if (!this.#isForeseen) this.#wild()
  }

  /** What a stack holds that nobody has written is nothing to foresee. */
  #initializeStack(): void {
    for (let slot = 1; slot <= STACK_SLOTS + 1; slot++) {
      this.#emit(`*(u64 *)(r10 -${slot * 8}) = ${this.#pick(IMMEDIATES)}`)
      this.#slots.set(slot, 'number')
    }
  }

  /** What was computed shows: a system call's context comes back. */
  #show(): void {
    const ctx = this.#registerOf('ctx')
    if (this.#flavour.type !== 'syscall' || ctx === undefined) return
    const numbers = [...this.#kinds].flatMap(([register, kind]) => (kind === 'number' ? [register] : []))
    numbers
      .slice(0, 5)
      .forEach((register, i) => this.#emit(`*(u64 *)(r${ctx} +${24 + 8 * i}) = r${register}`))
  }

  /** Any two registers, whatever they hold. */
  #wild(): void {
    const [a, b] = [this.#anyRegister(), this.#anyRegister()]
    const line = this.#pick([
      `r${a} = r${b}`,
      `r${a} += r${b}`,
      `r${a} -= r${b}`,
      `w${a} = w${b}`,
      `r${a} = *(u64 *)(r${b} +0)`,
      `*(u32 *)(r${a} +0) = r${b}`,
      `if r${a} == r${b} goto pc+0`,
    ])
    this.#emit(line)
    if (!line.startsWith('if') && !line.startsWith('*') && a !== 10) this.#kinds.set(a, 'none')
  }

  #constant(): void {
    const to = this.#target()
    this.#emit(
      this.#chance(0.2)
        ? `r${to} = ${this.#pick(['0x100000000', '0xffffffff', '0x7fffffffffffffff', '0x8000000000000000', '0xffffffff00000007'])} ll`
        : `${this.#chance(0.7) ? 'r' : 'w'}${to} = ${this.#pick(IMMEDIATES)}`,
    )
    this.#kinds.set(to, 'number')
  }

  #arithmetic(): void {
    const to = this.#registerOf('number')
    if (to === undefined) return this.#constant()
    const kind = this.#below(10)
    const width = this.#chance(0.6) ? 'r' : 'w'
    if (kind === 0) return this.#emit(`${width}${to} = -${width}${to}`)
    // No byte orders: what they make of constants only the last kernels of a series know.
    const from = this.#registerOf('number') ?? to
    if (kind <= 2)
      return this.#emit(
        width === 'r'
          ? `r${to} = (s${this.#pick([8, 16, 32])})r${from}`
          : `w${to} = (s${this.#pick([8, 16])})w${from}`,
      )
    if (kind === 3) return this.#emit(`r${to} &= ${this.#pick(MASKS)}`)
    const operation = this.#pick(ALU)
    if (this.#chance(0.4)) return this.#emit(`${width}${to} ${operation} ${width}${from}`)
    const isShift = operation.includes('<<') || operation.includes('>>')
    const isDivision = operation.includes('/') || operation.includes('%')
    const value = isShift
      ? this.#below(width === 'r' ? 64 : 32)
      : isDivision
        ? this.#pick([1, 2, 3, 7, 16, -1])
        : this.#pick(IMMEDIATES)
    this.#emit(`${width}${to} ${operation} ${value}`)
  }

  #branch(): void {
    if (this.#depth >= MAX_DEPTH) return this.#arithmetic()
    const what = this.#registerOf('number')
    if (what === undefined) return this.#constant()
    const other = this.#registerOf('number') ?? what
    const width = this.#chance(0.7) ? 'r' : 'w'
    const operand = this.#chance(0.3) ? `${width}${other}` : String(this.#pick(IMMEDIATES))
    const label = this.#label()
    this.#emit(`if ${width}${what} ${this.#pick(COMPARISONS)} ${operand} goto ${label}`)
    const before = new Map(this.#kinds)
    const slots = new Map(this.#slots)
    this.#depth++
    this.#block(1 + this.#below(3))
    if (this.#chance(0.15)) {
      this.#emit('r0 = 0')
      this.#emit('exit')
      this.#kinds = before
      this.#slots = slots
    } else if (this.#chance(0.4)) {
      const end = this.#label()
      this.#emit(`goto ${end}`)
      this.#place(label)
      const [after, afterSlots] = [this.#kinds, this.#slots]
      this.#kinds = before
      this.#slots = slots
      this.#block(1 + this.#below(3))
      this.#place(end)
      this.#join(after, afterSlots)
      this.#depth--
      return
    } else this.#join(before, slots)
    this.#place(label)
    this.#depth--
  }

  /** What both paths hold. */
  #join(kinds: ReadonlyMap<number, Kind>, slots: ReadonlyMap<number, Kind>): void {
    for (const [register, kind] of this.#kinds)
      if (kinds.get(register) !== kind) this.#kinds.set(register, 'none')
    for (const [slot, kind] of this.#slots) if (slots.get(slot) !== kind) this.#slots.set(slot, 'none')
  }

  #access(): void {
    const size = this.#pick(SIZES)
    const bytes = BYTES[size]
    const place = this.#place_(size, bytes)
    if (place === undefined) return this.#constant()
    if (place.startsWith('ctx')) {
      const to = this.#target()
      this.#emit(`r${to} = *(${place.slice(4)}`)
      this.#kinds.set(to, 'number')
      return
    }
    const choice = this.#below(4)
    const from = this.#registerOf('number')
    if (choice === 0 && from !== undefined) return this.#emit(`*(${size} *)${place} = r${from}`)
    if (choice === 1) return this.#emit(`*(${size} *)${place} = ${this.#pick(IMMEDIATES)}`)
    const to = this.#target()
    const signed = size !== 'u64' && this.#chance(0.3)
    this.#emit(`r${to} = *(${signed ? size.replace('u', 's') : size} *)${place}`)
    this.#kinds.set(to, 'number')
  }

  /** Somewhere to load from: `(r7 +8)`, or `ctx …` */
  #place_(size: string, bytes: number): string | undefined {
    const kind = this.#pick(['value', 'value', 'stack', 'packet', 'record', 'ctx'] as const)
    if (kind === 'ctx') {
      const ctx = this.#registerOf('ctx')
      return ctx === undefined
        ? undefined
        : `ctx ${this.#pick(this.#flavour.context).replace('ctx', `r${ctx}`)}`
    }
    if (kind === 'stack') {
      const offset = this.#chance(0.95)
        ? -bytes * (1 + this.#below(48 / bytes))
        : this.#pick([-3, 0, -512, -520])
      for (const slot of [Math.ceil(-offset / 8)]) this.#slots.set(slot, 'number')
      return `(r10 ${offset < 0 ? offset : `+${offset}`})`
    }
    const base = this.#registerOf(kind)
    if (base === undefined) return undefined
    const limit = kind === 'value' ? VALUE_SIZE : 8
    const offset = this.#chance(0.93)
      ? this.#below(Math.max(1, (limit - bytes) / bytes + 1)) * bytes
      : this.#pick([-1, limit - bytes + 1, limit, 100])
    void size
    return `(r${base} ${offset < 0 ? offset : `+${offset}`})`
  }

  #spillOrFill(): void {
    const slot = 1 + this.#below(STACK_SLOTS)
    const known = this.#slots.get(slot)
    if (known !== undefined && known !== 'none' && this.#chance(0.6)) {
      const to = this.#target()
      this.#emit(`r${to} = *(u64 *)(r10 -${slot * 8})`)
      this.#kinds.set(to, known)
      return
    }
    const from = this.#someRegister()
    const kind = this.#kinds.get(from) ?? 'none'
    if (kind === 'record' || kind === 'record?') return
    const size = kind === 'number' && this.#chance(0.3) ? this.#pick(SIZES) : 'u64'
    this.#emit(`*(${size} *)(r10 -${slot * 8}) = r${from}`)
    this.#slots.set(slot, size === 'u64' ? kind : 'number')
  }

  #lookup(): void {
    this.#emit('*(u64 *)(r10 -56) = 0')
    this.#emit('r2 = r10')
    this.#emit('r2 += -56')
    this.#emit(`r1 = map[${this.#pick(['values', 'values', 'array'])}]`)
    this.#emit('call bpf_map_lookup_elem')
    this.#clobber()
    const to = this.#saved()
    if (this.#isForeseen || this.#chance(0.9)) {
      this.#emit(this.#isForeseen || this.#chance(0.8) ? 'if r0 != 0 goto pc+2' : 'if r0 s> 0 goto pc+2')
      this.#emit('r0 = 0')
      this.#emit('exit')
      this.#kinds.set(0, 'value')
      this.#emit(`r${to} = r0`)
      this.#kinds.set(to, 'value')
    } else {
      this.#emit(`r${to} = r0`)
      this.#kinds.set(0, 'value?')
      this.#kinds.set(to, 'value?')
    }
  }

  /** A pointer moves by a number: bounded, or not quite. */
  #index(): void {
    const base = this.#registerOf('value')
    const number = this.#registerOf('number')
    if (base === undefined || number === undefined) return this.#lookup()
    if (base === 10 || number === 10) return
    const choice = this.#below(6)
    if (choice < 3) this.#emit(`r${number} &= ${this.#pick(MASKS)}`)
    else if (choice < 5) {
      const label = this.#label()
      this.#emit(
        `if ${this.#chance(0.8) ? 'r' : 'w'}${number} ${this.#pick(['<', '<=', 's<'])} ${this.#pick([8, 15, 16, 7])} goto ${label}`,
      )
      this.#emit('r0 = 0')
      this.#emit('exit')
      this.#place(label)
    }
    const to = this.#saved()
    if (to === base || to === number) return
    this.#emit(`r${to} = r${base}`)
    this.#emit(`r${to} ${this.#chance(0.9) ? '+=' : '-='} r${number}`)
    const size = this.#chance(0.7) ? 'u8' : this.#pick(SIZES)
    const offset = this.#pick([0, 0, 0, 1, 8, -1])
    const place = `*(${size} *)(r${to} ${offset < 0 ? offset : `+${offset}`})`
    const result = this.#target()
    if (this.#chance(0.6)) {
      this.#emit(`r${result} = ${place}`)
      this.#kinds.set(result, 'number')
    } else this.#emit(`${place} = ${this.#pick(IMMEDIATES)}`)
    if (result !== to || !this.#kinds.has(to)) this.#kinds.set(to, 'none')
  }

  #packet(): void {
    const ctx = this.#registerOf('ctx')
    const { packet } = this.#flavour
    if (packet === undefined || ctx === undefined) return this.#access()
    const data = this.#saved()
    const end = this.#target()
    const limit = this.#target()
    if (new Set([data, end, limit, ctx]).size < 4) return
    this.#emit(`r${data} = *(u32 *)(r${ctx} +${packet[0]})`)
    this.#emit(`r${end} = *(u32 *)(r${ctx} +${packet[1]})`)
    this.#emit(`r${limit} = r${data}`)
    this.#emit(`r${limit} += ${this.#pick([8, 8, 8, 14, 7])}`)
    const label = this.#label()
    this.#emit(
      this.#pick([
        `if r${limit} <= r${end} goto ${label}`,
        `if r${end} >= r${limit} goto ${label}`,
        `if r${limit} < r${end} goto ${label}`,
      ]),
    )
    this.#emit('r0 = 0')
    this.#emit('exit')
    this.#place(label)
    this.#kinds.set(data, 'packet')
    this.#kinds.set(end, 'end')
    this.#kinds.set(limit, 'none')
  }

  #record(): void {
    this.#emit('r1 = map[ring]')
    this.#emit('r2 = 8')
    this.#emit('r3 = 0')
    this.#emit('call bpf_ringbuf_reserve')
    this.#clobber()
    const to = this.#saved()
    const label = this.#label()
    if (this.#chance(0.95)) this.#emit(`if r0 == 0 goto ${label}`)
    this.#emit(`r${to} = r0`)
    const before = new Map(this.#kinds)
    this.#kinds.set(to, 'record')
    this.#reserved.add(to)
    this.#depth++
    if (this.#depth < MAX_DEPTH) this.#block(this.#below(3))
    this.#depth--
    this.#reserved.delete(to)
    if (this.#chance(0.95)) {
      this.#emit(`r1 = r${to}`)
      this.#emit('r2 = 0')
      this.#emit(`call bpf_ringbuf_${this.#chance(0.7) ? 'submit' : 'discard'}`)
    }
    this.#clobber()
    this.#kinds.set(to, 'none')
    this.#place(label)
    this.#join(before, this.#slots)
    this.#kinds.set(0, 'none')
    this.#kinds.set(to, 'none')
  }

  #atomic(): void {
    const number = this.#registerOf('number')
    if (number === undefined) return this.#constant()
    const base = this.#chance(0.5) ? this.#registerOf('value') : 10
    const size = this.#chance(0.5) ? 'u64' : 'u32'
    const bits = size === 'u64' ? '64' : ''
    const place = base === 10 || base === undefined ? '(r10 -16)' : `(r${base} +8)`
    if (base === 10 || base === undefined) this.#slots.set(2, 'number')
    const operation = this.#pick(['add', 'or', 'and', 'xor'])
    const line = this.#pick([
      `lock *(${size} *)${place} ${this.#pick(['+=', '|=', '&=', '^='])} r${number}`,
      `r${number} = atomic${bits}_fetch_${operation}((${size} *)${place}, r${number})`,
      `r${number} = atomic${bits}_xchg((${size} *)${place}, r${number})`,
    ])
    this.#emit(line)
  }

  #loop(): void {
    if (this.#depth >= MAX_DEPTH) return this.#arithmetic()
    const counter = this.#saved()
    const label = this.#label()
    const end = this.#label()
    const isMayGoto = this.#chance(0.3)
    this.#emit(`r${counter} = 0`)
    this.#kinds.set(counter, 'number')
    this.#reserved.add(counter)
    const before = new Map(this.#kinds)
    const slots = new Map(this.#slots)
    this.#place(label)
    if (isMayGoto) this.#emit(`may_goto ${end}`)
    this.#depth++
    this.#block(1 + this.#below(3))
    this.#depth--
    this.#emit(`r${counter} += 1`)
    this.#emit(
      isMayGoto && this.#chance(0.5)
        ? `goto ${label}`
        : `if r${counter} ${this.#pick(['<', '!=', 's<', '<'])} ${1 + this.#below(16)} goto ${label}`,
    )
    this.#place(end)
    this.#reserved.delete(counter)
    this.#join(before, slots)
  }

  /** A function of the program: of a number, and of a pointer to the stack or a value. */
  #call(): void {
    if (this.#functions.length >= 2 || this.#depth >= MAX_DEPTH) return this.#helper()
    const name = `sub${this.#functions.length}`
    const number = this.#registerOf('number')
    const value = this.#registerOf('value')
    this.#emit(number === undefined ? 'r3 = 7' : `r3 = r${number}`)
    if (value === undefined) this.#emit('*(u64 *)(r10 -8) = 0')
    if (value === undefined) this.#slots.set(1, 'number')
    this.#emit(value === undefined ? 'r2 = r10' : `r2 = r${value}`)
    if (value === undefined) this.#emit('r2 += -8')
    this.#emit('r1 = r3')
    this.#emit(`call ${name}`)
    this.#clobber()
    this.#kinds.set(0, 'number')
    const kinds = new Map<number, Kind>([[1, 'number']])
    if (value !== undefined) kinds.set(2, 'value')
    this.#function(name, kinds, [])
  }

  /** @param kinds of what it gets */
  #function(name: string, kinds: Map<number, Kind>, start: readonly string[]): void {
    const saved = [this.#kinds, this.#slots, this.#depth] as const
    const main = this.#lines.splice(0)
    this.#functions.push([])
    const index = this.#functions.length - 1
    this.#kinds = kinds.set(10, 'stack')
    this.#slots = new Map()
    this.#depth = 2
    for (const line of start) this.#emit(line)
    if (this.#isForeseen) this.#initializeStack()
    this.#block(1 + this.#below(4))
    if (this.#kinds.get(0) !== 'number' || name.startsWith(CALLBACK)) this.#emit(`r0 = ${this.#below(2)}`)
    this.#emit('exit')
    this.#functions[index] = [`${name}:`, ...this.#lines.splice(0)]
    this.#lines.push(...main)
    ;[this.#kinds, this.#slots, this.#depth] = saved
  }

  #callback(): void {
    if (this.#functions.length >= 2 || this.#depth > 0) return this.#helper()
    const name = `${CALLBACK}${this.#functions.length}`
    this.#head.push(`func ${name} = static int ${name}(u32 i, void *ctx)`)
    this.#emit('*(u64 *)(r10 -8) = 0')
    this.#slots.set(1, 'none')
    this.#emit(`r1 = ${this.#pick([1, 3, 10])}`)
    this.#emit(`r2 = subprog[${name}]`)
    this.#emit('r3 = r10')
    this.#emit('r3 += -8')
    this.#emit('r4 = 0')
    this.#emit('call bpf_loop')
    this.#clobber()
    this.#kinds.set(0, 'number')
    const start = ['r6 = *(u64 *)(r2 +0)', `r6 ${this.#pick(['+=', '^=', '|=', '&='])} ${this.#pick(MASKS)}`]
    if (this.#chance(0.5)) start.push('r6 += r1')
    start.push('*(u64 *)(r2 +0) = r6')
    if (this.#chance(0.5)) {
      start.push(this.#chance(0.9) ? `r0 = ${this.#below(2)}` : 'r0 = r6')
      this.#functions.push([`${name}:`, ...start.map((line) => `  ${line}`), '  exit'])
    } else {
      const kinds = [1, 6] as const
      this.#function(name, new Map(kinds.map((register) => [register, 'number'])), start)
    }
    this.#slots.set(1, 'number')
  }

  /** One that only whoever runs the program knows: from the context, or a value. */
  #number(): void {
    const value = this.#registerOf('value')
    const ctx = this.#registerOf('ctx')
    const to = this.#target()
    if (value !== undefined && this.#chance(0.6))
      this.#emit(`r${to} = *(${this.#pick(['u64', 'u32', 's32', 's8'])} *)(r${value} +8)`)
    else if (ctx !== undefined)
      this.#emit(`r${to} = *(${this.#pick(this.#flavour.context).replace('ctx', `r${ctx}`)}`)
    else return this.#constant()
    this.#kinds.set(to, 'number')
  }

  #helper(): void {
    if (this.#isForeseen) return this.#number()
    const helper = this.#pick([
      'bpf_get_prandom_u32',
      'bpf_get_prandom_u32',
      'bpf_ktime_get_ns',
      ...this.#flavour.helpers,
    ])
    const ctx = this.#registerOf('ctx')
    if (helper === 'bpf_get_hash_recalc') {
      if (ctx === undefined) return
      this.#emit(`r1 = r${ctx}`)
    }
    this.#emit(`call ${helper}`)
    this.#clobber()
    this.#kinds.set(0, 'number')
    const to = this.#saved()
    this.#emit(`r${to} = r0`)
    this.#kinds.set(to, 'number')
  }

  #move(): void {
    const from = this.#someRegister()
    const kind = this.#kinds.get(from) ?? 'none'
    if (kind === 'record' || kind === 'record?') return
    const to = this.#target()
    const isHalf = kind === 'number' && this.#chance(0.3)
    this.#emit(isHalf ? `w${to} = w${from}` : `r${to} = r${from}`)
    this.#kinds.set(to, kind)
  }

  #finish(): void {
    if (this.#isForeseen) this.#show()
    const number = this.#registerOf('number')
    if (this.#chance(0.6) && number !== undefined) this.#emit(`r0 = r${number}`)
    else this.#emit('r0 = 0')
    this.#emit('exit')
  }

  /** A helper spoils r0 to r5. */
  #clobber(): void {
    for (let register = 0; register <= 5; register++) this.#kinds.delete(register)
  }

  #emit(line: string): void {
    this.#lines.push(`  ${line}`)
  }

  #label(): string {
    return `l${this.#labels++}`
  }

  #place(label: string): void {
    this.#lines.push(`${label}:`)
  }

  /** Where a result goes: not into a counter. */
  #target(): number {
    for (let i = 0; i < 20; i++) {
      const register = this.#below(10)
      if (!this.#reserved.has(register) && (register !== 6 || this.#chance(0.1))) return register
    }
    return 0
  }

  /** One that survives calls. */
  #saved(): number {
    const free = [7, 8, 9].filter((register) => !this.#reserved.has(register))
    return free.length === 0 ? 6 : this.#pick(free)
  }

  #registerOf(kind: Kind): number | undefined {
    const found = [...this.#kinds].flatMap(([register, each]) => (each === kind ? [register] : []))
    const writable = kind === 'number' ? found.filter((register) => !this.#reserved.has(register)) : found
    return writable.length === 0 ? undefined : this.#pick(writable)
  }

  /** One that holds something. */
  #someRegister(): number {
    const found = [...this.#kinds].flatMap(([register, each]) => (each === 'none' ? [] : [register]))
    return found.length === 0 ? 10 : this.#pick(found)
  }

  #anyRegister(): number {
    return this.#below(11)
  }

  #below(limit: number): number {
    return this.#random.below(Math.max(1, Math.floor(limit)))
  }

  #chance(probability: number): boolean {
    return this.#random.chance(probability)
  }

  #pick<T>(list: readonly T[]): T {
    // Never empty where it is called.
    return list[this.#below(list.length)] as T
  }
}
