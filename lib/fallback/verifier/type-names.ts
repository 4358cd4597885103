/** How the verifier log names what registers hold. */
import { FLAG, KIND, type Register } from './values/register.js'

const NAMES: Readonly<Record<number, string>> = {
  [KIND.NOT_INIT]: '?',
  [KIND.SCALAR]: 'scalar',
  [KIND.CTX]: 'ctx',
  [KIND.MAP_PTR]: 'map_ptr',
  [KIND.MAP_VALUE]: 'map_value',
  [KIND.MAP_KEY]: 'map_key',
  [KIND.STACK]: 'fp',
  [KIND.PACKET_META]: 'pkt_meta',
  [KIND.PACKET]: 'pkt',
  [KIND.PACKET_END]: 'pkt_end',
  [KIND.FLOW_KEYS]: 'flow_keys',
  [KIND.SOCKET]: 'sock',
  [KIND.SOCK_COMMON]: 'sock_common',
  [KIND.TCP_SOCK]: 'tcp_sock',
  [KIND.TP_BUFFER]: 'tp_buffer',
  [KIND.XDP_SOCK]: 'xdp_sock',
  [KIND.BTF_ID]: 'ptr_',
  [KIND.MEM]: 'mem',
  [KIND.BUF]: 'buf',
  [KIND.FUNC]: 'func',
  [KIND.DYNPTR]: 'dynptr_ptr',
  [KIND.ARENA]: 'arena',
}

const PREFIXES: readonly (readonly [flag: number, prefix: string])[] = [
  [FLAG.RDONLY, 'rdonly_'],
  [FLAG.RINGBUF, 'ringbuf_'],
  [FLAG.USER, 'user_'],
  [FLAG.PERCPU, 'percpu_'],
  [FLAG.UNTRUSTED, 'untrusted_'],
  [FLAG.TRUSTED, 'trusted_'],
  [FLAG.RCU, 'rcu_'],
]

export function kindName(kind: number): string {
  return NAMES[kind] ?? 'unknown'
}

/** `map_value_or_null`, `ringbuf_mem`, `trusted_ptr_`. */
export function typeName({ kind, flags }: Pick<Register, 'kind' | 'flags'>): string {
  let text = ''
  for (const [flag, prefix] of PREFIXES) if ((flags & flag) !== 0) text += prefix
  text += kindName(kind)
  if ((flags & FLAG.MAYBE_NULL) === 0) return text
  return kind === KIND.BTF_ID ? `${text}or_null_` : `${text}_or_null`
}
