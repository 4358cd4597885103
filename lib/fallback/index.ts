/** The fallback kernel: eBPF without Linux, for tests that run anywhere. */
import { FallbackKernel, type FallbackOptions } from './kernel.js'

export { FallbackKernel } from './kernel.js'
export type { FallbackOptions, FireResult } from './kernel.js'
export { Coverage } from './debug/coverage.js'
export type { BranchCoverage, LineCoverage } from './debug/coverage.js'
export { Debugger } from './debug/debugger.js'
export type {
  Removable,
  StopAction,
  StopHandler,
  TracedInstruction,
  TracedLine,
  TraceSink,
} from './debug/debugger.js'
export type { ListedInstruction, Place } from './debug/listing.js'
export { Stop } from './debug/stop.js'
export type { StackFrame } from './debug/stop.js'
export type { EngineName } from './vm/types.js'
export type { Clock, ClockMode } from './hooks/clock.js'
export type { ArgumentValue, TracepointArguments } from './hooks/context.js'
export type { FieldValue, FieldValues, KernelStruct } from './hooks/kernel-struct.js'
export type { ForkOptions, Task } from './hooks/task.js'
export type { Exit, TaskIdentity } from './hooks/task-options.js'
export type { SpawnOptions, TaskInit, Tasks } from './hooks/tasks.js'
export type { KernelVariable, VariableContents } from './hooks/variables.js'
export type { TracepointArgument } from './hooks/tracepoints.js'
export type { TraceLine, TraceListener, TraceLog } from './trace-log.js'

/**
 * Makes a kernel.
 *
 * @throws BpfError `BAD_VALUE` for an option out of range
 *
 * @example
 * const kernel = createKernel({ cpus: 2, seed: 1 })
 * using object = open('execsnoop.bpf.o', { kernel }).load()
 * using links = object.attach()
 * kernel.tasks.spawn({ filename: '/usr/bin/curl', argv: ['curl', 'localhost'] }).exit(0)
 */
export function createKernel(options: FallbackOptions = {}): FallbackKernel {
  return new FallbackKernel(options)
}
