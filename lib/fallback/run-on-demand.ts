/** Programs run on demand: BPF_PROG_TEST_RUN of the program types that have it here. */
import { BpfError, systemError, unsupported } from '../errors.js'
import type { ProgramInfo, RunOptions, RunResult } from '../kernel.js'
import { BPF_PROG_TYPE as P, programTypeName } from '../linux/program-types.js'
import { testRunUsage } from '../linux/test-run.js'
import { describe } from './describe.js'
import { EINVAL } from './errors.js'
import { MAX_ARGUMENTS } from './hooks/tracepoints.js'
import type { Machine } from './machine.js'
import { Access, type Memory } from './memory.js'
import { runSkLookup } from './packets/sk-lookup.js'
import { runOnSkb, runOnXdp, type PacketRunner } from './packets/test-run.js'

/** What a run needs of a program. */
interface Runnable {
  readonly name: string
  /** Bytes of the context that it accesses. */
  readonly contextSize: number
  /** No verifier has seen it. */
  readonly isSandboxed: boolean
  execute(context: number): number
}

/** @returns a result, or a negative errno */
type Runner = (machine: Machine, program: Runnable, options: RunOptions) => RunResult | number

const onSkb =
  (type: number): Runner =>
  ({ memory, packets }, program, options) =>
    runOnSkb(runnerOf(memory, packets, program), type, options)

/** By type. */
const RUNNERS: ReadonlyMap<number, Runner> = new Map<number, Runner>([
  [
    P.SYSCALL,
    ({ memory }, program, options) => {
      if (!takesContext(program, options, 0xffff)) return EINVAL
      const result = runOn(memory, program, options.ctx, Access.readWrite)
      return options.ctx === undefined ? { retval: result.retval, durationNs: result.durationNs } : result
    },
  ],
  [
    P.RAW_TRACEPOINT,
    ({ memory }, program, options) => {
      if (!takesContext(program, options, 8 * MAX_ARGUMENTS)) return EINVAL
      const { retval, durationNs } = runOn(memory, program, options.ctx, Access.read)
      return { retval, durationNs }
    },
  ],
  ...[P.SOCKET_FILTER, P.SCHED_CLS, P.SCHED_ACT, P.CGROUP_SKB, P.LWT_IN, P.LWT_OUT, P.LWT_XMIT].map(
    (type) => [type, onSkb(type)] as const,
  ),
  [P.XDP, ({ memory, packets }, program, options) => runOnXdp(runnerOf(memory, packets, program), options)],
  [
    P.SK_LOOKUP,
    ({ memory }, program, options) => runSkLookup(memory, (context) => program.execute(context), options),
  ],
])

const MAX_REPEAT = 0x7fffffff

/**
 * @throws BpfError `UNSUPPORTED` for types that aren't run here, `BAD_VALUE`; Linux's errors with their codes; `TRAP`
 */
export function runOnDemand(
  machine: Machine,
  program: Runnable,
  info: ProgramInfo,
  options: RunOptions,
): RunResult {
  const { name, section, type } = info
  const runner = RUNNERS.get(type)
  if (runner === undefined) {
    throw unsupported(
      `running program '${name}' of type ${programTypeName(type)}, SEC("${section}"), on demand in the fallback kernel`,
      type === P.TRACING ? 'Attach it, and fire its tracepoint: kernel.fire(…)' : undefined,
    )
  }
  checkOptions(name, options)
  const result = runner(machine, program, options)
  if (typeof result !== 'number') return result
  throw systemError('bpf(BPF_PROG_TEST_RUN)', -result, `program '${name}'`, {
    ...(result === EINVAL && { hint: usage(type, program, options) }),
  })
}

function checkOptions(name: string, options: RunOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new BpfError('BAD_VALUE', `program '${name}': run() takes options: { ctx: new Uint8Array(16) }`)
  const { data, ctx, repeat = 0 } = options
  for (const [option, value] of [
    ['data', data],
    ['ctx', ctx],
  ] as const) {
    if (value === undefined || value instanceof Uint8Array) continue
    throw new BpfError('BAD_VALUE', `program '${name}': ${option} is a Uint8Array, not ${describe(value)}`)
  }
  if (!Number.isInteger(repeat) || repeat < 0 || repeat > MAX_REPEAT)
    throw new BpfError(
      'BAD_VALUE',
      `program '${name}': repeat is an integer from 0 to ${MAX_REPEAT}, not ${describe(repeat)}`,
    )
}

/** One run is what Linux does without being asked to repeat it, and no bytes are no data. */
function takesContext(
  { contextSize }: Runnable,
  { data, ctx, repeat = 0 }: RunOptions,
  most: number,
): boolean {
  const size = ctx?.length ?? 0
  return (data?.length ?? 0) === 0 && repeat <= 1 && size >= contextSize && size <= most
}

function usage(type: number, { contextSize }: Runnable, { ctx }: RunOptions): string {
  const usual = testRunUsage(type)
  if (type !== P.SYSCALL && type !== P.RAW_TRACEPOINT) return usual
  return `${usual}. It accesses ${contextSize} bytes of its context, and ${ctx?.length ?? 0} are given`
}

function runOn(
  memory: Memory,
  program: Runnable,
  ctx: Uint8Array | undefined,
  access: Access,
): Required<Omit<RunResult, 'data'>> {
  const size = ctx?.length ?? 0
  const context = memory.alloc(size, access, 16, `context of program '${program.name}'`)
  try {
    if (ctx !== undefined) memory.u8.set(ctx, context)
    const start = performance.now()
    const retval = program.execute(context)
    const durationNs = Math.round((performance.now() - start) * 1e6)
    return { retval, durationNs, ctx: memory.u8.slice(context, context + size) }
  } finally {
    memory.free(context)
  }
}

function runnerOf(memory: Memory, packets: Machine['packets'], program: Runnable): PacketRunner {
  const execute = (context: number): number => program.execute(context)
  return { memory, packets, hidesContext: program.isSandboxed, execute }
}
