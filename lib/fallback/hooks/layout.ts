/**
 * Simulated kernel objects as bytes: the layout is that of a program's target BTF, and what the program sees is read-only.
 */
import { findType, resolveType, sizeOf, typeById, typeName, type BtfComposite } from '../../btf/query.js'
import type { Btf, BtfMember, TypeId } from '../../btf/types.js'
import { BpfError } from '../../errors.js'
import { isStructMember } from '../../linux/struct-members.js'
import { didYouMean } from '../../nearest.js'
import { essentialName } from '../loader/core/names.js'
import { Access, KERNEL_HI, type Memory } from '../memory.js'
import { KernelStruct, type FieldValue, type FieldValues } from './kernel-struct.js'

interface Placed {
  readonly address: number
  readonly type: { readonly id: TypeId; readonly type: BtfComposite } | undefined
  /** Version of the object that the bytes show. */
  version: number
  /** Texts that its pointers point to. */
  texts: readonly number[]
}

/** Objects up to which none is looked for that has died. */
const FIRST_SWEEP = 64

const encoder = new TextEncoder()

/** The objects that programs of one target BTF can see. */
export class ObjectSpace {
  readonly #memory: Memory
  readonly #btf: Btf | undefined
  readonly #programBtf: Btf | undefined
  readonly #placed = new Map<KernelStruct, Placed>()
  readonly #byAddress = new Map<number, KernelStruct>()
  #seen = 0
  #sweepAt = FIRST_SWEEP

  /**
   * @param btf of the target; undefined: programs without type information can hold pointers, but read nothing through them
   * @param programBtf of the programs: they may know members that the target lacks
   */
  constructor(memory: Memory, btf: Btf | undefined, programBtf: Btf | undefined) {
    this.#memory = memory
    this.#btf = btf
    this.#programBtf = programBtf
  }

  /** Low half of the object's address here; it stays the same until `forget`. */
  addressOf(object: KernelStruct): number {
    const known = this.#placed.get(object)
    if (known !== undefined) return known.address
    const type = this.#btf === undefined ? undefined : findStruct(this.#btf, object.type)
    // An object of an unknown type has an address too; nothing can be read there.
    const address =
      type === undefined
        ? this.#memory.alloc(8, Access.none, 16, `struct ${object.type}`)
        : this.#memory.alloc(type.type.size, Access.read, 64, `struct ${object.type}`)
    const placed: Placed = { address, type, version: 0, texts: [] }
    this.#placed.set(object, placed)
    this.#byAddress.set(address, object)
    try {
      this.#encode(object, placed)
    } catch (error) {
      this.forget(object)
      throw error
    }
    return address
  }

  /** The object that starts at an address. */
  objectAt(address: number): KernelStruct | undefined {
    return this.#byAddress.get(address)
  }

  /**
   * Brings the bytes of all objects up to date.
   * @param changes count of changes so far
   */
  refresh(changes: number): void {
    if (changes === this.#seen) return
    // Encoding may add objects; they are up to date, and a Map's iteration comes to them at the end.
    for (const [object, placed] of this.#placed)
      if (placed.version !== object.version) this.#encode(object, placed)
    this.#seen = changes
  }

  /**
   * Takes back the memory of objects that nothing refers to any more, once there are many. Not while a program runs: it may hold their
   * addresses.
   * @param roots what exists by itself
   */
  sweep(roots: () => Iterable<KernelStruct>): void {
    if (this.#placed.size <= this.#sweepAt) return
    const alive = new Set<KernelStruct>()
    for (const root of roots()) mark(root, alive)
    for (const object of this.#placed.keys()) if (!alive.has(object)) this.forget(object)
    this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#placed.size)
  }

  /** Takes an object's memory back. */
  forget(object: KernelStruct): void {
    const placed = this.#placed.get(object)
    if (placed === undefined) return
    this.#placed.delete(object)
    this.#byAddress.delete(placed.address)
    this.#memory.free(placed.address)
    for (const text of placed.texts) this.#memory.free(text)
  }

  close(): void {
    for (const object of this.#placed.keys()) this.forget(object)
  }

  #encode(object: KernelStruct, placed: Placed): void {
    placed.version = object.version
    if (placed.type === undefined || this.#btf === undefined) return
    const { size } = placed.type.type
    const texts: number[] = []
    const bytes = new Uint8Array(size)
    const isKnown = (struct: string, member: string): boolean =>
      object.origin === 'simulation' || isStructMember(struct, member) || this.#programsKnow(struct, member)
    const writer = new Writer(this.#btf, bytes, isKnown, {
      object: (pointee) => this.addressOf(pointee),
      text: (text) => {
        const address = this.#text(text)
        texts.push(address)
        return address
      },
    })
    writer.composite(placed.type.type, object.fields, 0, object.type)
    // Only now: whatever was allocated on the way may have moved the view of the memory.
    this.#memory.u8.set(bytes, placed.address)
    for (const text of placed.texts) this.#memory.free(text)
    placed.texts = texts
  }

  /** Whether a struct of that name, or a flavour of it, has the member in the programs' own types. */
  #programsKnow(struct: string, name: string): boolean {
    return (this.#programBtf?.types ?? []).some(
      (type) =>
        isComposite(type) &&
        essentialName(type.name) === struct &&
        type.members.some((member) => member.name === name),
    )
  }

  #text(text: string): number {
    const bytes = encoder.encode(text)
    const address = this.#memory.alloc(bytes.length + 1, Access.read, 8, `string '${text.slice(0, 32)}'`)
    this.#memory.u8.set(bytes, address)
    return address
  }
}

/** Places what pointers point to. @returns low half of the address */
interface Pointees {
  object(object: KernelStruct): number
  text(text: string): number
}

class Writer {
  readonly #btf: Btf
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #isKnown: (struct: string, member: string) => boolean
  readonly #pointees: Pointees

  /** @param isKnown whether a member that the target lacks may be left out */
  constructor(
    btf: Btf,
    bytes: Uint8Array,
    isKnown: (struct: string, member: string) => boolean,
    pointees: Pointees,
  ) {
    this.#btf = btf
    this.#bytes = bytes
    this.#isKnown = isKnown
    this.#view = new DataView(bytes.buffer)
    this.#pointees = pointees
  }

  /** @throws BpfError `BAD_VALUE` for a member that doesn't exist, or a value that doesn't fit */
  composite(type: BtfComposite, fields: FieldValues, bitOffset: number, path: string): void {
    const members = new Set<string>()
    this.#fill(type, fields, bitOffset, path, members)
    for (const name of Object.keys(fields)) {
      if (members.has(name) || this.#isKnown(essentialName(type.name), name)) continue
      throw badField(`${path}.${name}`, 'there is no such member', didYouMean(name, members))
    }
  }

  /** @param members gets the names of all members, those of anonymous structs and unions among them */
  #fill(
    type: BtfComposite,
    fields: FieldValues,
    bitOffset: number,
    path: string,
    members: Set<string>,
  ): void {
    for (const member of type.members) {
      if (member.name === '') {
        const inner = resolveType(this.#btf, member.type)
        if (isComposite(inner)) this.#fill(inner, fields, bitOffset + member.bitOffset, path, members)
        continue
      }
      members.add(member.name)
      const value = fields[member.name]
      if (value !== undefined)
        this.#member(member, value, bitOffset + member.bitOffset, `${path}.${member.name}`)
    }
  }

  #member(member: BtfMember, value: FieldValue, bitOffset: number, path: string): void {
    if (member.bitSize === 0) {
      this.#value(member.type, value, bitOffset / 8, path)
      return
    }
    let bits = integer(value, path)
    for (let i = bitOffset; i < bitOffset + member.bitSize; i++, bits >>= 1n) {
      const mask = 1 << (i % 8)
      const byte = this.#bytes[i >> 3] ?? 0
      this.#bytes[i >> 3] = (bits & 1n) === 1n ? byte | mask : byte & ~mask
    }
  }

  #value(id: TypeId, value: FieldValue, offset: number, path: string): void {
    const type = resolveType(this.#btf, id)
    switch (type.kind) {
      case 'int':
      case 'enum':
      case 'enum64':
        this.#integer(integer(value, path), offset, type.size)
        return
      case 'ptr':
        this.#pointer(value, offset, path)
        return
      case 'array':
        this.#array(type.type, type.length, value, offset, path)
        return
      case 'struct':
      case 'union':
        if (isFields(value)) this.composite(type, value, offset * 8, path)
        else this.#firstMember(type, value, offset, path)
        return
      default:
        throw badField(path, `a ${typeName(this.#btf, id)} can't be simulated`)
    }
  }

  #firstMember(type: BtfComposite, value: FieldValue, offset: number, path: string): void {
    const first = type.members[0]
    if (first === undefined) throw badField(path, `an empty struct takes no value`)
    this.#member(first, value, offset * 8 + first.bitOffset, `${path}.${first.name}`)
  }

  #array(element: TypeId, length: number, value: FieldValue, offset: number, path: string): void {
    const size = sizeOf(this.#btf, element)
    if (typeof value === 'string' || value instanceof Uint8Array) {
      if (size !== 1) throw badField(path, `an array of ${typeName(this.#btf, element)} takes an array`)
      // A text that is too long is cut, and ends with a NUL, as the kernel's own do.
      const text = typeof value === 'string'
      const bytes = text ? encoder.encode(value) : value
      this.#bytes.set(bytes.subarray(0, text ? Math.max(0, length - 1) : length), offset)
      return
    }
    if (!isList(value)) throw badField(path, 'an array takes an array, a string or bytes')
    value
      .slice(0, length)
      .forEach((item, i) => this.#value(element, item, offset + i * size, `${path}[${i}]`))
  }

  #pointer(value: FieldValue, offset: number, path: string): void {
    if (value === null) return
    if (value instanceof KernelStruct || typeof value === 'string') {
      const low = typeof value === 'string' ? this.#pointees.text(value) : this.#pointees.object(value)
      this.#view.setUint32(offset, low, true)
      this.#view.setInt32(offset + 4, KERNEL_HI, true)
      return
    }
    this.#integer(integer(value, path), offset, 8)
  }

  #integer(value: bigint, offset: number, size: number): void {
    for (let i = 0; i < size; i++, value >>= 8n) this.#bytes[offset + i] = Number(value & 0xffn)
  }
}

/** Adds all objects that can be reached from one. */
function mark(from: KernelStruct, alive: Set<KernelStruct>): void {
  const pending: FieldValue[] = [from]
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) continue
    if (value instanceof KernelStruct) {
      if (alive.has(value)) continue
      alive.add(value)
      pending.push(...Object.values(value.fields))
    } else pending.push(...Object.values<FieldValue>(value))
  }
}

/** The struct of that name; else a flavour of it (`task_struct___old`). */
function findStruct(
  btf: Btf,
  name: string,
): { readonly id: TypeId; readonly type: BtfComposite } | undefined {
  const exact = findType(btf, name, 'struct') ?? findType(btf, name, 'union')
  if (exact !== undefined) return exact
  const id = btf.types.findIndex((type) => type.kind === 'struct' && essentialName(type.name) === name)
  if (id < 0) return undefined
  const type = typeById(btf, id)
  return isComposite(type) ? { id, type } : undefined
}

function isComposite(type: { readonly kind: string }): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union'
}

function isList(value: FieldValue): value is readonly FieldValue[] {
  return Array.isArray(value)
}

function isFields(value: FieldValue): value is FieldValues {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof KernelStruct)
  )
}

function integer(value: FieldValue, path: string): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  throw badField(path, `an integer is needed, not ${describe(value)}`)
}

function describe(value: FieldValue): string {
  if (value === null) return 'null'
  if (value instanceof KernelStruct) return `a struct ${value.type}`
  return typeof value === 'object' ? 'an object' : `${typeof value} ${JSON.stringify(value)}`
}

function badField(path: string, problem: string, hint?: string): BpfError {
  return new BpfError(
    'BAD_VALUE',
    `simulated kernel object: ${path}: ${problem}`,
    hint === undefined ? {} : { hint },
  )
}
