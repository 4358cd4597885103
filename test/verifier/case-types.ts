/** C declarations as BTF: types of map values, and functions with their arguments. As much of C as cases need. */
import { BtfBuilder } from '../../lib/btf/builder.js'
import { parseBtf } from '../../lib/btf/parse.js'
import { sizeOf } from '../../lib/btf/query.js'
import type { Btf, TypeId } from '../../lib/btf/types.js'

const INTEGERS: Readonly<Record<string, readonly [size: number, signed: boolean]>> = {
  u8: [1, false],
  u16: [2, false],
  u32: [4, false],
  u64: [8, false],
  s8: [1, true],
  s16: [2, true],
  s32: [4, true],
  s64: [8, true],
  char: [1, true],
  int: [4, true],
  long: [8, true],
}

/** Structures that the kernel manages: size and alignment are its own. */
const KERNEL_STRUCTURES: Readonly<Record<string, readonly [size: number, align: number]>> = {
  bpf_spin_lock: [4, 4],
  bpf_res_spin_lock: [4, 4],
  bpf_timer: [16, 8],
  bpf_wq: [16, 8],
  bpf_task_work: [8, 8],
  bpf_list_head: [16, 8],
  bpf_list_node: [24, 8],
  bpf_rb_root: [16, 8],
  bpf_rb_node: [32, 8],
  bpf_refcount: [4, 4],
  bpf_dynptr: [16, 8],
}

const LINKAGE = { static: 0, global: 1 } as const
const FUNCTION = /^(static|global)\s+(.+?)\b(\w+)\((.*)\)$/
const STRUCTURE = /^struct\s+(\w+)\s*\{(.*)\}$/s
/** `struct x *name[4]`, `u32 a`, `struct task_struct __kptr *p` */
const DECLARATION = /^(.*?)((?:\*|\s)+)(\w+)?(?:\[(\d+)\])?$/
const TAG = /\b__(kptr|kptr_untrusted|percpu_kptr|uptr)\b/
const ARGUMENT_TAG = /\b__arg_(\w+)\b/g
/** `__contains(node, link)` behind a list or tree: structs `node` are in it, by their members `link`. */
const CONTAINS = /\b__contains\((\w+),\s*(\w+)\)/
/** `__exception_cb(handle)` behind a function: what its exceptions run. */
const EXCEPTION_CALLBACK = /\s*\b__exception_cb\((\w+)\)/g

export interface DeclaredFunction {
  readonly name: string
  readonly type: TypeId
}

/** Collects declarations; {@link finish} gives the BTF. */
export class CaseTypes {
  readonly #builder = new BtfBuilder()
  readonly #known = new Map<string, TypeId>()
  readonly #layout = new Map<TypeId, { readonly size: number; readonly align: number }>()

  /** `struct value { struct bpf_spin_lock lock; u32 counts[4]; }` */
  structure(text: string): void {
    const [, name = '', body = ''] = STRUCTURE.exec(text.trim()) ?? []
    if (name === '') throw new Error(`no structure: ${text}`)
    let end = 0
    let alignment = 1
    const declarations = body
      .split(';')
      .map((member) => member.trim())
      .filter((member) => member !== '')
    const members = declarations.map((member): [string, TypeId, number] => {
      const declared = this.declared(member.replace(CONTAINS, '').trim())
      const { size, align } = this.#layoutOf(declared.type)
      const offset = Math.ceil(end / align) * align
      end = offset + size
      alignment = Math.max(alignment, align)
      return [declared.name, declared.type, offset]
    })
    const size = Math.ceil(end / alignment) * alignment
    const type = this.#builder.struct(name, members, size)
    this.#remember(`struct ${name}`, type, size, alignment)
    declarations.forEach((member, component) => {
      const [, element, node] = CONTAINS.exec(member) ?? []
      if (element === undefined) return
      this.#builder.add({ kind: 'decl_tag', name: `contains:${element}:${node ?? ''}`, type, component })
    })
  }

  /** `global int f(struct value *v, u32 n)`; arguments may have tags: `__arg_nonnull`. */
  function(text: string): DeclaredFunction {
    const declaration = text.replaceAll(EXCEPTION_CALLBACK, '').trim()
    const [, linkage = '', returned = '', name = '', list = ''] = FUNCTION.exec(declaration) ?? []
    if (name === '') throw new Error(`no function: ${text}`)
    const args = list.split(',').filter((argument) => !/^\s*(void)?\s*$/.test(argument))
    const params = args.map((argument) => this.declared(argument.replaceAll(ARGUMENT_TAG, '').trim()))
    const proto = this.#builder.add({ kind: 'func_proto', type: this.type(returned.trim()), params })
    const type = this.#builder.add({
      kind: 'func',
      name,
      type: proto,
      linkage: LINKAGE[linkage as keyof typeof LINKAGE],
    })
    args.forEach((argument, component) => {
      for (const [, tag] of argument.matchAll(ARGUMENT_TAG))
        this.#builder.add({ kind: 'decl_tag', name: `arg:${tag}`, type, component })
    })
    for (const [, callback = ''] of text.matchAll(EXCEPTION_CALLBACK))
      this.#builder.add({ kind: 'decl_tag', name: `exception_callback:${callback}`, type, component: -1 })
    return { name, type }
  }

  /** A member, or an argument. */
  declared(text: string): { readonly name: string; readonly type: TypeId } {
    const tag = TAG.exec(text)?.[1]
    const [, base = '', stars = '', name = '', length] =
      DECLARATION.exec(text.replace(TAG, '').replaceAll(/\s+/g, ' ').trim()) ?? []
    let type = this.type(base)
    if (tag !== undefined) type = this.#builder.add({ kind: 'type_tag', name: tag, type })
    for (const star of stars) if (star === '*') type = this.#pointer(type)
    if (length !== undefined) type = this.#array(type, Number(length))
    return { name, type }
  }

  /** A type by its name: `u32`, `struct x`, `void`, `struct x *`. */
  type(name: string): TypeId {
    const trimmed = name.trim()
    if (trimmed === 'void') return 0
    if (trimmed.endsWith('*')) return this.#pointer(this.type(trimmed.slice(0, -1)))
    const known = this.#known.get(trimmed)
    if (known !== undefined) return known
    const integer = INTEGERS[trimmed]
    if (integer !== undefined) {
      const [size, signed] = integer
      return this.#remember(trimmed, this.#builder.int(trimmed, size, { signed }), size, size)
    }
    const structure = /^struct (\w+)$/.exec(trimmed)?.[1]
    if (structure === undefined) throw new Error(`no type '${trimmed}'`)
    const [size, align] = KERNEL_STRUCTURES[structure] ?? [0, 1]
    if (size === 0)
      return this.#remember(trimmed, this.#builder.add({ kind: 'fwd', name: structure, union: false }), 0, 1)
    return this.#remember(trimmed, this.#builder.struct(structure, this.#filler(size), size), size, align)
  }

  finish(): Btf {
    return parseBtf(this.#builder.finish())
  }

  /** Members of structures whose members don't matter. */
  #filler(size: number): [string, TypeId, number][] {
    const word = this.type(size % 8 === 0 ? 'u64' : 'u32')
    const step = size % 8 === 0 ? 8 : 4
    return Array.from({ length: size / step }, (_unused, i) => [`opaque${i}`, word, i * step])
  }

  #pointer(type: TypeId): TypeId {
    return this.#remember(`${type} *`, this.#known.get(`${type} *`) ?? this.#builder.ptr(type), 8, 8)
  }

  #array(type: TypeId, length: number): TypeId {
    const { size, align } = this.#layoutOf(type)
    const array = this.#builder.array(type, length, this.type('u32'))
    return this.#remember(`${array} []`, array, size * length, align)
  }

  #layoutOf(type: TypeId): { readonly size: number; readonly align: number } {
    return this.#layout.get(type) ?? { size: 0, align: 1 }
  }

  #remember(name: string, type: TypeId, size: number, align: number): TypeId {
    this.#known.set(name, type)
    this.#layout.set(type, { size, align })
    return type
  }
}

/** Bytes of a type by its name. */
export function namedSize(btf: Btf, type: TypeId): number {
  return sizeOf(btf, type)
}
