/** Callbacks: bpf_loop. Linux 5.17. */
import { E2BIG, EINVAL } from '../errors.js'
import { callbackEnds, flagsIn, give, unsigned, type HelperFamily } from './arguments.js'

const LOOP = 181
/** BPF_MAX_LOOPS */
const MAX_LOOPS = 8 << 20

export const iterateHelpers: HelperFamily = () => ({
  /** bpf_loop(nr_loops, callback(index, ctx), ctx, flags): how often the callback was called. */
  [LOOP](registers, engine) {
    const count = unsigned(registers, 1)
    if (flagsIn(registers, 4) !== 0) return give(registers, EINVAL)
    // Linux's verifier writes the loop into the program: there all 64 bits of the count are looked at, and this error comes without its sign's upper half.
    if (registers.hi[1] !== 0 || count > MAX_LOOPS) {
      give(registers, E2BIG)
      registers.hi[0] = 0
      return
    }
    const callback = registers.lo[2] ?? 0
    const args = [0, 0, registers.lo[3] ?? 0, registers.hi[3] ?? 0]
    let done = 0
    while (done < count) {
      args[0] = done++
      engine.call(callback, args)
      if (callbackEnds(registers, engine, LOOP)) break
    }
    give(registers, done)
  },
})
