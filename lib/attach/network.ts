/** Attaching to network namespaces, netfilter and routes. */
import { isIP } from 'node:net'
import { checkBoolean, checkName, checkText, checkUint32 } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { KernelProgram } from '../kernel.js'
import type { Link } from '../link.js'
import { NETFILTER_DEFRAG, NETFILTER_HOOK, NETFILTER_PROTOCOL } from '../linux/network.js'
import { BPF_PROG_TYPE } from '../linux/program-types.js'
import { checkInterface, checkNetns, type InNamespace, type InterfaceReference } from './targets.js'
import { linkOf } from './kernel-probes.js'
import { requireVerb } from './verbs.js'

/** As `ip netns` and `nft` name them. */
export type NetfilterProtocol = keyof typeof NETFILTER_PROTOCOL
export type NetfilterHook = keyof typeof NETFILTER_HOOK

export interface NetfilterOptions extends InNamespace {
  readonly protocol: NetfilterProtocol
  readonly hook: NetfilterHook
  /** The smallest runs first; filters of nftables and iptables have 0. One program has one priority. */
  readonly priority: number
  /** Fragments are put together before the program sees them. Linux 6.6. */
  readonly defragment?: boolean
}

/** A route whose packets pass the program. */
export interface LwtOptions extends InNamespace {
  readonly interface: InterfaceReference
  readonly gateway?: string
  /** RT_TABLE_*: 254, main, without. */
  readonly table?: number
  /** Bytes that an lwt_xmit program adds in front of a packet at most: up to 256. */
  readonly headroom?: number
}

const LEAST_PRIORITY = -0x8000_0000
const GREATEST_PRIORITY = 0x7fff_ffff

export function attachNetns(program: KernelProgram, netns: string | number): Link {
  requireVerb(program.info, 'attachNetns')
  return linkOf(program, { kind: 'netns', netns: checkNetns('attachNetns()', netns) })
}

export function attachNetfilter(program: KernelProgram, options: NetfilterOptions): Link {
  const what = 'attachNetfilter()'
  requireVerb(program.info, 'attachNetfilter')
  const { protocol, hook, priority, defragment = false, netns } = options
  if (!Number.isInteger(priority) || priority <= LEAST_PRIORITY || priority >= GREATEST_PRIORITY) {
    throw new BpfError(
      'BAD_VALUE',
      `${what}: priority is a 32-bit integer, but not the least or the greatest: not ${String(priority)}`,
    )
  }
  return linkOf(program, {
    kind: 'netfilter',
    protocolFamily: numberOf(`${what}: protocol`, NETFILTER_PROTOCOL, protocol),
    hook: numberOf(`${what}: hook`, NETFILTER_HOOK, hook),
    priority,
    flags: checkBoolean(`${what}: defragment`, defragment) ? NETFILTER_DEFRAG : 0,
    netns: netns === undefined ? undefined : checkNetns(what, netns),
  })
}

export function attachLwt(program: KernelProgram, destination: string, options: LwtOptions): Link {
  const what = 'attachLwt()'
  requireVerb(program.info, 'attachLwt')
  const { interface: reference, gateway, table, headroom, netns } = options
  if (headroom !== undefined && program.info.type !== BPF_PROG_TYPE.LWT_XMIT) {
    throw new BpfError('BAD_VALUE', `${what}: only lwt_xmit programs add headroom`)
  }
  if (gateway !== undefined && isIP(gateway) === 0) {
    throw new BpfError('BAD_VALUE', `${what}: gateway is an IP address, not '${gateway}'`)
  }
  if (headroom !== undefined && !(Number.isInteger(headroom) && headroom >= 0 && headroom <= 256)) {
    throw new BpfError('BAD_VALUE', `${what}: headroom goes from 0 to 256, not ${String(headroom)}`)
  }
  return linkOf(program, {
    kind: 'lwt',
    interface: checkInterface(what, reference),
    ...parsePrefix(what, destination),
    gateway,
    table: table === undefined ? undefined : checkUint32(`${what}: table`, table),
    headroom,
    netns: netns === undefined ? undefined : checkNetns(what, netns),
  })
}

function parsePrefix(
  what: string,
  destination: string,
): { readonly address: string; readonly prefixLength: number } {
  const [address = '', length, ...rest] = checkText(`${what}: the destination`, destination).split('/')
  const bits = { 0: undefined, 4: 32, 6: 128 }[isIP(address)]
  const prefixLength = length === undefined ? bits : Number(length)
  const isWhole =
    bits !== undefined && prefixLength !== undefined && /^\d*$/.test(length ?? '') && length !== ''
  if (isWhole && prefixLength <= bits && rest.length === 0) return { address, prefixLength }
  throw new BpfError(
    'BAD_VALUE',
    `${what}: the destination is an address with the length of its prefix, not '${destination}'`,
    {
      hint: 'Such as 10.1.0.0/24 or fd00::/64',
    },
  )
}

function numberOf(what: string, table: Readonly<Record<string, number>>, name: string): number {
  return checkName(
    what,
    name,
    (key) => (Object.hasOwn(table, key) ? table[key] : undefined),
    () => Object.keys(table),
  )
}
