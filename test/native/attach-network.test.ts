/** Programs of network namespaces, netfilter and routes, in networks of the test's own. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BpfObject, NetfilterOptions } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { thrownBy } from '../support/native.js'
import { FAR, NEAR, TestNetwork } from '../support/network.js'
import { hits, loadOnly, orderOf } from '../support/programs.js'
import { describeSince } from '../support/require-kernel.js'

let network: TestNetwork
const inANetwork = (): void => {
  beforeAll(async () => {
    network = await TestNetwork.create()
  })
  afterAll(() => network[Symbol.dispose]())
}

/** How often a program runs during `action`. */
function runsOf(object: BpfObject, name: string, action: () => void): number {
  const before = hits(object, name)
  action()
  return hits(object, name) - before
}

describeSince('5.9')('attachNetns()', () => {
  inANetwork()

  it('lets an sk_lookup program choose the socket of a packet', () => {
    using object = loadOnly('network', 'on_sk_lookup')
    const link = object.program('on_sk_lookup').attachNetns(network.near.path)
    expect(link.info()).toMatchObject({ type: 'netns', attachType: 'sk_lookup' })
    expect(runsOf(object, 'sk_lookup', () => network.receive())).toBe(1)
    link.close()
    expect(runsOf(object, 'sk_lookup', () => network.receive())).toBe(0)
  })

  it('runs sk_lookup programs one after the other, and updates one in its place', () => {
    using object = loadOnly('network', 'on_sk_lookup', 'on_sk_lookup_other')
    using first = object.program('on_sk_lookup').attachNetns(network.near.path)
    using _second = object.program('on_sk_lookup_other').attachNetns(network.near.path)
    expect(orderOf(object, () => network.receive())).toEqual([10, 11])
    first.update(object.program('on_sk_lookup_other'))
    expect(orderOf(object, () => network.receive())).toEqual([11, 11])
  })

  it('takes packets apart with a flow_dissector program', () => {
    using object = loadOnly('network', 'on_flow_dissector')
    const link = object.program('on_flow_dissector').attachNetns(network.near.path)
    expect(link.info()).toMatchObject({ type: 'netns', attachType: 'flow_dissector' })
    // Which of the interface's queues a packet takes goes by its flow; one of no socket, such as a question for the neighbour, is taken apart for that.
    const ask = () => {
      network.near.ip('neigh flush dev near')
      network.transmit()
    }
    expect(runsOf(object, 'flow_dissector', ask)).toBeGreaterThan(0)
    link.close()
    expect(runsOf(object, 'flow_dissector', ask)).toBe(0)
  })

  it('refuses a second flow dissector, and what is no namespace', () => {
    using object = loadOnly('network', 'on_flow_dissector')
    const program = object.program('on_flow_dissector')
    using link = program.attachNetns(network.near.path)
    expect(thrownBy(() => program.attachNetns(network.near.path))).toMatchObject({
      hint: expect.stringContaining('one flow dissector') as string,
    })
    expect(code(() => program.attachNetns('/proc/self/status'))).toBe('EINVAL')
    expect(thrownBy(() => program.attachNetns('no-such-namespace')).message).toContain('/run/netns/no-such-namespace')
    expect(link.closed).toBe(false)
  })
})

describeSince('6.4')('attachNetfilter()', () => {
  inANetwork()
  const at = (options: Partial<NetfilterOptions> = {}): NetfilterOptions => ({
    protocol: 'ipv4',
    hook: 'input',
    priority: -128,
    netns: network.near.path,
    ...options,
  })

  it.each(['prerouting', 'input', 'output', 'postrouting'] as const)('sees packets at %s', (hook) => {
    using object = loadOnly('network', 'on_netfilter')
    const link = object.program('on_netfilter').attachNetfilter(at({ hook }))
    const pass = () => (hook === 'prerouting' || hook === 'input' ? network.receive() : network.transmit())
    expect(runsOf(object, 'netfilter', pass)).toBeGreaterThan(0)
    expect(link.info()).toMatchObject({ type: 'netfilter', protocolFamily: 2, priority: -128 })
    link.close()
    expect(runsOf(object, 'netfilter', pass)).toBe(0)
  })

  it('sees packets of IPv6', () => {
    using object = loadOnly('network', 'on_netfilter')
    using _link = object.program('on_netfilter').attachNetfilter(at({ protocol: 'ipv6' }))
    expect(runsOf(object, 'netfilter', () => network.far.send(NEAR.address6))).toBeGreaterThan(0)
  })

  it('runs programs by their priorities, of which each has its own', () => {
    using object = loadOnly('network', 'on_netfilter', 'on_netfilter_other')
    using _late = object.program('on_netfilter').attachNetfilter(at({ priority: 20 }))
    using _early = object.program('on_netfilter_other').attachNetfilter(at({ priority: 10 }))
    expect(orderOf(object, () => network.receive()).slice(0, 2)).toEqual([9, 8])
    expect(thrownBy(() => object.program('on_netfilter').attachNetfilter(at({ priority: 20 })))).toMatchObject({
      code: 'EBUSY',
      hint: expect.stringContaining('priority') as string,
    })
  })

  it('refuses what is no hook, protocol or priority', () => {
    using object = loadOnly('network', 'on_netfilter')
    const program = object.program('on_netfilter')
    // @ts-expect-error: no such hook
    expect(thrownBy(() => program.attachNetfilter(at({ hook: 'imput' })))).toMatchObject({
      code: 'BAD_VALUE',
      hint: expect.stringContaining("'input'") as string,
    })
    // @ts-expect-error: no such protocol
    expect(code(() => program.attachNetfilter(at({ protocol: 'ipx' })))).toBe('BAD_VALUE')
    for (const priority of [-(2 ** 31), 2 ** 31 - 1, 0.5])
      expect(code(() => program.attachNetfilter(at({ priority })))).toBe('BAD_VALUE')
  })
})

describeSince('6.6')('attachNetfilter() with defragmentation', () => {
  inANetwork()

  it('sees whole packets', () => {
    using object = loadOnly('network', 'on_netfilter')
    using link = object.program('on_netfilter').attachNetfilter({
      protocol: 'ipv4',
      hook: 'prerouting',
      priority: -100,
      defragment: true,
      netns: network.near.path,
    })
    expect(link.info()).toMatchObject({ type: 'netfilter', flags: 1 })
    // 3,000 bytes make three fragments.
    const large = 'exec 3> /dev/udp/10.99.0.1/9; printf %3000d 7 >&3'
    expect(runsOf(object, 'netfilter', () => network.far.run('bash', '-c', large))).toBe(1)
  })
})

describeSince('5.8')('attachLwt()', () => {
  inANetwork()
  const at = () => ({ interface: 'near', netns: network.near.path })

  it.each(['lwt_out', 'lwt_xmit'])('sees packets that leave by its route: %s', (name) => {
    using object = loadOnly('network', `on_${name}`)
    const link = object.program(`on_${name}`).attachLwt('10.77.0.0/24', at())
    const routes = () => network.near.ip('route show 10.77.0.0/24')
    expect(routes()).toMatch(/encap bpf (out|xmit)/)
    // Nobody has the address: its neighbour entry is made, or nothing would be sent before an answer.
    network.near.ip('neigh replace 10.77.0.5 lladdr 02:00:00:00:00:01 dev near')
    expect(runsOf(object, name, () => network.near.send('10.77.0.5'))).toBeGreaterThan(0)
    link.close()
    expect(routes()).toBe('')
  })

  it('sees packets that come in and leave again: lwt_in', () => {
    using object = loadOnly('network', 'on_lwt_in')
    network.near.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    network.far.ip(`route add 10.78.0.0/24 via ${NEAR.address}`)
    using link = object.program('on_lwt_in').attachLwt('10.78.0.0/24', { ...at(), gateway: FAR.address })
    expect(runsOf(object, 'lwt_in', () => network.far.send('10.78.0.5'))).toBeGreaterThan(0)
    expect(link.target).toBe('route to 10.78.0.0/24 by near')
  })

  it('takes routes of IPv6, of another table, with headroom', () => {
    using object = loadOnly('network', 'on_lwt_xmit')
    using _link = object.program('on_lwt_xmit').attachLwt('fd77::/64', { ...at(), table: 1000, headroom: 64 })
    expect(network.near.ip('-6 route show table 1000')).toMatch(/fd77::\/64 .*encap bpf xmit/)
  })

  it('ends segments: lwt_seg6local', () => {
    using object = loadOnly('network', 'on_lwt_seg6local')
    const link = object.program('on_lwt_seg6local').attachLwt('fd88::1/128', at())
    expect(network.near.ip('-6 route show')).toMatch(/fd88::1 .*encap seg6local action End.BPF endpoint on_lwt_seg6local/)
    const pass = () => network.receiveSegments('fd88::1')
    expect(runsOf(object, 'lwt_seg6local', pass)).toBeGreaterThan(0)
    link.close()
    expect(runsOf(object, 'lwt_seg6local', pass)).toBe(0)
    expect(code(() => object.program('on_lwt_seg6local').attachLwt('fd88::1/128', { ...at(), headroom: 4 }))).toBe('BAD_VALUE')
    expect(thrownBy(() => object.program('on_lwt_seg6local').attachLwt('10.1.0.0/16', at()))).toMatchObject({
      code: 'EINVAL',
      hint: expect.stringContaining('IPv6') as string,
    })
  })

  it('leaves a route that is there', () => {
    using object = loadOnly('network', 'on_lwt_xmit')
    network.near.ip('route add 10.79.0.0/24 dev near')
    expect(thrownBy(() => object.program('on_lwt_xmit').attachLwt('10.79.0.0/24', at()))).toMatchObject({
      code: 'EEXIST',
      hint: expect.stringContaining('a route to that destination') as string,
    })
    expect(network.near.ip('route show 10.79.0.0/24')).toContain('10.79.0.0/24')
  })

  it('refuses what is no destination', () => {
    using object = loadOnly('network', 'on_lwt_xmit')
    const program = object.program('on_lwt_xmit')
    for (const destination of ['', '10.1.0.0/33', '10.1.0.0/', '10.1.0/8', 'here', '10.1.0.0/8/9', '::/129'])
      expect(code(() => program.attachLwt(destination, at()))).toBe('BAD_VALUE')
    expect(code(() => program.attachLwt('10.1.0.1/16', at()))).toBe('EINVAL')
    expect(code(() => program.attachLwt('10.1.0.0/16', { ...at(), gateway: 'far' }))).toBe('BAD_VALUE')
    expect(code(() => program.attachLwt('10.1.0.0/16', { ...at(), headroom: 257 }))).toBe('BAD_VALUE')
  })
})
