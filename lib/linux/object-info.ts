/**
 * What Linux tells of programs, maps and BTF: `struct bpf_prog_info`, `bpf_map_info` and `bpf_btf_info`, read from their bytes.
 *
 * Source: linux/bpf.h of Linux 6.18. The names are bpftool's (`bpftool prog show --json`), in this language's spelling: `bytes_xlated` is
 * `bytesXlated`. What a kernel is too old to tell is 0, or left out.
 */
import { mapTypeName } from './map-types.js'
import { programTypeName } from './program-types.js'
import { structView } from './struct-view.js'

/** A program of the kernel. */
export interface ProgramFacts {
  readonly id: number
  /** `xdp`, `tracing` … */
  readonly type: string
  /** At most 15 bytes; where its BTF is to be had, `Introspection.code()` knows its whole name. */
  readonly name: string
  /** Hex, 8 bytes. */
  readonly tag: string
  readonly gplCompatible: boolean
  /** When it was loaded. Nanoseconds of CLOCK_BOOTTIME. */
  readonly loadTime: bigint
  /** The same as seconds since 1970, where a clock tells. */
  readonly loadedAt?: number
  /** User that loaded it. */
  readonly uid: number
  readonly bytesXlated: number
  readonly jited: boolean
  readonly bytesJited: number
  /** Charged memory, where the kernel tells. */
  readonly bytesMemlock?: number
  readonly mapIds: readonly number[]
  /** 0: none. */
  readonly btfId: number
  /** Counted while run-time statistics are on: see `Introspection.countRunTime()`. */
  readonly runTimeNs: bigint
  readonly runCnt: bigint
  /** Runs that were left out because the program was running already. Linux 5.12. */
  readonly recursionMisses: bigint
  /** What the verifier went through. Linux 5.16. */
  readonly verifiedInsns: number
  /** Network device that it is offloaded or bound to; 0: none. */
  readonly ifindex: number
  /** Of tracing, LSM and extension programs: BTF and function there; 0: none. Linux 5.18. */
  readonly attachBtfObjId: number
  readonly attachBtfId: number
}

/** A map of the kernel. */
export interface MapFacts {
  readonly id: number
  readonly type: string
  readonly name: string
  /** BPF_F_* of BPF_MAP_CREATE: `mapFlagNames()` of linux/map-types.ts names them. */
  readonly flags: number
  readonly bytesKey: number
  readonly bytesValue: number
  readonly maxEntries: number
  readonly bytesMemlock?: number
  readonly frozen: boolean
  readonly mapExtra: bigint
  /** 0: none. */
  readonly btfId: number
  readonly btfKeyTypeId: number
  readonly btfValueTypeId: number
  /** Of struct_ops: type of its value in the kernel's BTF. */
  readonly btfVmlinuxValueTypeId: number
  readonly ifindex: number
}

/** Type information in the kernel. */
export interface BtfFacts {
  readonly id: number
  /** `vmlinux`, a module's name; empty for a program's. */
  readonly name: string
  readonly size: number
  /** Whether it describes the kernel or a module. Linux 5.11. */
  readonly kernel: boolean
}

/** What is asked of /proc/self/fdinfo beside the info. */
export interface DescriptorFacts {
  readonly memlock?: number | undefined
  readonly frozen?: boolean | undefined
  /** Start of CLOCK_BOOTTIME: seconds since 1970. */
  readonly bootedAt?: number | undefined
}

const NS_PER_SECOND = 1e9

const NAME_LENGTH = 16
const TAG_LENGTH = 8

/** @param info bytes of `struct bpf_prog_info` */
export function readProgramInfo(
  info: Uint8Array,
  mapIds: readonly number[],
  { memlock, bootedAt }: DescriptorFacts,
): ProgramFacts {
  const view = structView(info)
  const bytesJited = view.u32(16)
  return {
    id: view.u32(4),
    type: programTypeName(view.u32(0)),
    name: view.text(64, NAME_LENGTH),
    tag: view.hex(8, TAG_LENGTH),
    gplCompatible: (view.u32(84) & 1) !== 0,
    loadTime: view.u64(40),
    ...(bootedAt !== undefined && { loadedAt: Math.round(bootedAt + Number(view.u64(40)) / NS_PER_SECOND) }),
    uid: view.u32(48),
    bytesXlated: view.u32(20),
    jited: bytesJited !== 0,
    bytesJited,
    ...(memlock !== undefined && { bytesMemlock: memlock }),
    mapIds,
    btfId: view.u32(128),
    runTimeNs: view.u64(192),
    runCnt: view.u64(200),
    recursionMisses: view.u64(208),
    verifiedInsns: view.u32(216),
    ifindex: view.u32(80),
    attachBtfObjId: view.u32(220),
    attachBtfId: view.u32(224),
  }
}

/** @param info bytes of `struct bpf_map_info` */
export function readMapInfo(info: Uint8Array, { memlock, frozen = false }: DescriptorFacts): MapFacts {
  const view = structView(info)
  return {
    id: view.u32(4),
    type: mapTypeName(view.u32(0)),
    name: view.text(24, NAME_LENGTH),
    flags: view.u32(20),
    bytesKey: view.u32(8),
    bytesValue: view.u32(12),
    maxEntries: view.u32(16),
    ...(memlock !== undefined && { bytesMemlock: memlock }),
    frozen,
    mapExtra: view.u64(80),
    btfId: view.u32(64),
    btfKeyTypeId: view.u32(68),
    btfValueTypeId: view.u32(72),
    btfVmlinuxValueTypeId: view.u32(44),
    ifindex: view.u32(40),
  }
}

/** @param info bytes of `struct bpf_btf_info` */
export function readBtfInfo(info: Uint8Array, name: string): BtfFacts {
  const view = structView(info)
  return { id: view.u32(12), name, size: view.u32(8), kernel: view.u32(28) !== 0 }
}
