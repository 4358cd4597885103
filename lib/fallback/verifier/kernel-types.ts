/** The kernel's types as the verifier asks for them: structs by name or id, functions, and what is known where there is no BTF. */
import { resolveType, typeById, type BtfComposite } from '../../btf/query.js'
import type { Btf, BtfMember, BtfType, TypeId } from '../../btf/types.js'

/** A struct or union that pointers point to. One object a type: two that are the same type are the same object. */
export class StructType {
  constructor(
    readonly name: string,
    /** undefined: only its name is known. */
    readonly btf: Btf | undefined,
    readonly id: TypeId,
    /** Of the program's own BTF: an object that it allocates. */
    readonly local: boolean,
  ) {}

  /** undefined: it isn't known. */
  get composite(): BtfComposite | undefined {
    if (this.btf === undefined) return undefined
    const type = this.btf.types[this.id]
    return type?.kind === 'struct' || type?.kind === 'union' ? type : undefined
  }
}

/** A function of the kernel, as BTF declares it. */
export interface KernelFunction {
  readonly btf: Btf
  readonly params: readonly { readonly name: string; readonly type: TypeId }[]
  readonly returns: TypeId
}

/** The structs of one BTF. */
export class StructSpace {
  readonly #byId = new Map<TypeId, StructType>()
  readonly #byName = new Map<string, StructType>()
  /** Those of which BTF has no members. */
  readonly #unknown = new Map<string, StructType>()

  constructor(
    readonly btf: Btf | undefined,
    readonly local: boolean,
  ) {}

  /** @param id of a struct or union, or of a forward declaration */
  struct(id: TypeId): StructType {
    const known = this.#byId.get(id)
    if (known !== undefined) return known
    const type = this.btf === undefined ? undefined : this.btf.types[id]
    const name = type !== undefined && 'name' in type ? type.name : ''
    const isComposite = type?.kind === 'struct' || type?.kind === 'union'
    const struct = isComposite ? new StructType(name, this.btf, id, this.local) : this.#nameOnly(name)
    this.#byId.set(id, struct)
    return struct
  }

  /** The struct of a name; one without members where BTF has none of it. */
  named(name: string): StructType {
    let struct = this.#byName.get(name)
    if (struct === undefined) {
      const id = this.btf === undefined ? undefined : structNamed(this.btf, name)
      struct = id === undefined ? this.#nameOnly(name) : this.struct(id)
      this.#byName.set(name, struct)
    }
    return struct
  }

  #nameOnly(name: string): StructType {
    let struct = this.#unknown.get(name)
    if (struct === undefined)
      this.#unknown.set(name, (struct = new StructType(name, undefined, 0, this.local)))
    return struct
  }
}

/** Objects declare flavours of the kernel's structs too: `task_struct___old`. */
const FLAVOUR = '___'

function structNamed(btf: Btf, name: string): TypeId | undefined {
  const exact = btf.find(name).find((id) => isStruct(typeById(btf, id)))
  if (exact !== undefined) return exact
  const prefix = `${name}${FLAVOUR}`
  const flavour = btf.types.findIndex(
    (type) => (type.kind === 'struct' || type.kind === 'union') && type.name.startsWith(prefix),
  )
  return flavour < 0 ? undefined : flavour
}

export function isStruct(type: BtfType): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union'
}

/** The types of the kernel that programs are for. BTF is looked at when somebody asks. */
export class KernelTypes {
  readonly #load: () => Btf | undefined
  #space: StructSpace | undefined

  /**
   * @param load the kernel's BTF, or what stands for it; undefined: there is none
   * @param own  it is the object's own, which declares what it uses and no more
   */
  constructor(
    load: () => Btf | undefined,
    readonly own: boolean,
    /** Arguments of a simulated kernel's tracepoints: names of structs that they point to, or undefined for numbers. */
    readonly simulatedTracepoint: (name: string) => readonly (string | undefined)[] | undefined = () =>
      undefined,
  ) {
    this.#load = load
  }

  get structs(): StructSpace {
    return (this.#space ??= new StructSpace(this.#load(), false))
  }

  get btf(): Btf | undefined {
    return this.structs.btf
  }

  /** The number of a function; undefined: the kernel has none, or it isn't known. */
  functionId(name: string): TypeId | undefined {
    const { btf } = this
    return btf?.find(name).find((id) => typeById(btf, id).kind === 'func')
  }

  /** A function by its name; undefined: the kernel has none, or it isn't known. */
  function(name: string): KernelFunction | undefined {
    const { btf } = this
    const id = this.functionId(name)
    const type = btf === undefined || id === undefined ? undefined : typeById(btf, id)
    return btf !== undefined && type?.kind === 'func' ? prototype(btf, type.type) : undefined
  }

  /** What a tracepoint hands to programs. */
  tracepoint(name: string): KernelFunction | undefined {
    const { btf } = this
    if (btf === undefined) return undefined
    for (const id of btf.find(`btf_trace_${name}`)) {
      const type = typeById(btf, id)
      if (type.kind !== 'typedef') continue
      const pointer = resolveType(btf, type.type)
      const found = pointer.kind === 'ptr' ? prototype(btf, pointer.type) : undefined
      // The first one is the tracepoint's own.
      if (found !== undefined) return { ...found, params: found.params.slice(1) }
    }
    return undefined
  }

  /** The function that a member of a struct points to, as a struct_ops program implements it. */
  operation(struct: string, index: number): (KernelFunction & { readonly member: BtfMember }) | undefined {
    const type = this.structs.named(struct).composite
    const { btf } = this
    const member = type?.members[index]
    if (btf === undefined || member === undefined) return undefined
    const pointer = resolveType(btf, member.type)
    const found = pointer.kind === 'ptr' ? prototype(btf, pointer.type) : undefined
    return found === undefined ? undefined : { ...found, member }
  }
}

function prototype(btf: Btf, id: TypeId): KernelFunction | undefined {
  const type = resolveType(btf, id)
  return type.kind === 'func_proto' ? { btf, params: type.params, returns: type.type } : undefined
}

export const NO_KERNEL_TYPES = new KernelTypes(() => undefined, false)
