/** Variables of the simulated kernel: what a program's `extern … __ksym` stands for. */
import { BpfError } from '../../errors.js'
import { describe } from '../describe.js'
import { Access, KERNEL_HI, type Memory } from '../memory.js'
import { type ChangeCounter, KernelStruct, type FieldValues } from './kernel-struct.js'
import type { ObjectSpace } from './layout.js'

/** Bytes, or a struct's values by member. */
export type VariableContents = Uint8Array | FieldValues

/**
 * A variable of the simulated kernel: its contents; an array of them, by CPU, for one that each CPU has its own of (CPUs behind its end have zeroes);
 * or a bigint, the address of something of which nothing else is known, for `extern const void … __ksym`.
 */
export type KernelVariable = VariableContents | readonly VariableContents[] | bigint

/** A 64-bit address, as two signed halves. */
export interface WideAddress {
  readonly low: number
  readonly high: number
}

/** One copy of a variable: bytes that are placed, or an object that each space of types places for itself. */
type Copy = { readonly address: number } | { readonly fields: FieldValues; struct: KernelStruct | undefined }

/** A variable as programs find it. */
export class Variable {
  readonly name: string
  /** undefined: an address alone. */
  readonly copies: readonly Copy[] | undefined
  readonly isPerCpu: boolean
  /** Bytes of the shortest copy that was given as bytes. */
  readonly #size: number
  readonly #changes: ChangeCounter
  /** What stands for all copies, or the address that was given. */
  readonly #base: WideAddress | undefined

  /** @throws BpfError `BAD_VALUE` for what is no value of a variable */
  constructor(memory: Memory, changes: ChangeCounter, cpus: number, name: string, value: unknown) {
    this.name = name
    this.#changes = changes
    this.isPerCpu = Array.isArray(value)
    if (typeof value === 'bigint') {
      this.#size = 0
      this.#base = {
        low: Number(BigInt.asIntN(32, value)),
        high: Number(BigInt.asIntN(32, value >> 32n)),
      }
      return
    }
    const given: readonly unknown[] = Array.isArray(value) ? value : [value]
    if (given.length > Math.max(1, cpus) || !given.every(isContents))
      throw new BpfError(
        'BAD_VALUE',
        given.every(isContents)
          ? `option variables: '${name}' has ${given.length} copies, and the kernel ${cpus} CPUs`
          : `option variables: '${name}' is bytes, values by member, an array of these by CPU, or an address (bigint), not ${describe(value)}`,
      )
    const contents = this.isPerCpu ? filled(given, cpus) : given
    this.#size = Math.min(...contents.map((one) => (one instanceof Uint8Array ? one.length : Infinity)))
    this.copies = contents.map((one) => place(memory, name, one))
    // Nobody reads at the address that stands for all of them.
    if (this.isPerCpu)
      this.#base = { low: memory.alloc(8, Access.none, 16, `per-CPU variable '${name}'`), high: KERNEL_HI }
  }

  /**
   * The type by which programs know it.
   *
   * @param struct its name; undefined: it is no struct
   * @throws BpfError `BAD_VALUE` where it has too few bytes, or values of members and none
   */
  bind(struct: string | undefined, size: number): void {
    if (this.#size < size)
      throw new BpfError(
        'BAD_VALUE',
        `kernel variable '${this.name}' has ${this.#size} bytes, and its type ${size}`,
      )
    for (const copy of this.copies ?? []) {
      if ('address' in copy || (copy.struct !== undefined && copy.struct.type === struct)) continue
      if (struct === undefined || copy.struct !== undefined)
        throw new BpfError(
          'BAD_VALUE',
          struct === undefined
            ? `kernel variable '${this.name}' is no struct: it takes bytes`
            : `kernel variable '${this.name}' is a struct ${copy.struct?.type ?? ''} elsewhere, not a struct ${struct}`,
        )
      copy.struct = new KernelStruct(struct, copy.fields, this.#changes, 'test')
    }
  }

  /**
   * What a program gets for its address; undefined: only one that knows its type finds it.
   *
   * @throws BpfError `BAD_VALUE` for members that the type doesn't have
   */
  addressIn(space: ObjectSpace): WideAddress | undefined {
    // Values that don't suit the type are found now.
    this.copies?.forEach((_copy, cpu) => this.copyIn(space, cpu))
    if (this.#base !== undefined) return this.#base
    const low = this.copyIn(space, 0)
    return low === 0 ? undefined : { low, high: KERNEL_HI }
  }

  /** Low half of the address of a CPU's copy; 0: there is none. */
  copyIn(space: ObjectSpace, cpu: number): number {
    const copy = this.copies?.[cpu]
    if (copy === undefined) return 0
    if ('address' in copy) return copy.address
    return copy.struct === undefined ? 0 : space.addressOf(copy.struct)
  }

  /** Low half of the address that stands for all copies of a per-CPU variable. */
  get base(): number | undefined {
    return this.isPerCpu ? this.#base?.low : undefined
  }
}

/** The variables that one kernel was given. */
export class Variables {
  readonly #byName = new Map<string, Variable>()
  readonly #perCpu = new Map<number, Variable>()

  /** @throws BpfError `BAD_VALUE` */
  constructor(
    memory: Memory,
    changes: ChangeCounter,
    cpus: number,
    given: Readonly<Record<string, KernelVariable>>,
  ) {
    if (typeof given !== 'object' || given === null)
      throw new BpfError(
        'BAD_VALUE',
        `option variables takes values by name: { cpu_number: [bytes, …] }, not ${describe(given)}`,
      )
    for (const [name, value] of Object.entries(given)) {
      const variable = new Variable(memory, changes, cpus, name, value)
      this.#byName.set(name, variable)
      if (variable.base !== undefined) this.#perCpu.set(variable.base, variable)
    }
  }

  get(name: string): Variable | undefined {
    return this.#byName.get(name)
  }

  /** The per-CPU variable that an address stands for. */
  perCpuAt(base: number): Variable | undefined {
    return this.#perCpu.get(base)
  }

  /** Objects among them: they exist as long as the kernel. */
  *structs(): Generator<KernelStruct, void, undefined> {
    for (const { copies = [] } of this.#byName.values())
      for (const copy of copies) if ('struct' in copy && copy.struct !== undefined) yield copy.struct
  }
}

function isContents(value: unknown): value is VariableContents {
  if (value instanceof Uint8Array) return value.length > 0
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof KernelStruct)
  )
}

/** One for each CPU. */
function filled(given: readonly VariableContents[], cpus: number): readonly VariableContents[] {
  const bytes = given.filter((one) => one instanceof Uint8Array)
  const rest = bytes.length === 0 ? {} : new Uint8Array(Math.max(...bytes.map(({ length }) => length)))
  return Array.from({ length: cpus }, (_unused, cpu) => given[cpu] ?? rest)
}

function place(memory: Memory, name: string, contents: VariableContents): Copy {
  if (!(contents instanceof Uint8Array)) return { fields: contents, struct: undefined }
  const address = memory.alloc(contents.length, Access.read, 64, `kernel variable '${name}'`)
  memory.u8.set(contents, address)
  return { address }
}
