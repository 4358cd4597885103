/** How helpers of packets find theirs. */
import type { Machine } from '../machine.js'
import { KERNEL_HI } from '../memory.js'
import { SkBuff } from '../packets/sk-buff.js'
import { XdpBuffer } from '../packets/xdp-buffer.js'
import type { Engine, HelperFunction, Registers } from '../vm/types.js'
import { helperTrap, unsigned } from './arguments.js'

/** A helper whose first argument is the context of a packet. It gives r0 itself. */
type OnPacket<P> = (packet: P, registers: Registers, engine: Engine) => void

/** @throws BpfError (the helper) `TRAP`, where r1 isn't the context of a packet */
export function onSkb(machine: Machine, helper: number, run: OnPacket<SkBuff>): HelperFunction {
  return (registers, engine) => {
    const packet = packetIn(machine, registers)
    if (!(packet instanceof SkBuff))
      throw helperTrap(engine, helper, 'r1 is no context of a packet (struct __sk_buff)')
    run(packet, registers, engine)
  }
}

/** The same, of XDP. */
export function onXdp(machine: Machine, helper: number, run: OnPacket<XdpBuffer>): HelperFunction {
  return (registers, engine) => {
    const packet = packetIn(machine, registers)
    if (!(packet instanceof XdpBuffer))
      throw helperTrap(engine, helper, 'r1 is no context of a packet (struct xdp_md)')
    run(packet, registers, engine)
  }
}

function packetIn({ packets }: Machine, registers: Registers): unknown {
  return registers.hi[1] === KERNEL_HI ? packets.get(unsigned(registers, 1)) : undefined
}
