/** What becomes of packet pointers when the packet may have moved. */
import { mapRegisters } from './state.js'
import { isPacketPointer, KIND, type Register } from './values/register.js'
import type { Verification } from './verification.js'

/** The packet may lie elsewhere: pointers into it are numbers. */
export function forgetPackets(env: Verification): void {
  mapRegisters(env.state, (register) => (isOfPacket(register) ? env.remains : register))
}

function isOfPacket(register: Register): boolean {
  const { kind, type } = register
  if (isPacketPointer(register) || kind === KIND.PACKET_END) return true
  return kind === KIND.MEM && type === 'packet_dynptr'
}
