/** What the verifier is given: a program, the maps it refers to, and what is known of its functions. */
import type { Btf, TypeId } from '../../btf/types.js'
import type { KernelTypes, StructType } from './kernel-types.js'

/** A field of map values that the kernel manages. */
export interface SpecialField {
  /** `bpf_spin_lock`, `bpf_timer`, `kptr` … */
  readonly kind: string
  /** Bytes from the start of the value. */
  readonly offset: number
  /** Of a pointer: the struct that it points to, and its type in the program's BTF, if there is one. */
  readonly target?: string
  readonly targetType?: TypeId
  /** Of a list or tree whose declaration tells: the struct that it holds, and the offset of its node there. */
  readonly root?: { readonly type: TypeId; readonly node: number }
}

/** A map as the verifier sees it. */
export interface VerifierMap {
  readonly name: string
  /** BPF_MAP_TYPE_*. */
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  /** BPF_F_* of its creation. */
  readonly flags: number
  readonly specialFields: readonly SpecialField[]
  /** Of a map of maps. */
  readonly inner: VerifierMap | undefined
  /** The value, if neither user space nor programs can change it any more: what is loaded from it is constant. */
  readonly constants: Uint8Array | undefined
  /** Of an arena: whether its address is known, as Linux wants it. */
  readonly isPlaced?: boolean
  /** Whether BTF describes its values: bpf_timer and bpf_spin_lock need it. */
  readonly hasTypes: boolean
}

/** An LDDW that refers to a map. */
export interface MapReference {
  readonly map: VerifierMap
  /** Offset into its (first) value, if the instruction loads an address there; else it loads the map. */
  readonly valueOffset: number | undefined
}

/** A symbol of the kernel, by its address. */
export type KernelSymbol =
  | { readonly kind: 'address' }
  /** `struct`: undefined, if it is none. `size`: in bytes. */
  | {
      readonly kind: 'variable'
      readonly struct: StructType | undefined
      readonly size: number
      readonly perCpu: boolean
    }

/** An argument of a function, as BTF describes it. */
export interface FunctionArgument {
  readonly kind: 'scalar' | 'pointer' | 'other'
  /** Of a pointer: kind of what it points to; `void` has size 0. */
  readonly pointee: 'void' | 'int' | 'struct' | 'fwd' | 'ptr' | 'other'
  /** Name of the structure or integer that it is, or points to. */
  readonly typeName: string
  /** Bytes of what it points to; negative: the size isn't known. */
  readonly size: number
  /** `arg:…` declaration tags, without the `arg:`. */
  readonly tags: readonly string[]
}

/** A function of the program, as func_info describes it. */
export interface FunctionInfo {
  /** Slot at which it starts. */
  readonly start: number
  readonly name: string
  readonly global: boolean
  /** undefined: arguments aren't known. */
  readonly args: readonly FunctionArgument[] | undefined
  readonly returns: 'void' | 'int' | 'other'
  /** In the program's BTF, where that is known: see {@link VerifierProgram.types}. */
  readonly type?: TypeId
}

export interface FunctionRecord {
  /** Slot at which the function starts. */
  readonly insn: number
  /** Its type: a BTF_KIND_FUNC. */
  readonly type: number
}

export interface LineRecord {
  /** Slot of the first instruction of the line. */
  readonly insn: number
}

/** What came with a program beside its instructions; empty lists: none came. */
export interface DebugInfo {
  readonly functions: readonly FunctionRecord[]
  readonly lines: readonly LineRecord[]
  readonly btf: Btf
}

export interface VerifierProgram {
  /** Instructions as they would be loaded, but that references to maps say so: see `mapReferences`. */
  readonly code: Uint8Array
  /** BPF_PROG_TYPE_*. */
  readonly type: number
  /** BPF_ATTACH_TYPE. */
  readonly attachType: number
  /** BPF_F_*. */
  readonly flags: number
  readonly license: string
  /** By slot of the LDDW. */
  readonly mapReferences: ReadonlyMap<number, MapReference>
  /** Empty: no func_info. */
  readonly functions: readonly FunctionInfo[]
  /** func_info and line_info as they came, to be checked; undefined: nothing came. */
  readonly debugInfo?: DebugInfo | undefined
  /** The kernel functions that it calls, by slot, for messages. */
  readonly kfuncs: ReadonlyMap<number, string>
  /** Symbols of the kernel whose addresses are loaded, by slot of the LDDW. */
  readonly symbols?: ReadonlyMap<number, KernelSymbol>
  /** The program's own types: those of objects that it makes. */
  readonly types?: Btf | undefined
  /** Functions that the program's declaration tags name as what exceptions run; `untold`: whether there is one isn't known. */
  readonly exceptionCallbacks?: readonly string[] | 'untold'
  /** What of the kernel it attaches to, where BTF knows that: tracepoint, function, hook or iterator by name; the struct of a struct_ops program. */
  readonly attachTarget: string | undefined
  /** Of an extension: the function whose place it takes, and the program that the function is of. */
  readonly replaces?: { readonly program: VerifierProgram; readonly name: string } | undefined
  /** The kernel's types; undefined: nothing is known of them. */
  readonly kernel?: KernelTypes
  /** Of a raw program, which has no context: bytes of the memory that r1 points to, and r2 at the start. Undefined: r1 is the context. */
  readonly memory?: number
}
