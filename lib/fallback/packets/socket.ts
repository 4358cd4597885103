/** The socket behind a packet of a test run: the run's own, which nothing is bound or connected to. As programs see it: struct bpf_sock. */
import { Access, KERNEL_HI, type Memory } from '../memory.js'

const SIZE = 80
const FIELD = {
  family: 4,
  src_ip4: 24,
  src_ip6: 28,
  dst_ip4: 52,
  dst_ip6: 56,
  state: 72,
  rx_queue_mapping: 76,
} as const
const TCP_CLOSE = 7
const NO_QUEUE = 0xffffffff
export const AF_INET = 2
export const AF_INET6 = 10

export class TestSocket {
  /** Low half. */
  readonly address: number
  /** What bpf_get_socket_cookie() has given it; 0: it hasn't been asked. */
  cookie = 0
  readonly #memory: Memory

  constructor(memory: Memory) {
    this.#memory = memory
    this.address = memory.alloc(SIZE, Access.read, 16, 'socket of a packet')
    this.#set(FIELD.state, TCP_CLOSE)
    this.#set(FIELD.rx_queue_mapping, NO_QUEUE)
  }

  /** Takes an IP packet's addresses, which lie one behind the other, for its own. */
  takeAddresses(family: typeof AF_INET | typeof AF_INET6, from: number): void {
    const { u8 } = this.#memory
    const size = family === AF_INET ? 4 : 16
    const [source, target] =
      family === AF_INET ? [FIELD.src_ip4, FIELD.dst_ip4] : [FIELD.src_ip6, FIELD.dst_ip6]
    this.#set(FIELD.family, family)
    u8.copyWithin(this.address + source, from, from + size)
    u8.copyWithin(this.address + target, from + size, from + 2 * size)
  }

  /** Writes the address where a program loads it. */
  tell(at: number): void {
    const { view } = this.#memory
    view.setUint32(at, this.address, true)
    view.setInt32(at + 4, KERNEL_HI, true)
  }

  close(): void {
    this.#memory.free(this.address)
  }

  #set(offset: number, value: number): void {
    this.#memory.view.setUint32(this.address + offset, value, true)
  }
}
