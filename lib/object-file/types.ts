/**
 * A BPF object file, understood but not loaded: what clang and the `SEC()` macros put there.
 *
 * It is pure data over the file's bytes. The public classes take types from it, the fallback's loader loads it, the
 * command line prints it. The native kernel hands `image` to libbpf, once the file has been found well-formed.
 */
import type { CoreRelocation, FuncInfo, LineInfo } from '../btf/ext.js'
import type { Btf, TypeId } from '../btf/types.js'

export type { CoreRelocation, FuncInfo, LineInfo } from '../btf/ext.js'

export interface ObjectFile {
  /** The whole ELF file. */
  readonly image: Uint8Array
  readonly license: string
  /** From a `version` section (old kprobe programs); 0 if there is none. */
  readonly kernelVersion: number
  /** undefined: compiled without -g. */
  readonly btf: Btf | undefined
  readonly programs: readonly ProgramDefinition[]
  /** Maps of `.maps`, and one for each section of global data, in libbpf's order. */
  readonly maps: readonly MapDefinition[]
  /** `.text`: static and global sub-programs that programs call; undefined if there are none. */
  readonly text: CodeSection | undefined
  /** `extern … __ksym` and `__kconfig` symbols. */
  readonly externs: readonly ExternDefinition[]
}

/** Instructions with what must be patched into them. Offsets are bytes from the start of `code`. */
export interface CodeSection {
  readonly name: string
  /** Multiple of 8 bytes. */
  readonly code: Uint8Array
  readonly functions: readonly FunctionSymbol[]
  readonly relocations: readonly Relocation[]
  readonly coreRelocations: readonly CoreRelocation[]
  readonly lines: readonly LineInfo[]
  readonly funcInfo: readonly FuncInfo[]
}

export interface FunctionSymbol {
  readonly name: string
  readonly offset: number
  readonly size: number
  readonly global: boolean
  /** `__weak`. */
  readonly weak: boolean
}

export type RelocationTarget =
  | { readonly kind: 'map'; readonly map: string }
  /** A global variable (or a string literal): `offset` bytes into the value of a global-data map. */
  | { readonly kind: 'data'; readonly map: string; readonly offset: number }
  /** A call of, or (BPF_PSEUDO_FUNC) the address of, a function: `offset` bytes into a code section. */
  | { readonly kind: 'function'; readonly section: string; readonly offset: number }
  | { readonly kind: 'extern'; readonly name: string }

/**
 * What an instruction refers to. An LDDW refers to a map, data, a function or an extern; a call, to a function or an
 * extern (a kfunc). Every bpf-to-bpf call has one, also where the compiler has resolved the call itself.
 */
export interface Relocation {
  /** Of the instruction. */
  readonly offset: number
  readonly target: RelocationTarget
}

/** An entry program: a function in a section of its own name. Offsets are those of its slice of the section. */
export interface ProgramDefinition {
  readonly name: string
  readonly section: string
  /** From the section name; undefined: no program type answers to it. */
  readonly type: number | undefined
  readonly expectedAttachType: number
  /** Part of the section name behind the slash: `sched_process_exec`; empty if there is none. */
  readonly target: string
  readonly sleepable: boolean
  /** False for sections that start with `?`. */
  readonly autoload: boolean
  readonly code: CodeSection
}

export interface MapDefinition {
  /** `events`; `.rodata`, `.bss`, `.data.config` for global data. */
  readonly name: string
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags: number
  /** LIBBPF_PIN_NONE 0, LIBBPF_PIN_BY_NAME 1. */
  readonly pinning: number
  readonly mapExtra: bigint
  readonly numaNode: number
  /** BTF types of key and value, where the definition names them. */
  readonly keyType: TypeId | undefined
  readonly valueType: TypeId | undefined
  /** Of a map of maps. */
  readonly inner: MapDefinition | undefined
  /** Initial contents of a map of maps or a prog array: slot → name of map or program. */
  readonly slots: readonly { readonly index: number; readonly symbol: string }[]
  /** undefined for maps that aren't global data. */
  readonly data: GlobalData | undefined
  /** Of a struct_ops map (BPF_MAP_TYPE_STRUCT_OPS); absent from all others. */
  readonly structOps?: StructOps
}

/** A variable in `.struct_ops` or `.struct_ops.link`. */
export interface StructOps {
  /** In the object's BTF; the kernel's struct of the same name is what counts at load time. */
  readonly type: TypeId
  /** The variable's bytes; pointers to programs are 0. */
  readonly initial: Uint8Array
  /** Members that are programs: offset of the pointer in bytes, and the program. */
  readonly programs: readonly { readonly offset: number; readonly program: string }[]
  /** Whether it attaches by a link: section `.struct_ops.link`. Linux 6.4. */
  readonly link: boolean
  /** False for sections that start with `?`. */
  readonly autocreate: boolean
}

export interface GlobalData {
  readonly kind: 'rodata' | 'data' | 'bss' | 'kconfig'
  readonly initial: Uint8Array
  /** Named variables, from the DATASEC; empty without BTF. */
  readonly variables: readonly Variable[]
}

export interface Variable {
  readonly name: string
  readonly type: TypeId
  readonly offset: number
  readonly size: number
}

export interface ExternDefinition {
  readonly name: string
  readonly kind: 'ksym' | 'kfunc' | 'kconfig'
  readonly type: TypeId
  readonly weak: boolean
}
