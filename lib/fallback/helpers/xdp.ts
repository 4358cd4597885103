/** Helpers of XDP: the packet's bounds, and what lies behind its first piece. net/core/filter.c. */
import { Access } from '../memory.js'
import { give, pointer, unsigned, type HelperFamily } from './arguments.js'
import { onXdp } from './packet-arguments.js'

export const xdpHelpers: HelperFamily = (machine) => ({
  /** bpf_xdp_adjust_head, Linux 4.10 */
  44: onXdp(machine, 44, (xdp, registers) => give(registers, xdp.adjustHead(registers.lo[2] ?? 0))),
  /** bpf_xdp_adjust_meta, Linux 4.15 */
  54: onXdp(machine, 54, (xdp, registers) => give(registers, xdp.adjustMeta(registers.lo[2] ?? 0))),
  /** bpf_xdp_adjust_tail, Linux 4.18 */
  65: onXdp(machine, 65, (xdp, registers) => give(registers, xdp.adjustTail(registers.lo[2] ?? 0))),
  /** bpf_xdp_get_buff_len, Linux 5.18 */
  188: onXdp(machine, 188, (xdp, registers) => give(registers, xdp.totalLength)),
  /** bpf_xdp_load_bytes, Linux 5.18 */
  189: onXdp(machine, 189, (xdp, registers, engine) => {
    const offset = unsigned(registers, 2)
    const size = unsigned(registers, 4)
    const to = pointer(machine.memory, registers, 3, size, Access.write, engine, 189)
    const error = xdp.check(offset, size)
    if (error === 0) xdp.load(offset, size, to)
    give(registers, error)
  }),
  /** bpf_xdp_store_bytes, Linux 5.18 */
  190: onXdp(machine, 190, (xdp, registers, engine) => {
    const offset = unsigned(registers, 2)
    const size = unsigned(registers, 4)
    const from = pointer(machine.memory, registers, 3, size, Access.read, engine, 190)
    const error = xdp.check(offset, size)
    if (error === 0) xdp.store(offset, size, from)
    give(registers, error)
  }),
})
