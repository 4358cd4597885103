/**
 * What Linux's helpers take and give: argument and return types, and what a call does beside.
 *
 * Source: the declarations in bpf-helpers(7), what Linux 6.18's verifier says of wrong arguments (it was asked), and the kernel's documentation.
 * Helpers with arguments that only kernel BTF describes are `btf:…`.
 */

/** Types of arguments. */
export type ArgumentType =
  /** Any initialised number or, where pointers may be leaked, pointer. */
  | 'any'
  | 'ctx'
  | 'ctx?'
  /** A map, and pointers to a key or value of it. */
  | 'map'
  | 'key'
  | 'value'
  | 'value?'
  /** A value that the helper writes. */
  | 'uvalue'
  /** Memory that is read; that is written and need not be initialised; that is read and written. The size is the next argument. */
  | 'mem'
  | 'mem?'
  | 'umem'
  | 'umem?'
  | 'wmem'
  | 'size'
  | 'size0'
  /** Memory of a known size, in bytes: read; written and need not be initialised; read and written. */
  | `fixed:${number}`
  | `ufixed:${number}`
  | `wfixed:${number}`
  /** A constant: the size of what is returned. */
  | 'alloc'
  | 'sock_common'
  | 'socket'
  | 'socket?'
  /** A socket, also as a kernel object. */
  | 'btf_sock'
  | 'spin_lock'
  | 'timer'
  | 'ringbuf_mem'
  | 'string'
  | 'func'
  | 'stack?'
  | 'percpu'
  | 'dynptr'
  | 'udynptr:local'
  | 'udynptr:ringbuf'
  | 'dynptr:ringbuf'
  /** A pointer to a kernel object in a map's value. */
  | 'kptr_place'
  | `btf:${string}`

export type ReturnType =
  | 'int'
  | 'void'
  | 'map_value'
  | 'map_value?'
  | 'socket?'
  | 'tcp_sock?'
  | 'sock_common?'
  | 'ringbuf?'
  | 'dynptr_data?'
  | `btf:${string}`
  | `btf?:${string}`
  /** What a per-CPU variable is on one CPU. */
  | 'percpu'
  | 'percpu?'

export interface HelperPrototype {
  readonly id: number
  readonly args: readonly ArgumentType[]
  readonly returns: ReturnType
  /** Packet pointers may be passed as memory. */
  readonly takesPackets: boolean
  /** Packet pointers are invalid after the call. */
  readonly changesPacket: boolean
  /** Registers that the call needn't save: clang and the verifier know it. */
  readonly fastcall: boolean
}

const P = 1
const C = 2
const F = 4

const TABLE: readonly (readonly [id: number, args: string, returns?: ReturnType, traits?: number])[] = [
  [1, 'map key', 'map_value?', P],
  [2, 'map key value any', 'int', P],
  [3, 'map key', 'int', P],
  [4, 'umem size0 any'],
  [5, ''],
  [6, 'mem size'],
  [7, ''],
  [8, '', 'int', F],
  [9, 'ctx any mem size any', 'int', C],
  [10, 'ctx any any any any', 'int', C],
  [11, 'ctx any any any any', 'int', C],
  [12, 'ctx map any', 'void', C],
  [13, 'ctx any any', 'int', C],
  [14, ''],
  [15, ''],
  [16, 'umem size'],
  [17, ''],
  [18, 'ctx any any', 'int', C],
  [19, 'ctx', 'int', C],
  [20, 'ctx umem size any'],
  [21, 'ctx mem size any'],
  [22, 'map any'],
  [23, 'any any'],
  [24, 'ctx'],
  [25, 'ctx map any mem size0'],
  [26, 'ctx any umem size'],
  [27, 'ctx map any'],
  [28, 'mem? size0 mem? size0 any', 'int', P],
  [29, 'ctx umem size'],
  [30, 'ctx mem size'],
  [31, 'ctx any any', 'int', C],
  [32, 'ctx any'],
  [33, 'ctx map any'],
  [34, 'ctx'],
  [35, ''],
  [36, 'any mem size'],
  [37, 'map any'],
  [38, 'ctx any any', 'int', C],
  [39, 'ctx any', 'int', C],
  [40, 'ctx any'],
  [41, 'ctx'],
  [42, ''],
  [43, 'ctx any any', 'int', C],
  [44, 'ctx any', 'int', C],
  [45, 'umem size0 any'],
  [46, 'ctx'],
  [47, 'ctx'],
  [48, 'ctx any'],
  [49, 'ctx any any mem size'],
  [50, 'ctx any any any', 'int', C],
  [51, 'map any any'],
  [52, 'ctx map any any'],
  [53, 'ctx map key any', 'int', P],
  [54, 'ctx any', 'int', C],
  [55, 'map any umem size'],
  [56, 'ctx umem size'],
  [57, 'ctx any any umem size'],
  [58, 'ctx any'],
  [59, 'ctx any'],
  [60, 'ctx map any any'],
  [61, 'ctx any'],
  [62, 'ctx any'],
  [63, 'ctx any any any', 'int', C],
  [64, 'ctx mem size'],
  [65, 'ctx any', 'int', C],
  [66, 'ctx any umem size any'],
  [67, 'ctx umem size0 any'],
  [68, 'ctx any umem size any'],
  [69, 'ctx wmem size any'],
  [70, 'ctx map key any', 'int', P],
  [71, 'ctx map key any'],
  [72, 'ctx map key any'],
  [73, 'ctx any mem size', 'int', C],
  [74, 'ctx any mem size', 'int', C],
  [75, 'ctx any any', 'int', C],
  [76, 'ctx any mem size', 'int', C],
  [77, 'ctx'],
  [78, 'ctx any any any'],
  [79, 'ctx'],
  [80, ''],
  [81, 'map any', 'map_value'],
  [82, 'ctx map key any'],
  [83, 'ctx any'],
  [84, 'ctx mem size0 any any', 'socket?', P],
  [85, 'ctx mem size0 any any', 'socket?', P],
  [86, 'btf_sock'],
  [87, 'map value any', 'int', P],
  [88, 'map uvalue'],
  [89, 'map uvalue'],
  [90, 'ctx any any any', 'int', C],
  [91, 'ctx any any any', 'int', C],
  [92, 'ctx any any'],
  [93, 'spin_lock', 'void'],
  [94, 'spin_lock', 'void'],
  [95, 'sock_common', 'socket?'],
  [96, 'sock_common', 'tcp_sock?'],
  [97, 'ctx'],
  [98, 'sock_common', 'socket?'],
  [99, 'ctx mem size0 any any', 'sock_common?', P],
  [100, 'btf_sock mem size mem size', 'int', P],
  [101, 'ctx umem size any'],
  [102, 'ctx umem size'],
  [103, 'ctx umem size'],
  [104, 'ctx mem size'],
  [105, 'mem size any ufixed:8'],
  [106, 'mem size any ufixed:8'],
  [107, 'map btf_sock value? any', 'map_value?'],
  [108, 'map btf_sock'],
  [109, 'any'],
  [110, 'btf_sock mem size mem size', 'int', P],
  [111, 'btf:sk_buff map any mem size0'],
  [112, 'umem size0 any'],
  [113, 'umem size0 any'],
  [114, 'umem size0 any'],
  [115, 'umem size0 any'],
  [116, 'btf:tcp_sock any'],
  [117, 'any'],
  [118, '', 'int', F],
  [119, 'ctx umem? size0 any'],
  [120, 'any any umem size'],
  [121, 'btf:xdp_buff map any mem size0'],
  [122, 'ctx?'],
  [123, 'any'],
  [124, 'ctx btf_sock any'],
  [125, ''],
  [126, 'btf:seq_file mem size mem? size0'],
  [127, 'btf:seq_file mem size0'],
  [128, 'btf_sock'],
  [129, 'btf_sock any'],
  [130, 'map mem size0 any'],
  [131, 'map alloc any', 'ringbuf?'],
  [132, 'ringbuf_mem any', 'void'],
  [133, 'ringbuf_mem any', 'void'],
  [134, 'map any'],
  [135, 'ctx any'],
  [136, 'btf_sock', 'btf?:tcp6_sock'],
  [137, 'btf_sock', 'btf?:tcp_sock'],
  [138, 'btf_sock', 'btf?:tcp_timewait_sock'],
  [139, 'btf_sock', 'btf?:tcp_request_sock'],
  [140, 'btf_sock', 'btf?:udp6_sock'],
  [141, 'btf:task_struct umem size0 any'],
  [142, 'ctx wmem size any'],
  [143, 'ctx mem size any', 'int', C],
  [144, 'ctx any any'],
  [145, 'map btf:inode? value? any', 'map_value?'],
  [146, 'map btf:inode?'],
  [147, 'btf:path umem size0'],
  [148, 'umem size0 any'],
  [149, 'umem size mem size any'],
  [150, 'btf:seq_file mem size0 any'],
  [151, 'ctx'],
  [152, 'any mem? size0 any'],
  [153, 'percpu any', 'percpu?'],
  [154, 'percpu', 'percpu'],
  [155, 'any any'],
  [156, 'map btf:task_struct? value? any', 'map_value?'],
  [157, 'map btf:task_struct?'],
  [158, '', 'btf:task_struct'],
  [159, 'btf:linux_binprm any'],
  [160, ''],
  [161, 'btf:inode umem size'],
  [162, 'btf:file', 'btf?:socket'],
  [163, 'ctx any wfixed:4 any any'],
  [164, 'map func stack? any'],
  [165, 'umem? size0 string mem? size0'],
  [166, 'any mem size'],
  [167, 'mem size any any'],
  [168, 'any'],
  [169, 'timer map any'],
  [170, 'timer func'],
  [171, 'timer any any'],
  [172, 'timer'],
  [173, 'ctx'],
  [174, 'ctx'],
  [175, 'btf:task_struct', 'btf:pt_regs'],
  [176, 'umem size0'],
  [177, 'mem size mem? size0'],
  [178, 'btf_sock', 'btf?:unix_sock'],
  [179, 'mem size0 any ufixed:8'],
  [180, 'btf:task_struct any func stack? any'],
  [181, 'any func stack? any'],
  [182, 'mem size string'],
  [183, 'ctx any ufixed:8'],
  [184, 'ctx ufixed:8'],
  [185, 'ctx'],
  [186, ''],
  [187, 'any'],
  [188, 'ctx'],
  [189, 'ctx any umem size'],
  [190, 'ctx any mem size'],
  [191, 'umem size0 any btf:task_struct any'],
  [192, 'ctx any any'],
  [193, 'btf:file umem size'],
  [194, 'kptr_place btf:kptr?', 'btf?:kptr'],
  [195, 'map key any', 'map_value?', P],
  [196, 'sock_common', 'btf?:mptcp_sock'],
  [197, 'wmem size0 any udynptr:local'],
  [198, 'map any any udynptr:ringbuf'],
  [199, 'dynptr:ringbuf any', 'void'],
  [200, 'dynptr:ringbuf any', 'void'],
  [201, 'umem size0 dynptr any any'],
  [202, 'dynptr any mem size0 any'],
  [203, 'dynptr any alloc', 'dynptr_data?'],
  [204, 'fixed:20 mem size0', 'int', P],
  [205, 'fixed:40 mem size0', 'int', P],
  [206, 'fixed:20 fixed:20', 'int', P],
  [207, 'fixed:40 fixed:20', 'int', P],
  [208, ''],
  [209, 'map func stack? any'],
  [210, 'map btf:cgroup? value? any', 'map_value?'],
  [211, 'map btf:cgroup?'],
]

const PROTOTYPES: readonly (HelperPrototype | undefined)[] = indexed()

function indexed(): readonly (HelperPrototype | undefined)[] {
  const prototypes: (HelperPrototype | undefined)[] = []
  for (const [id, args, returns = 'int', traits = 0] of TABLE) {
    prototypes[id] = {
      id,
      // The table above is written in these types.
      args: args === '' ? [] : (args.split(' ') as ArgumentType[]),
      returns,
      takesPackets: (traits & P) !== 0,
      changesPacket: (traits & C) !== 0,
      fastcall: (traits & F) !== 0,
    }
  }
  return prototypes
}

/** Helpers that are others in some program types: they take what stands for a socket there. */
const VARIANTS: readonly (readonly [id: number, programTypes: readonly number[], args: string])[] = [
  [17, [3, 4, 10, 11, 12, 19], 'ctx'], // get_cgroup_classid: of the packet, else of the task
  [46, [21, 26, 29, 31], 'btf_sock'], // get_socket_cookie
  [49, [25, 26, 27, 29], 'btf_sock any any mem size'], // setsockopt
  [57, [25, 26, 27, 29], 'btf_sock any any umem size'], // getsockopt
  [107, [9], 'map ctx value? any'], // sk_storage_get
  [107, [26, 29], 'map btf:sock_common? value? any'],
  [108, [26, 29], 'map btf:sock_common?'],
  [124, [30], 'ctx socket? any'], // sk_assign
  [188, [31], 'btf:xdp_buff'], // xdp_get_buff_len
]

const BY_TYPE: ReadonlyMap<number, HelperPrototype> = variants()

function variants(): ReadonlyMap<number, HelperPrototype> {
  const byType = new Map<number, HelperPrototype>()
  for (const [id, types, args] of VARIANTS) {
    const common = PROTOTYPES[id]
    if (common === undefined) continue
    const variant = { ...common, args: args === '' ? [] : (args.split(' ') as ArgumentType[]) }
    for (const type of types) byType.set(id * 64 + type, variant)
  }
  return byType
}

/** Helpers that not all attach types of a program type have: those that do. */
const ATTACH_TYPES: readonly (readonly [id: number, programType: number, attachTypes: readonly number[]])[] =
  [
    [49, 25, [22]], // setsockopt
    [57, 25, [22]], // getsockopt
    [64, 18, [10, 11]], // bind: connect
    // get_retval, set_retval: where the program may refuse
    [186, 18, [8, 9, 10, 11, 14, 15, 49, 50]],
    [187, 18, [8, 9, 10, 11, 14, 15, 49, 50]],
    // tracing: iterators write to a file, trampolines know arguments and results
    [126, 26, [28]],
    [127, 26, [28]],
    [150, 26, [28]],
    [183, 26, [24, 25, 26]],
    [184, 26, [24, 25, 26]],
    [185, 26, [24, 25, 26]],
    [174, 26, [23, 24, 25, 26]],
    [126, 29, []],
    [127, 29, []],
    [150, 29, []],
    [184, 29, []],
    // LSM: hooks of cgroups
    [49, 29, [43]],
    [57, 29, [43]],
    [81, 29, [43]],
    [186, 29, [43]],
    [187, 29, [43]],
  ]

/** Whether programs of a type that has the helper have it with an attach type too. */
export function helperAttaches(id: number, programType: number, attachType: number): boolean {
  const rule = ATTACH_TYPES.find(([helper, type]) => helper === id && type === programType)
  return rule === undefined || rule[2].includes(attachType)
}

/** bpf_trace_printk(): what follows the format isn't declared. */
const VARIADIC: ReadonlySet<number> = new Set([6])
const MOST_ARGUMENTS = 5

/** Registers that a helper reads, at most, whatever the type of program. @returns undefined: there is no such helper */
export function helperArity(id: number): number | undefined {
  if (VARIADIC.has(id)) return MOST_ARGUMENTS
  const common = PROTOTYPES[id]
  if (common === undefined) return undefined
  let most = common.args.length
  for (const [helper, , args] of VARIANTS)
    if (helper === id) most = Math.max(most, args === '' ? 0 : args.split(' ').length)
  return most
}

/**
 * @param programType BPF_PROG_TYPE_*
 * @returns undefined: there is no such helper
 */
export function helperPrototype(id: number, programType: number): HelperPrototype | undefined {
  return BY_TYPE.get(id * 64 + programType) ?? PROTOTYPES[id]
}
