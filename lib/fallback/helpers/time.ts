/** Clocks. */
import type { Registers } from '../vm/types.js'
import type { HelperFamily } from './arguments.js'

export const timeHelpers: HelperFamily = ({ clock }) => {
  const monotonic = ({ lo, hi }: Registers): void => clock.read(lo, hi, 0)
  return {
    /** bpf_ktime_get_ns */
    5: monotonic,
    /** bpf_jiffies64, Linux 5.5 */
    118: (registers) => giveBigInt(registers, clock.jiffies()),
    /** bpf_ktime_get_boot_ns, Linux 5.8: the simulated machine never sleeps. */
    125: monotonic,
    /** bpf_ktime_get_coarse_ns, Linux 5.11: steps of a tick in Linux, exact here. */
    160: monotonic,
    /** bpf_ktime_get_tai_ns, Linux 6.1 */
    208: (registers) => giveBigInt(registers, clock.tai()),
  }
}

function giveBigInt({ lo, hi }: Registers, value: bigint): void {
  lo[0] = Number(BigInt.asIntN(32, value))
  hi[0] = Number(BigInt.asIntN(32, value >> 32n))
}
