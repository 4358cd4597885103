/**
 * A relocatable BPF object as ELF sees it: sections, symbols, relocations. Pure data over the file's bytes.
 *
 * Source: System V ABI (gABI) chapter 4; for BPF's machine number and relocation types, Documentation/bpf/llvm_reloc.rst
 * of the Linux kernel.
 */

export interface ElfFile {
  readonly image: Uint8Array
  /** By section index; 0 is the reserved null section. */
  readonly sections: readonly ElfSection[]
  /** By symbol index; 0 is the reserved null symbol. Empty if the file has no symbol table. */
  readonly symbols: readonly ElfSymbol[]
}

export interface ElfSection {
  readonly index: number
  readonly name: string
  /** SHT_*: see {@link SHT}. */
  readonly type: number
  /** SHF_*, low 32 bits: see {@link SHF}. */
  readonly flags: number
  /** In the file, bytes. */
  readonly offset: number
  /** Bytes; of a NOBITS section, bytes that it will have in memory. */
  readonly size: number
  readonly link: number
  readonly info: number
  readonly alignment: number
  readonly entrySize: number
  /** A view into the image; empty for NOBITS. */
  readonly data: Uint8Array
  /** What is to be patched into this section, by ascending offset. */
  readonly relocations: readonly ElfRelocation[]
}

export interface ElfSymbol {
  readonly index: number
  readonly name: string
  /** Bytes from the start of its section. */
  readonly value: number
  readonly size: number
  /** STT_*: see {@link STT}. */
  readonly type: number
  /** STB_*: see {@link STB}. */
  readonly binding: number
  /** STV_*: see {@link STV}. */
  readonly visibility: number
  /** Section index, or one of {@link SHN}. */
  readonly section: number
}

export interface ElfRelocation {
  /** Bytes from the start of the section that is patched. */
  readonly offset: number
  /** R_BPF_*: see {@link R_BPF}. */
  readonly type: number
  readonly symbol: ElfSymbol
}

/** Section types. */
export const SHT = {
  NULL: 0,
  PROGBITS: 1,
  SYMTAB: 2,
  STRTAB: 3,
  RELA: 4,
  NOBITS: 8,
  REL: 9,
  DYNSYM: 11,
  SYMTAB_SHNDX: 18,
} as const

/** Section flags. */
export const SHF = {
  WRITE: 1,
  ALLOC: 2,
  EXECINSTR: 4,
  MERGE: 0x10,
  STRINGS: 0x20,
  COMPRESSED: 0x800,
} as const

/** Section indexes that stand for something else. */
export const SHN = { UNDEF: 0, LORESERVE: 0xff00, ABS: 0xfff1, COMMON: 0xfff2, XINDEX: 0xffff } as const

/** Symbol types. */
export const STT = { NOTYPE: 0, OBJECT: 1, FUNC: 2, SECTION: 3, FILE: 4, COMMON: 5, TLS: 6 } as const

/** Symbol bindings. */
export const STB = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const

/** Symbol visibility. */
export const STV = { DEFAULT: 0, INTERNAL: 1, HIDDEN: 2, PROTECTED: 3 } as const

/** Relocation types of BPF. */
export const R_BPF = {
  NONE: 0,
  /** 64-bit immediate of an LDDW instruction. */
  R_64_64: 1,
  /** 64 bits of data. */
  R_64_ABS64: 2,
  /** 32 bits of data. */
  R_64_ABS32: 3,
  /** 32 bits of .BTF or .BTF.ext, meant for linkers only. */
  R_64_NODYLD32: 4,
  /** Immediate of a call instruction. */
  R_64_32: 10,
} as const
