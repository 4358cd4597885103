/** Which map types a kernel has: asked by creating the smallest map of the type, which is closed at once. */
import { createMap, type CreateMapOptions } from '../create-map.js'
import { BpfError } from '../errors.js'
import { BPF_MAP_TYPE, isMapOfMaps, MAP_TYPES, mapTypeDefaults } from '../linux/map-types.js'
import { mapRequirement } from '../linux/requirements.js'
import { nativeKernel } from '../native/kernel.js'
import { lacksOf, readHost, whyRefused } from '../native/lacks.js'
import { no, unknown, YES, type Answer } from './answer.js'
import { unknownName } from './program-features.js'

/** Of a page, as ring buffers and arenas want it. */
const PAGE = 4096

/** What the smallest map of a type takes beside the defaults of the type. */
const SMALLEST: ReadonlyMap<number, Partial<CreateMapOptions>> = new Map<number, Partial<CreateMapOptions>>([
  [BPF_MAP_TYPE.STACK_TRACE, { valueSize: 8 }],
  // struct bpf_insn_array_value.
  [BPF_MAP_TYPE.INSN_ARRAY, { valueSize: 16 }],
  [BPF_MAP_TYPE.LPM_TRIE, { keySize: 8 }],
  [BPF_MAP_TYPE.CGROUP_STORAGE, { keySize: 8, maxEntries: 0 }],
  [BPF_MAP_TYPE.PERCPU_CGROUP_STORAGE, { keySize: 8, maxEntries: 0 }],
  [BPF_MAP_TYPE.RINGBUF, { maxEntries: PAGE }],
  [BPF_MAP_TYPE.USER_RINGBUF, { maxEntries: PAGE }],
])

/** @param name `ringbuf` */
export function askMapType(name: string): Answer {
  const info = MAP_TYPES.find((one) => one.name === name)
  if (info === undefined)
    throw unknownName(
      'map type',
      name,
      MAP_TYPES.map((one) => one.name),
    )
  if (info.type === BPF_MAP_TYPE.STRUCT_OPS) return askStructOps()
  try {
    create(name, info.type)
    return YES
  } catch (error) {
    if (!(error instanceof BpfError) || error.errno === undefined) throw error
    return refused(info.type, name, error.code)
  }
}

function create(name: string, type: number): void {
  const { entries, value, needsTypes } = mapTypeDefaults(type)
  const base: CreateMapOptions = {
    type: name,
    kernel: nativeKernel(),
    ...(entries === undefined && { maxEntries: 1 }),
  }
  const sizes = {
    ...(mapTypeDefaults(type).key === undefined && { keySize: 4 }),
    ...(needsTypes === true ? { value: 'u32' } : value === undefined && { valueSize: 4 }),
  }
  if (!isMapOfMaps(type)) {
    createMap({ ...base, ...sizes, ...SMALLEST.get(type) }).close()
    return
  }
  using inner = createMap({ type: 'array', valueSize: 4, maxEntries: 1, kernel: nativeKernel() })
  createMap({ ...base, ...sizes, inner }).close()
}

/** One is made for a struct of the kernel only: there is no smallest one. */
function askStructOps(): Answer {
  const requirement = mapRequirement(BPF_MAP_TYPE.STRUCT_OPS)
  if (requirement === undefined) return unknown('nobody knows')
  const host = readHost()
  const { version, options } = lacksOf(requirement, host)
  if (version !== undefined || options.length > 0)
    return no(whyRefused('struct_ops maps', requirement, 'EINVAL', host))
  return host.options === undefined
    ? unknown('a map is made for one struct of the kernel, and its options are nowhere to be read')
    : YES
}

function refused(type: number, name: string, errno: string): Answer {
  const requirement = mapRequirement(type)
  const host = readHost()
  const reason = requirement && whyRefused(`maps of type ${name}`, requirement, errno, host)
  if (errno === 'EPERM' || errno === 'EACCES') return unknown(reason ?? errno)
  if (errno === 'EINVAL' || errno === 'EOPNOTSUPP' || errno === 'ENOTSUPP')
    return no(reason ?? `the kernel answers ${errno}`)
  return unknown(`the kernel answers ${errno}`)
}
