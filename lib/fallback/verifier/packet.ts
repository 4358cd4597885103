/** What becomes of packet pointers when the packet may have moved. */
import { mapRegisters } from './state.js'
import { isPacketPointer, KIND, UNKNOWN } from './values/register.js'
import type { Verification } from './verification.js'

/** The packet may lie elsewhere: pointers into it are numbers. */
export function forgetPackets(env: Verification): void {
  mapRegisters(env.state, (register) =>
    isPacketPointer(register) || register.kind === KIND.PACKET_END ? UNKNOWN : register,
  )
}
