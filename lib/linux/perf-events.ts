/**
 * Perf events by name.
 *
 * Source: perf_event_open(2); `enum perf_type_id`, `perf_hw_id` and `perf_sw_ids` of linux/perf_event.h (Linux 6.18). The names are perf's.
 */

/** PERF_TYPE_* of events that are known by name. */
export const PERF_TYPE = { hardware: 0, software: 1 } as const

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

/** `'cpu-clock'`, `'cache-misses'` … */
export type PerfEventName = keyof (typeof PERF_EVENTS)['hardware'] | keyof (typeof PERF_EVENTS)['software']

/** Numbers of an event by its name; undefined for what is none. */
export function perfEventByName(
  name: string,
): { readonly type: number; readonly config: number } | undefined {
  for (const kind of ['hardware', 'software'] as const) {
    const configs: Readonly<Record<string, number>> = PERF_EVENTS[kind]
    const config = Object.hasOwn(configs, name) ? configs[name] : undefined
    if (config !== undefined) return { type: PERF_TYPE[kind], config }
  }
  return undefined
}

/** Every name. */
export const PERF_EVENT_NAMES: readonly string[] = [
  ...Object.keys(PERF_EVENTS.hardware),
  ...Object.keys(PERF_EVENTS.software),
]
