/**
 * Perf events by name.
 *
 * Source: perf_event_open(2); `enum perf_type_id`, `perf_hw_id`, `perf_sw_ids` and `perf_hw_cache_…_id` of linux/perf_event.h, `HW_BREAKPOINT_*` of
 * linux/hw_breakpoint.h (Linux 6.18). The names are perf's.
 */

/** PERF_TYPE_*. */
export const PERF_TYPE = {
  hardware: 0,
  software: 1,
  tracepoint: 2,
  hwCache: 3,
  raw: 4,
  breakpoint: 5,
} as const

/** Whether events of a type are counted by the processor: most virtual machines have none. */
export function isHardwareEvent(type: number): boolean {
  return type === PERF_TYPE.hardware || type === PERF_TYPE.hwCache || type === PERF_TYPE.raw
}

/** HW_BREAKPOINT_*: what of the memory at an address is watched. */
export const BREAKPOINTS = { execute: 4, write: 2, readWrite: 3 } as const

/** PERF_COUNT_HW_CACHE_*, by perf's names. */
const CACHES = { 'L1-dcache': 0, 'L1-icache': 1, LLC: 2, dTLB: 3, iTLB: 4, branch: 5, node: 6 } as const
/** Operation in the second byte, result in the third. */
const CACHE_EVENTS = {
  loads: 0x0_00_00,
  'load-misses': 0x1_00_00,
  stores: 0x0_01_00,
  'store-misses': 0x1_01_00,
  prefetches: 0x0_02_00,
  'prefetch-misses': 0x1_02_00,
} as const

const CACHE_CONFIGS: ReadonlyMap<string, number> = new Map(
  Object.entries(CACHES).flatMap(([cache, id]) =>
    Object.entries(CACHE_EVENTS).map(([event, bits]) => [`${cache}-${event}`, id | bits] as const),
  ),
)

/** By type: configs by name. */
export const PERF_EVENTS = {
  hardware: {
    'cpu-cycles': 0,
    instructions: 1,
    'cache-references': 2,
    'cache-misses': 3,
    'branch-instructions': 4,
    'branch-misses': 5,
    'bus-cycles': 6,
    'stalled-cycles-frontend': 7,
    'stalled-cycles-backend': 8,
    'ref-cycles': 9,
  },
  software: {
    'cpu-clock': 0,
    'task-clock': 1,
    'page-faults': 2,
    'context-switches': 3,
    'cpu-migrations': 4,
    'minor-faults': 5,
    'major-faults': 6,
    'alignment-faults': 7,
    'emulation-faults': 8,
    dummy: 9,
    'bpf-output': 10,
    'cgroup-switches': 11,
  },
} as const

/** `'cpu-clock'`, `'cache-misses'`, `'L1-dcache-load-misses'` … */
export type PerfEventName =
  | keyof (typeof PERF_EVENTS)['hardware']
  | keyof (typeof PERF_EVENTS)['software']
  | `${keyof typeof CACHES}-${keyof typeof CACHE_EVENTS}`

/** Numbers of an event by its name; undefined for what is none. */
export function perfEventByName(
  name: string,
): { readonly type: number; readonly config: number } | undefined {
  for (const kind of ['hardware', 'software'] as const) {
    const configs: Readonly<Record<string, number>> = PERF_EVENTS[kind]
    const config = Object.hasOwn(configs, name) ? configs[name] : undefined
    if (config !== undefined) return { type: PERF_TYPE[kind], config }
  }
  const cache = CACHE_CONFIGS.get(name)
  return cache === undefined ? undefined : { type: PERF_TYPE.hwCache, config: cache }
}

/** Every name. */
export const PERF_EVENT_NAMES: readonly string[] = [
  ...Object.keys(PERF_EVENTS.hardware),
  ...Object.keys(PERF_EVENTS.software),
  ...CACHE_CONFIGS.keys(),
]
