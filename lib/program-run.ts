/** Running programs on demand: options, slices, results. */
import type { Btf } from './btf/types.js'
import { BpfError } from './errors.js'
import type * as seam from './kernel.js'
import type { KernelProgram } from './kernel.js'
import { BPF_PROG_TYPE } from './linux/program-types.js'
import { TEST_RUN_FLAGS, type TestRunFlag } from './linux/test-run.js'
import { didYouMean } from './nearest.js'
import { contextCodec, type ContextCodec } from './program-context.js'

/** What a program is run on. Which types take what: docs/api/program-run.md. */
export interface RunOptions<C extends object = Uint8Array> {
  /** Packet; socket, tc, XDP, cgroup_skb, lwt, sk_skb, flow dissector and netfilter programs. From its Ethernet header on, 14 bytes at least. */
  readonly data?: Uint8Array
  /**
   * The context: bytes; or, by the program's types, a plain object whose members that are left out are 0: `{ ingress_ifindex: 1 }`; of raw
   * tracepoints an array of arguments. For XDP, `data_end` is the length of `data` unless it is given.
   */
  readonly ctx?: C
  /** How often it runs. Default 1; packet types and sk_lookup. */
  readonly repeat?: number
  /** The CPU to run on. raw_tracepoint programs; Linux 5.10. */
  readonly cpu?: number
  /** `['BPF_F_TEST_XDP_LIVE_FRAMES']`, or a number. */
  readonly flags?: number | readonly TestRunFlag[]
  /** Packets at once; of live frames, 256 at most. Default 64. */
  readonly batchSize?: number
  /**
   * Milliseconds. Linux stops a test run for a signal only, so with a timeout (or an abort signal) the repetitions are cut into slices of some
   * milliseconds, each of which starts from the given data. A single run is not interrupted.
   */
  readonly timeout?: number
}

export interface AsyncRunOptions<C extends object = Uint8Array> extends RunOptions<C> {
  /** Looked at between slices. */
  readonly signal?: AbortSignal
}

/** How a context comes back: as it was given. */
type ContextAfter<C> = C extends Uint8Array
  ? Uint8Array
  : C extends readonly unknown[]
    ? readonly bigint[]
    : Readonly<Record<string, unknown>>

export interface RunResult<C extends object = Uint8Array> {
  /** r0 as an unsigned 32-bit number. 0 for live frames, whose verdicts Linux doesn't tell. */
  readonly retval: number
  /** Mean time of a run, in nanoseconds. */
  readonly durationNs: number
  /** The data after the run, where the program type gives it back. */
  readonly data?: Uint8Array
  /** The context after the run, where the program type gives it back: bytes if bytes were given, else as it was given. */
  readonly ctx?: ContextAfter<C>
}

const OPTIONS: ReadonlySet<string> = new Set([
  'data', 'ctx', 'repeat', 'cpu', 'flags', 'batchSize', 'timeout', 'signal',
]) // prettier-ignore
const MAX_REPEAT = 0x7fffffff
/** What a slice should take: short enough to be stopped, long enough that the system call doesn't count. */
const SLICE_NS = 5e6
/** A first slice is not known to be short. Each following one is larger by this factor at most. */
const GROWTH = 16

/** @throws BpfError as `Program.run()` says */
export function runProgram<C extends object>(
  program: KernelProgram,
  btf: Btf | undefined,
  options: RunOptions<C>,
): RunResult<C> {
  const prepared = prepare(program, btf, options)
  const slices = slice(prepared)
  let step = slices.next()
  while (step.done !== true) {
    let outcome: Outcome
    try {
      outcome = program.run(step.value)
    } catch (error) {
      outcome = interruption(error)
    }
    step = slices.next(outcome)
  }
  return prepared.finish(step.value)
}

/** Like {@link runProgram}, off the event loop's thread. */
export async function runProgramAsync<C extends object>(
  program: KernelProgram,
  btf: Btf | undefined,
  options: AsyncRunOptions<C>,
): Promise<RunResult<C>> {
  const prepared = prepare(program, btf, options)
  const slices = slice(prepared)
  let step = slices.next()
  while (step.done !== true) {
    options.signal?.throwIfAborted()
    const outcome = await program.runAsync(step.value).catch(interruption)
    step = slices.next(outcome)
  }
  return prepared.finish(step.value)
}

/** `'interrupted'`: a signal came, and Linux gave up (EINTR). */
type Outcome = seam.RunResult | 'interrupted'

function interruption(error: unknown): 'interrupted' {
  if (error instanceof BpfError && error.code === 'EINTR') return 'interrupted'
  throw error
}

interface PreparedRun<C extends object = object> {
  readonly program: string
  readonly options: seam.RunOptions
  readonly repeat: number
  /** Milliseconds; undefined: as long as it takes. */
  readonly timeout: number | undefined
  /** Whether it must be possible to stop it. */
  readonly sliced: boolean
  finish(result: seam.RunResult): RunResult<C>
}

/** Yields what to run next, and takes what came of it. */
function* slice(run: PreparedRun): Generator<seam.RunOptions, seam.RunResult, Outcome> {
  const { options, repeat, timeout } = run
  const start = performance.now()
  let done = 0
  let nanoseconds = 0
  let size = run.sliced ? 1 : repeat
  for (;;) {
    const outcome = yield { ...options, repeat: size }
    if (outcome === 'interrupted') {
      // A single run isn't interrupted: what is halved ends.
      size = Math.ceil(size / 2)
    } else {
      done += size
      nanoseconds += outcome.durationNs * size
      if (done === repeat) return { ...outcome, durationNs: Math.round(nanoseconds / done) }
      const fitting = Math.floor((SLICE_NS * done) / Math.max(nanoseconds, 1))
      size = Math.min(repeat - done, Math.max(1, Math.min(fitting, size * GROWTH)))
    }
    if (timeout !== undefined && performance.now() - start >= timeout) throw timedOut(run, timeout, done)
  }
}

function timedOut({ program, repeat }: PreparedRun, timeout: number, done: number): BpfError {
  return new BpfError(
    'ETIMEDOUT',
    `program '${program}': ${done} of ${repeat} runs were done after ${timeout} ms`,
    {
      call: 'bpf(BPF_PROG_TEST_RUN)',
    },
  )
}

function prepare<C extends object>(
  program: KernelProgram,
  btf: Btf | undefined,
  options: RunOptions<C>,
): PreparedRun<C> {
  const { name, type } = program.info
  const bad = (message: string, hint?: string): BpfError =>
    new BpfError('BAD_VALUE', `program '${name}': ${message}`, hint === undefined ? {} : { hint })
  if (typeof options !== 'object' || options === null)
    throw bad('run() takes options: { ctx: new Uint8Array(16) }')
  const stranger = Object.keys(options).find((option) => !OPTIONS.has(option))
  if (stranger !== undefined)
    throw bad(`run() has no option '${stranger}'`, didYouMean(stranger, [...OPTIONS]))
  const { data, ctx, repeat = 1, cpu, batchSize, timeout } = options
  if (data !== undefined && !(data instanceof Uint8Array))
    throw bad(`data is a Uint8Array, not ${describe(data)}`)
  if (ctx !== undefined && (typeof ctx !== 'object' || ctx === null))
    throw bad(`ctx is a Uint8Array or an object, not ${describe(ctx)}`)
  if (!isInteger(repeat, 0, MAX_REPEAT))
    throw bad(`repeat is an integer from 0 to ${MAX_REPEAT}, not ${describe(repeat)}`)
  if (cpu !== undefined && !isInteger(cpu, 0, 0xffffffff))
    throw bad(`cpu is the number of a CPU, not ${describe(cpu)}`)
  if (batchSize !== undefined && !isInteger(batchSize, 1, 0xffffffff))
    throw bad(`batchSize is a positive integer, not ${describe(batchSize)}`)
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0))
    throw bad(`timeout is a positive number of milliseconds, not ${describe(timeout)}`)

  const codec = ctx === undefined || ctx instanceof Uint8Array ? undefined : contextCodec(name, type, btf)
  const bytes =
    ctx instanceof Uint8Array || codec === undefined
      ? (ctx as Uint8Array | undefined)
      : encode(codec, type, ctx, data)
  return {
    program: name,
    options: { data, ctx: bytes, cpu, flags: flagBits(options.flags ?? 0, bad), batchSize },
    repeat: Math.max(repeat, 1),
    timeout,
    sliced: repeat > 1 && (timeout !== undefined || 'signal' in options),
    finish: ({ ctx: after, ...result }) => ({
      ...result,
      // As it was given: the codec is there exactly if it was no Uint8Array.
      ...(after !== undefined && {
        ctx: (codec === undefined ? after : codec.decode(after)) as ContextAfter<C>,
      }),
    }),
  }
}

function encode(
  codec: ContextCodec,
  type: number,
  ctx: object | undefined,
  data: Uint8Array | undefined,
): Uint8Array {
  // Linux insists on it, and there is but one right answer.
  const known = type === BPF_PROG_TYPE.XDP && data !== undefined ? { data_end: data.length } : {}
  return codec.encode(Array.isArray(ctx) ? ctx : { ...known, ...ctx })
}

function flagBits(
  flags: number | readonly string[],
  bad: (message: string, hint?: string) => BpfError,
): number {
  if (typeof flags === 'number') {
    if (isInteger(flags, 0, 0xffffffff)) return flags
    throw bad(`flags are an unsigned 32-bit integer or names, not ${flags}`)
  }
  const bits: Readonly<Record<string, number>> = TEST_RUN_FLAGS
  let sum = 0
  for (const flag of flags) {
    const bit = Object.hasOwn(bits, flag) ? bits[flag] : undefined
    if (bit === undefined) throw bad(`there is no flag '${flag}'`, didYouMean(flag, Object.keys(bits)))
    sum |= bit
  }
  return sum
}

function isInteger(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}

function describe(value: unknown): string {
  return value === null ? 'null' : typeof value === 'number' ? String(value) : typeof value
}
