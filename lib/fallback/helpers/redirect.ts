/**
 * Helpers that send a packet elsewhere: the verdict alone, as in a test run, where nothing travels. net/core/filter.c.
 */
import { XdpBuffer } from '../packets/xdp-buffer.js'
import type { Machine } from '../machine.js'
import { flagsIn, give, helperTrap, mapIn, unsigned, type HelperFamily } from './arguments.js'

const REDIRECT_MAP = 51
const XDP_ABORTED = 0
/** Bits of XDP_ABORTED, _DROP, _PASS and _TX. */
const XDP_VERDICTS = 3
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
  /** bpf_redirect_map(map, key, flags), Linux 4.14: with no target, the verdict that the flags give. */
  [REDIRECT_MAP](registers, engine) {
    const map = mapIn(machine, registers, 1, engine, REDIRECT_MAP)
    const { redirect } = map.storage
    if (redirect === undefined)
      throw helperTrap(engine, REDIRECT_MAP, `map '${map.name}' has no targets for packets`)
    const flags = flagsIn(registers, 3)
    if (flags > (XDP_VERDICTS | redirect.flags) || (flags & ~(XDP_VERDICTS | redirect.flags)) !== 0)
      return give(registers, XDP_ABORTED)
    // Of the key, its lower half counts.
    give(registers, redirect.hasTarget(unsigned(registers, 2), flags) ? XDP_REDIRECT : flags & XDP_VERDICTS)
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
