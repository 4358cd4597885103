/** Programs as one JSON object a line: instructions in hexadecimal, and what they refer to. */
import { type KernelTypes, NO_KERNEL_TYPES } from './kernel-types.js'
import type {
  FunctionArgument,
  FunctionInfo,
  MapReference,
  SpecialField,
  VerifierMap,
  VerifierProgram,
} from './program.js'

interface RawMap {
  readonly name?: string
  readonly fixup?: string
  readonly type: number
  readonly key_size: number
  readonly value_size: number
  readonly max_entries: number
  readonly map_flags: number
  readonly map_extra?: number
  readonly inner?: RawMap
  readonly frozen_rdonly?: boolean
  /** Hexadecimal. */
  readonly data?: string
  readonly special_fields?: readonly {
    readonly kind: string
    readonly off: number
    readonly target?: string
  }[]
  readonly btf_value?: string
}

interface RawArgument {
  /** `int unsigned int size=4`, `ptr(struct S size=8) const`, `ptr(void)`. */
  readonly t: string
  readonly tags?: readonly string[]
}

interface RawFunction {
  readonly insn: number
  readonly name: string
  readonly linkage?: string
  readonly args?: readonly RawArgument[]
  readonly ret?: string
}

/** A line of the file. Fields beside these are not looked at. */
export interface RawProgram {
  readonly id: string
  /** Eight bytes an instruction, in hexadecimal. */
  readonly insns: string
  readonly prog_type_id: number
  readonly expected_attach_type: number
  readonly prog_flags: number
  readonly license: string
  readonly maps: readonly RawMap[]
  readonly map_refs: readonly {
    readonly insn: number
    readonly map: number
    readonly kind: 'map_fd' | 'map_value'
    readonly value_off: number
  }[]
  readonly kfunc_refs?: readonly { readonly insn: number; readonly name?: string }[]
  readonly func_info?: readonly RawFunction[]
  readonly attach_btf_name?: string
  readonly attach_kfunc?: string
}

/** @param kernel types of the kernel that it is for */
export function fromRaw(raw: RawProgram, kernel: KernelTypes = NO_KERNEL_TYPES): VerifierProgram {
  const maps = raw.maps.map(toMap)
  const mapReferences = new Map<number, MapReference>()
  for (const { insn, map, kind, value_off } of raw.map_refs) {
    const found = maps[map]
    if (found !== undefined)
      mapReferences.set(insn, { map: found, valueOffset: kind === 'map_value' ? value_off : undefined })
  }
  return {
    code: bytes(raw.insns),
    type: raw.prog_type_id,
    attachType: raw.expected_attach_type,
    flags: raw.prog_flags,
    license: raw.license,
    mapReferences,
    functions: (raw.func_info ?? []).map(toFunction),
    kfuncs: new Map((raw.kfunc_refs ?? []).map(({ insn, name }) => [insn, name ?? ''])),
    // A declaration tag tells, and lines have none.
    exceptionCallbacks: 'untold',
    attachTarget: (raw.attach_btf_name ?? raw.attach_kfunc)?.replace(/^(btf_trace|bpf_iter|bpf_lsm)_/, ''),
    kernel,
  }
}

function bytes(hex: string): Uint8Array {
  const result = new Uint8Array(hex.length / 2)
  for (let i = 0; i < result.length; i++) result[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return result
}

const ARENA = 33

function toMap(raw: RawMap): VerifierMap {
  const specialFields: SpecialField[] = (raw.special_fields ?? []).map(({ kind, off, target }) => ({
    kind,
    offset: off,
    ...(target !== undefined && { target }),
  }))
  return {
    name: raw.name ?? raw.fixup ?? '',
    type: raw.type,
    keySize: raw.key_size,
    valueSize: raw.value_size,
    maxEntries: raw.max_entries,
    flags: raw.map_flags,
    specialFields,
    inner: raw.inner === undefined ? undefined : toMap(raw.inner),
    constants: raw.frozen_rdonly === true && raw.data !== undefined ? bytes(raw.data) : undefined,
    ...(raw.type === ARENA && { isPlaced: (raw.map_extra ?? 0) !== 0 }),
    hasTypes: raw.btf_value !== undefined || specialFields.length > 0,
  }
}

function toFunction({ insn, name, linkage, args, ret }: RawFunction): FunctionInfo {
  return {
    start: insn,
    name,
    global: linkage === 'global',
    args: args?.map(toArgument),
    returns: ret === 'void' ? 'void' : ret !== undefined && /^(int|enum)/.test(ret) ? 'int' : 'other',
  }
}

const TYPE = /^(\w+)(?: (.*?))?(?: size=(-?\d+))?(?: typedef=(\w+))?$/

function toArgument({ t, tags = [] }: RawArgument): FunctionArgument {
  const bare = tags.map((tag) => tag.replace(/^arg:/, ''))
  const inner = /^ptr\((.*)\)/.exec(t)?.[1]
  const [, kind = '', name = '', size = '0', typedef] = TYPE.exec(inner ?? t) ?? []
  const common = { typeName: name || (typedef ?? ''), size: Number(size), tags: bare }
  if (inner === undefined) {
    const scalar = kind === 'int' || kind === 'enum' || kind === 'enum64'
    return { kind: scalar ? 'scalar' : 'other', pointee: 'other', ...common }
  }
  const pointees = ['void', 'int', 'struct', 'fwd', 'ptr'] as const
  return { kind: 'pointer', pointee: pointees.find((one) => one === kind) ?? 'other', ...common }
}
