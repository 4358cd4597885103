/** Test runs: what the addon takes and gives, by program type, and the words for what Linux refuses. */
import { release } from 'node:os'
import { BpfError, systemError } from '../errors.js'
import type { ProgramInfo, RunOptions, RunResult } from '../kernel.js'
import { isOlderThan } from '../linux/release.js'
import { TEST_RUN_FLAGS, TEST_RUNS, testRunUsage } from '../linux/test-run.js'
import type { AddonRunOptions, AddonRunResult } from './addon-types.js'

/** What a program may add to its data: helpers make no packet larger than this (SKB_MAX_ALLOC of Linux). */
const ROOM_TO_GROW = 4096 << 2

export function toRunRequest(
  type: number,
  { data, ctx, repeat = 0, cpu, flags = 0, batchSize = 0 }: RunOptions,
): AddonRunOptions {
  const { givesData = false, givesContext = 'no' } = TEST_RUNS.get(type) ?? {}
  // Packets that travel don't come back.
  const isLive = (flags & TEST_RUN_FLAGS.BPF_F_TEST_XDP_LIVE_FRAMES) !== 0
  return {
    data,
    dataOutSize: data !== undefined && givesData && !isLive ? data.length + ROOM_TO_GROW : 0,
    ctx,
    ctxOutSize: ctx !== undefined && givesContext === 'copy' && !isLive ? ctx.length : 0,
    // Types that cannot repeat refuse the number 1 too; to the others, 0 is 1.
    repeat: repeat === 1 ? 0 : repeat,
    cpu: cpu ?? 0,
    flags: cpu === undefined ? flags : (flags | TEST_RUN_FLAGS.BPF_F_TEST_RUN_ON_CPU) >>> 0,
    batchSize,
  }
}

export function toRunResult(
  type: number,
  { retval, durationNs, dataOut, ctxIn, ctxOut }: AddonRunResult,
): RunResult {
  const ctx = TEST_RUNS.get(type)?.givesContext === 'in place' ? ctxIn : ctxOut
  return {
    retval,
    durationNs,
    ...(dataOut !== undefined && { data: dataOut }),
    ...(ctx !== undefined && { ctx }),
  }
}

/** The better error for a refused run: with what programs of the type take. */
export function explainRun(error: unknown, { name, type }: ProgramInfo): unknown {
  if (!(error instanceof BpfError) || error.code !== 'EINVAL') return error
  const { call = '', errno = 0 } = error
  const since = TEST_RUNS.get(type)?.since
  const hint =
    since !== undefined && isOlderThan(release(), since)
      ? `Linux runs programs of its type on demand since ${since}, and this is ${release()}`
      : testRunUsage(type)
  return systemError(call, errno, `program '${name}'`, { hint })
}
