/**
 * Helpers that send a packet elsewhere: the verdict alone, as in a test run, where nothing travels. net/core/filter.c.
 */
import { XdpBuffer } from '../packets/xdp-buffer.js'
import type { Machine } from '../machine.js'
import { flagsIn, give, unsigned, type HelperFamily } from './arguments.js'

const XDP_ABORTED = 0
const XDP_REDIRECT = 4
const TC_ACT_SHOT = 2
const TC_ACT_REDIRECT = 7
const BPF_F_INGRESS = 1
/** sizeof(struct bpf_redir_neigh) */
const NEIGHBOUR_SIZE = 20

export const redirectHelpers: HelperFamily = (machine) => ({
  /** bpf_redirect, Linux 4.4 */
  23: (registers) => {
    const flags = flagsIn(registers, 2)
    if (isXdp(machine)) give(registers, flags === 0 ? XDP_REDIRECT : XDP_ABORTED)
    else give(registers, flags <= BPF_F_INGRESS ? TC_ACT_REDIRECT : TC_ACT_SHOT)
  },
  /** bpf_redirect_neigh, Linux 5.10 */
  152: (registers) => {
    const size = registers.lo[3] ?? 0
    const isShort = size !== 0 && unsigned(registers, 3) < NEIGHBOUR_SIZE
    give(registers, isShort || flagsIn(registers, 4) !== 0 ? TC_ACT_SHOT : TC_ACT_REDIRECT)
  },
  /** bpf_redirect_peer, Linux 5.10 */
  155: (registers) => give(registers, flagsIn(registers, 2) === 0 ? TC_ACT_REDIRECT : TC_ACT_SHOT),
})

/** It takes no context: what runs is the packet that came last. */
function isXdp({ packets }: Machine): boolean {
  return [...packets.values()].at(-1) instanceof XdpBuffer
}
