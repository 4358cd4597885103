/** What a unit test of an agent's packet filter does, on both kernels: packets in, verdicts, packets, counters and events out. */
import { expect, it } from 'vitest'
import type { BpfObject } from '../../lib/object.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath } from '../support/kernels.js'
import { linuxIsAtLeast } from '../support/this-machine.js'

const XDP = { ABORTED: 0, DROP: 1, PASS: 2, TX: 3 } as const
const TC_ACT = { UNSPEC: -1, OK: 0, SHOT: 2, REDIRECT: 7 } as const
const ETHERNET = 14
const CLIENT = 0x0a000001

interface Datagram {
  readonly port?: number
  readonly text?: string
  readonly checksum?: number
  readonly target?: readonly number[]
}

/** Ethernet, IPv4 and UDP. */
function datagram({
  port = 53,
  text = 'hello, world',
  checksum = 0,
  target = [10, 0, 0, 2],
}: Datagram = {}): Uint8Array {
  const length = 8 + text.length
  const frame = new Uint8Array(ETHERNET + 20 + length)
  const view = new DataView(frame.buffer)
  frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45])
  view.setUint16(16, 20 + length)
  frame.set([64, 17], 22)
  view.setUint32(26, CLIENT)
  frame.set(target, 30)
  view.setUint16(34, 40_000)
  view.setUint16(36, port)
  view.setUint16(38, length)
  view.setUint16(40, checksum)
  frame.set(new TextEncoder().encode(text), 42)
  return frame
}

describeContract(
  'packets',
  (kernel) => {
    const load = (): BpfObject => open(objectPath('test/packets'), { kernel: kernel.make().choice }).load()

    it('are parsed by an XDP program, counted and told of', () => {
      using object = load()
      const firewall = object.program('firewall')
      using events = object.map('dropped').ringBuffer({ type: 'drop' })
      const drops: unknown[] = []
      events.on('event', (event) => drops.push(event))
      const dns = datagram()
      const ntp = datagram({ port: 123 })
      expect(firewall.run({ data: dns }).retval).toBe(XDP.DROP)
      expect(firewall.run({ data: ntp }).retval).toBe(XDP.PASS)
      expect(firewall.run({ data: dns.subarray(0, 41) }).retval).toBe(XDP.PASS)
      expect(firewall.run({ data: ntp, repeat: 10 }).retval).toBe(XDP.PASS)
      expect(object.map('bytes_by_source').get(CLIENT)).toBe(BigInt(dns.length + 11 * ntp.length))
      events.consume()
      expect(drops).toEqual([{ source: CLIENT, port: 53, length: dns.length }])
      object.data['blocked_port'] = 123
      expect(firewall.run({ data: ntp }).retval).toBe(XDP.DROP)
    })

    it('grow in front, and shrink behind', () => {
      using object = load()
      const data = datagram()
      const { retval, data: after, ctx } = object.program('wrap').run({ data, ctx: {} })
      expect(retval).toBe(XDP.TX)
      expect(after).toEqual(Uint8Array.of(0xbe, 0xef, 0, data.length + 4, ...data))
      expect(ctx).toMatchObject({ data: 0, data_end: data.length + 4 })
      // Each run finds what the one before has left: the headroom comes to its end.
      expect(object.program('wrap').run({ data, repeat: 54 }).retval).toBe(XDP.TX)
      expect(object.program('wrap').run({ data, repeat: 55 }).retval).toBe(XDP.ABORTED)
    })

    it('go through tail calls as they are', () => {
      using object = load()
      const data = datagram()
      const shorter = object.program('chain').run({ data })
      expect([shorter.retval, shorter.data?.length]).toEqual([XDP.PASS, data.length - 2])
      object.map('next').set(0, object.program('firewall'))
      expect(object.program('chain').run({ data }).retval).toBe(XDP.DROP)
      expect(object.map('bytes_by_source').get(CLIENT)).toBe(BigInt(data.length - 2))
    })

    it('are rewritten by a tc program, checksum and all', () => {
      using object = load()
      const rewrite = object.program('rewrite')
      const before = datagram({ port: 80, checksum: 0x1234 })
      const { retval, data, ctx } = rewrite.run({ data: before, ctx: { mark: 1, priority: 9 } })
      expect(retval | 0).toBe(TC_ACT.REDIRECT)
      // ~(~0x1234 - 80 + 8080), in one's complement.
      expect(data).toEqual(datagram({ port: 8080, checksum: 0xf2f3 }))
      expect(ctx).toMatchObject({ mark: 7, priority: 9, ifindex: 1, wire_len: before.length })
      expect(object.bss['served_by']).toBe(1)
      expect(rewrite.run({ data: datagram({ port: 81 }) }).retval | 0).toBe(TC_ACT.OK)
      expect(rewrite.run({ data: new Uint8Array(60) }).retval | 0).toBe(TC_ACT.UNSPEC)
      // No checksum stays none.
      expect(rewrite.run({ data: datagram({ port: 80 }) }).data).toEqual(datagram({ port: 8080 }))
    })

    it('get VLAN tags: the last one beside the packet', () => {
      using object = load()
      const data = datagram()
      const { retval, data: after } = object.program('tag').run({ data })
      expect(retval).toBe(6)
      expect(after).toEqual(Uint8Array.of(...data.subarray(0, 12), 0x88, 0xa8, 0, 5, ...data.subarray(12)))
    })

    // Linux 6.12 runs the cgroup's program on another packet; what changed that, and when, is not known here.
    const isJudge = kernel.name !== 'native' || linuxIsAtLeast('6.18')
    it.runIf(isJudge)('are looked at by socket filters and cgroups, without the frame', () => {
      using object = load()
      const data = datagram()
      expect(object.program('udp_only').run({ data }).retval).toBe(data.length - ETHERNET)
      const tcp = data.slice()
      tcp[23] = 6
      expect(object.program('udp_only').run({ data: tcp }).retval).toBe(0)
      const onlyLocal = object.program('only_local')
      expect(onlyLocal.run({ data }).retval).toBe(1)
      expect(onlyLocal.run({ data: datagram({ target: [8, 8, 8, 8] }) }).retval).toBe(0)
      // The frame's header is none of theirs: it comes back as zeroes.
      expect(onlyLocal.run({ data }).data).toEqual(
        Uint8Array.of(...new Uint8Array(ETHERNET), ...data.subarray(ETHERNET)),
      )
    })

    it('that are none are refused, and so are wrong contexts', () => {
      using object = load()
      const data = datagram()
      const run = (program: string, options: object): string | undefined =>
        code(() => object.program(program).run(options))
      expect(run('firewall', {})).toBe('EINVAL')
      expect(run('firewall', { data: new Uint8Array(13) })).toBe('EINVAL')
      expect(run('firewall', { data, ctx: { rx_queue_index: 1 } })).toBe('EINVAL')
      expect(run('firewall', { data, ctx: { ingress_ifindex: 0x7ffffff } })).toBe('ENODEV')
      expect(run('firewall', { data, cpu: 0 })).toBe('EINVAL')
      expect(run('rewrite', { data, ctx: { len: 5 } })).toBe('EINVAL')
      expect(run('rewrite', { data, ctx: { marc: 5 } })).toBe('BAD_VALUE')
    })
  },
  '6.1',
)
