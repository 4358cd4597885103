/** Types written down in JavaScript, or named in an object file: for maps that no object defines. */
import { BtfBuilder } from './btf/builder.js'
import { parseBtf } from './btf/parse.js'
import { findType, sizeOf } from './btf/query.js'
import { copyType } from './btf/subset.js'
import type { Btf, TypeId } from './btf/types.js'
import { BpfError } from './errors.js'
import { didYouMean, nearest } from './nearest.js'

/**
 * - the name of a scalar: `'u8'` … `'u64'`, `'s8'` … `'s64'`, `'bool'`, `'char'`;
 * - an array: `'char[16]'`, `'u8[4]'`;
 * - a type of the object file that is given with it: `'struct event'`, `'enum state'`, `'pid_t'`;
 * - a struct, by its members in order, aligned as C does: `{ prefixlen: 'u32', address: 'u8[4]' }`.
 */
export type TypeDescriptor = string | { readonly [member: string]: TypeDescriptor }

interface Placed {
  readonly id: TypeId
  readonly size: number
  readonly align: number
}

interface Scalar {
  readonly size: number
  readonly signed?: boolean
  readonly char?: boolean
  readonly bool?: boolean
}

const SCALARS: Readonly<Record<string, Scalar>> = {
  u8: { size: 1 },
  u16: { size: 2 },
  u32: { size: 4 },
  u64: { size: 8 },
  s8: { size: 1, signed: true },
  s16: { size: 2, signed: true },
  s32: { size: 4, signed: true },
  s64: { size: 8, signed: true },
  bool: { size: 1, bool: true },
  // As clang writes it: the codec makes strings of arrays of it.
  char: { size: 1, signed: true },
}
const KINDS = ['struct', 'union', 'enum', 'enum64', 'typedef', 'int'] as const
const LARGEST = 2 ** 31 - 1

/** Types that were described, in one BTF blob of their own. */
export interface DescribedTypes {
  readonly btf: Btf
  /** In the order of the descriptors; undefined where there was none. */
  readonly types: readonly ({ readonly id: TypeId; readonly size: number } | undefined)[]
}

/**
 * @param source types that descriptors may name
 * @throws BpfError `BAD_VALUE` naming what is no type
 */
export function describeTypes(
  descriptors: readonly (TypeDescriptor | undefined)[],
  source: Btf | undefined,
): DescribedTypes {
  const types = new DescribedTypesBuilder(source)
  const placed = descriptors.map((descriptor) =>
    descriptor === undefined ? undefined : types.place(descriptor),
  )
  return { btf: types.finish(), types: placed }
}

class DescribedTypesBuilder {
  readonly #builder = new BtfBuilder()
  readonly #source: Btf | undefined
  readonly #known = new Map<string, Placed>()

  constructor(source: Btf | undefined) {
    this.#source = source
  }

  finish(): Btf {
    return parseBtf(this.#builder.finish())
  }

  place(descriptor: TypeDescriptor): Placed {
    if (typeof descriptor === 'string') return this.#named(descriptor)
    if (typeof descriptor === 'object' && descriptor !== null) return this.#struct(descriptor)
    throw new BpfError('BAD_VALUE', `a type is a name or an object of members, not ${String(descriptor)}`)
  }

  #named(name: string): Placed {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const placed = this.#array(name) ?? this.#scalar(name) ?? this.#fromSource(name)
    this.#known.set(name, placed)
    return placed
  }

  #scalar(name: string): Placed | undefined {
    const scalar = Object.hasOwn(SCALARS, name) ? SCALARS[name] : undefined
    if (scalar === undefined) return undefined
    return { id: this.#builder.int(name, scalar.size, scalar), size: scalar.size, align: scalar.size }
  }

  #array(name: string): Placed | undefined {
    const [, elementName = '', digits] = /^(.*)\[(\d+)\]$/.exec(name) ?? []
    if (digits === undefined) return undefined
    const length = Number(digits)
    const element = this.#named(elementName.trim())
    if (length * element.size > LARGEST) throw new BpfError('BAD_VALUE', `type '${name}' is too large`)
    const index = this.#named('u32')
    return {
      id: this.#builder.array(element.id, length, index.id),
      size: element.size * length,
      align: element.align,
    }
  }

  #struct(members: Readonly<Record<string, TypeDescriptor>>): Placed {
    let end = 0
    let align = 1
    const placed = Object.entries(members).map(([name, descriptor]) => {
      const member = this.place(descriptor)
      const offset = roundUp(end, member.align)
      end = offset + member.size
      align = Math.max(align, member.align)
      return [name, member.id, offset] as const
    })
    const size = roundUp(end, align)
    return { id: this.#builder.struct('', placed, size), size, align }
  }

  #fromSource(name: string): Placed {
    const source = this.#source
    if (source === undefined) {
      const scalar = nearest(name, Object.keys(SCALARS))
      throw new BpfError('BAD_VALUE', `there is no type '${name}'`, {
        hint:
          scalar === undefined
            ? "Give the object file that defines it: { file: 'x.bpf.o' }"
            : `Did you mean '${scalar}'? Other types than scalars come from an object file: { file: 'x.bpf.o' }`,
      })
    }
    const [, kind, bare = name] = /^(struct|union|enum) +(.+)$/.exec(name) ?? []
    const kinds = KINDS.filter((candidate) => kind === undefined || candidate.startsWith(kind))
    for (const candidate of kinds) {
      const found = findType(source, bare, candidate)
      if (found === undefined) continue
      const size = sizeOf(source, found.id)
      // The alignment that C gave it isn't in BTF: 8 is right for whatever a struct of ours holds it in.
      return {
        id: copyType(this.#builder, source, found.id),
        size,
        align: size % 8 === 0 ? 8 : largestPower(size),
      }
    }
    const names = source.types.flatMap((type) => ('name' in type && type.name !== '' ? [type.name] : []))
    const hint = didYouMean(bare, names)
    throw new BpfError(
      'NOT_FOUND',
      `the object file has no type '${name}'`,
      hint === undefined ? {} : { hint },
    )
  }
}

/** The largest power of two that divides a size, up to 8. */
function largestPower(size: number): number {
  return [8, 4, 2].find((power) => size % power === 0) ?? 1
}

function roundUp(value: number, align: number): number {
  return Math.ceil(value / align) * align
}
