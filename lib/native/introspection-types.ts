/** What the addon offers for looking at the kernel: see native/introspection.h, netlink.h and probe.h. */

/** Programs, maps, BTF, links: the addon counts them in this order. */
export type AddonObjectKind = 0 | 1 | 2 | 3

export interface AddonIntrospection {
  /** @returns undefined at the end */
  nextId(kind: AddonObjectKind, after: number): number | undefined
  /** @returns a descriptor, which the caller closes */
  openById(kind: AddonObjectKind, id: number, subject: string): number
  /** @returns the kernel's info struct */
  objectInfo(fd: number, subject: string): Uint8Array
  programInfo(fd: number, subject: string): { readonly info: Uint8Array; readonly mapIds: readonly number[] }
  programCode(fd: number, subject: string): AddonProgramCode
  btfInfo(fd: number, bytes: boolean, subject: string): AddonBtfInfo
  taskFdQuery(pid: number, fd: number, subject: string): AddonTaskFile | undefined
  queryPrograms(
    target: number,
    attachType: number,
    queryFlags: number,
    details: 'none' | 'flags' | 'links',
    netnsFd: number | undefined,
    subject: string,
  ): AddonAttachedPrograms
  /** @returns undefined where it can't be had */
  btfTypeName(btf: number, type: number): string | undefined
  /** @returns a descriptor, which the caller closes */
  enableStats(): number
  netlinkDump(request: Uint8Array, netnsFd: number | undefined, subject: string): Uint8Array
}

/** undefined: the kernel hides it from this process. */
export interface AddonProgramCode {
  readonly btfId: number
  readonly xlated: Uint8Array | undefined
  readonly jited: Uint8Array | undefined
  /** u64 each. */
  readonly symbols: Uint8Array | undefined
  readonly lengths: readonly number[]
  readonly functions: Uint8Array
  readonly functionSize: number
  readonly lines: Uint8Array
  readonly lineSize: number
  /** u64 each. */
  readonly jitedLines: Uint8Array | undefined
}

export interface AddonBtfInfo {
  readonly info: Uint8Array
  readonly name: string
  readonly bytes?: Uint8Array
}

export interface AddonTaskFile {
  readonly programId: number
  readonly type: number
  readonly name: string
  readonly offset: bigint
  readonly address: bigint
}

export interface AddonAttachedPrograms {
  readonly attachFlags: number
  readonly programIds: readonly number[]
  readonly flags?: readonly number[]
  readonly linkIds?: readonly number[]
  readonly revision: bigint
}

export interface AddonProbes {
  probeProgram(program: AddonProgramProbe): AddonProbeOutcome
  /** @returns enumerators of a type of the kernel by name; undefined where it has none, or no BTF */
  kernelEnum(name: string): Readonly<Record<string, number>> | undefined
  /** @returns the BTF id of a function, hook or tracepoint of the kernel; 0: there is none */
  kernelTargetId(name: string, attachType: number): number
}

export interface AddonProgramProbe {
  readonly type: number
  readonly expectedAttachType: number
  readonly flags: number
  readonly attachBtfId: number
  readonly license: string
  /** 64 instructions at most. */
  readonly code: Uint8Array
}

export interface AddonProbeOutcome {
  /** 0: the kernel took it. */
  readonly errno: number
  /** The verifier's. */
  readonly log: string
}
