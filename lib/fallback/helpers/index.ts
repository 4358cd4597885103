/** All helpers and kernel functions of the fallback kernel, by id. What isn't here is `UNSUPPORTED` when a program that calls it is loaded. */
import type { Machine } from '../machine.js'
import type { HelperFunction } from '../vm/types.js'
import type { HelperFamily } from './arguments.js'
import { checksumHelpers } from './checksum.js'
import { dynptrHelpers } from './dynptr.js'
import { iterateHelpers } from './iterate.js'
import { kfuncHelpers } from './kfuncs.js'
import { mapHelpers } from './maps.js'
import { perCpuHelpers } from './per-cpu.js'
import { perfEventHelpers } from './perf-event.js'
import { printHelpers } from './print.js'
import { probeReadHelpers } from './probe-read.js'
import { redirectHelpers } from './redirect.js'
import { ringBufferHelpers } from './ring-buffer.js'
import { skbHelpers } from './skb.js'
import { taskHelpers } from './task.js'
import { taskStorageHelpers } from './task-storage.js'
import { timeHelpers } from './time.js'
import { xdpHelpers } from './xdp.js'

const FAMILIES: readonly HelperFamily[] = [
  mapHelpers,
  timeHelpers,
  printHelpers,
  taskHelpers,
  taskStorageHelpers,
  perCpuHelpers,
  probeReadHelpers,
  ringBufferHelpers,
  perfEventHelpers,
  dynptrHelpers,
  iterateHelpers,
  skbHelpers,
  checksumHelpers,
  redirectHelpers,
  xdpHelpers,
]

/** The helpers of one machine. */
export function createHelpers(machine: Machine): ReadonlyMap<number, HelperFunction> {
  const helpers = new Map<number, HelperFunction>()
  for (const family of FAMILIES) {
    for (const [id, helper] of Object.entries(family(machine))) helpers.set(Number(id), helper)
  }
  for (const [id, called] of kfuncHelpers(machine)) helpers.set(id, called)
  return helpers
}
