/** Programs of traffic control on an interface of the test's own: tcx, clsact, and which one is taken. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BpfObject } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { thrownBy } from '../support/native.js'
import { TestNetwork } from '../support/network.js'
import { hits, loadOnly, orderOf } from '../support/programs.js'
import { describeSince, linuxIsAtLeast } from '../support/require-kernel.js'

let network: TestNetwork
const here = () => ({ netns: network.near.path })
const load = (): BpfObject => loadOnly('network', 'on_tc', 'on_tc_other', 'on_tc_third')

/** Numbers of the programs, see network.bpf.c. */
const [TC, OTHER, THIRD] = [3, 4, 5]

/** The first programs that one packet met. */
const metBy = (object: BpfObject, count: number): readonly number[] =>
  orderOf(object, () => network.receive()).slice(0, count)

describeSince('5.8')('attachTc()', () => {
  beforeAll(async () => {
    network = await TestNetwork.create()
  })
  afterAll(() => network[Symbol.dispose]())

  it.each(['ingress', 'egress'] as const)('sees packets on their way: %s', (direction) => {
    using object = load()
    const link = object.program('on_tc').attachTc('near', { ...here(), direction })
    const pass = () => (direction === 'ingress' ? network.receive() : network.transmit())
    pass()
    expect(hits(object, 'tc')).toBeGreaterThan(0)
    link.close()
    const seen = hits(object, 'tc')
    pass()
    expect(hits(object, 'tc')).toBe(seen)
  })

  it('says which mechanism it took', () => {
    using object = load()
    using link = object.program('on_tc').attachTc('near', { ...here(), direction: 'ingress' })
    const mechanism = linuxIsAtLeast('6.6') ? 'tcx' : 'clsact'
    expect(link.target).toBe(`near ingress (${mechanism})`)
    expect(link.info().type).toBe(mechanism === 'tcx' ? 'tcx' : 'none')
  })

  it('takes the direction from the SEC() name', () => {
    using object = load()
    using link = object.program('on_tc_third').attachTc('near', here())
    expect(link.target).toMatch(/^near ingress/)
    expect(thrownBy(() => object.program('on_tc').attachTc('near', here()))).toMatchObject({
      code: 'BAD_VALUE',
      hint: "Give direction: 'ingress' or 'egress'",
    })
  })

  describe('by clsact', () => {
    const clsact = () => ({ ...here(), direction: 'ingress', via: 'clsact' }) as const
    const qdiscs = (): string => network.near.tc('qdisc show dev near')
    const filters = (): string => network.near.tc('filter show dev near ingress')

    it('makes the qdisc, and removes filter and qdisc', () => {
      using object = load()
      expect(qdiscs()).not.toContain('clsact')
      const link = object.program('on_tc').attachTc('near', { ...clsact(), handle: 7, priority: 3 })
      expect(link.info()).toEqual({ type: 'none', id: 0, programId: 0, handle: 7, priority: 3 })
      expect(filters()).toMatch(/pref 3 .*handle 0x7 .*on_tc/)
      network.receive()
      expect(hits(object, 'tc')).toBeGreaterThan(0)
      link.close()
      expect(filters()).toBe('')
      expect(qdiscs()).not.toContain('clsact')
    })

    it('tells handle and priority that Linux chose', () => {
      using object = load()
      using link = object.program('on_tc').attachTc('near', clsact())
      expect(link.info()).toMatchObject({ handle: expect.any(Number) as number, priority: 0xc000 })
    })

    it("leaves a qdisc that isn't its own", () => {
      network.near.tc('qdisc add dev near clsact')
      using object = load()
      object.program('on_tc').attachTc('near', clsact()).close()
      expect(qdiscs()).toContain('clsact')
      network.near.tc('qdisc del dev near clsact')
    })

    it('leaves the qdisc as long as somebody else has a filter there', () => {
      using object = load()
      const own = object.program('on_tc').attachTc('near', clsact())
      const other = object.program('on_tc_other').attachTc('near', { ...clsact(), direction: 'egress' })
      own.close()
      expect(qdiscs()).toContain('clsact')
      expect(network.near.tc('filter show dev near egress')).toContain('on_tc_other')
      other.close()
      // Who made it is gone, and who is left didn't make it.
      expect(qdiscs()).toContain('clsact')
      network.near.tc('qdisc del dev near clsact')
    })

    it('runs filters by priority', () => {
      using object = load()
      using _first = object.program('on_tc').attachTc('near', { ...clsact(), priority: 20 })
      using _second = object.program('on_tc_other').attachTc('near', { ...clsact(), priority: 10 })
      expect(metBy(object, 2)).toEqual([OTHER, TC])
    })

    it('refuses a place that is taken, replaces if told so, and then takes away only its own program', () => {
      using object = load()
      const place = { ...clsact(), handle: 1, priority: 1 }
      const old = object.program('on_tc').attachTc('near', place)
      expect(thrownBy(() => object.program('on_tc_other').attachTc('near', place))).toMatchObject({
        code: 'EEXIST',
        hint: expect.stringContaining('replace it') as string,
      })
      using young = object.program('on_tc_other').attachTc('near', { ...place, replace: true })
      old.close()
      expect(filters()).toContain('on_tc_other')
      expect(metBy(object, 1)).toEqual([OTHER])
      expect(young.closed).toBe(false)
    })

    it('is no BPF link: it has no pins, updates or detaching', () => {
      using object = load()
      using link = object.program('on_tc').attachTc('near', clsact())
      for (const act of [
        () => link.pin('/sys/fs/bpf/never'),
        () => link.update(object.program('on_tc_other')),
        () => link.detach(),
      ])
        expect(code(act)).toBe('UNSUPPORTED')
      expect(link.fd).toBeUndefined()
    })

    it('stays when it is disowned', () => {
      using object = load()
      object.program('on_tc').attachTc('near', clsact()).disown()
      expect(filters()).toContain('on_tc')
      network.near.tc('qdisc del dev near clsact')
    })

    it('says what the kernel said', () => {
      using object = load()
      network.near.tc('qdisc add dev near ingress')
      const error = thrownBy(() => object.program('on_tc').attachTc('near', { ...clsact(), direction: 'egress' }))
      expect(error).toMatchObject({ hint: expect.stringContaining('ingress qdisc') as string })
      network.near.tc('qdisc del dev near ingress')
    })
  })

  it('suggests the nearest interface', () => {
    using object = load()
    const attach = () => object.program('on_tc').attachTc('nearr', { ...here(), direction: 'ingress' })
    expect(thrownBy(attach)).toMatchObject({ code: 'ENODEV', hint: "Did you mean 'near'?" })
  })

  it('refuses options that do not go together', () => {
    using object = load()
    const program = object.program('on_tc')
    // @ts-expect-error: priorities are of clsact
    expect(code(() => program.attachTc('near', { direction: 'ingress', priority: 1 }))).toBe('BAD_VALUE')
    // @ts-expect-error: clsact has no order
    expect(code(() => program.attachTc('near', { direction: 'ingress', via: 'clsact', order: 'first' }))).toBe('BAD_VALUE')
    // @ts-expect-error: netkit has ends
    expect(code(() => program.attachTc('near', { direction: 'ingress', via: 'netkit' }))).toBe('BAD_VALUE')
    expect(code(() => program.attachTc('near', { direction: 'ingress', via: 'clsact', priority: 70_000 }))).toBe('BAD_VALUE')
    // @ts-expect-error: no such direction
    expect(code(() => program.attachTc('near', { direction: 'upwards' }))).toBe('BAD_VALUE')
  })

  it('names what to do with programs that it does not attach', () => {
    using object = loadOnly('network', 'on_xdp', 'on_action')
    expect(thrownBy(() => object.program('on_xdp').attachTc('near'))).toMatchObject({ hint: 'Use attachXdp()' })
    expect(thrownBy(() => object.program('on_action').attachTc('near'))).toMatchObject({
      hint: expect.stringContaining('sched_cls') as string,
    })
  })
})

describeSince('6.6')('attachTc() by tcx', () => {
  const tcx = () => ({ ...here(), direction: 'ingress' }) as const
  beforeAll(async () => {
    network = await TestNetwork.create()
  })
  afterAll(() => network[Symbol.dispose]())

  it('goes behind what is there, or where it is told to', () => {
    using object = load()
    const [first, second, third] = [object.program('on_tc'), object.program('on_tc_other'), object.program('on_tc_third')]
    {
      using _a = first.attachTc('near', tcx())
      using _b = second.attachTc('near', tcx())
      using _c = third.attachTc('near', { ...tcx(), order: 'first' })
      expect(metBy(object, 3)).toEqual([THIRD, TC, OTHER])
    }
    {
      using a = first.attachTc('near', tcx())
      using _b = second.attachTc('near', { ...tcx(), order: { before: first } })
      using _c = third.attachTc('near', { ...tcx(), order: { before: a } })
      expect(metBy(object, 3)).toEqual([OTHER, THIRD, TC])
    }
    {
      using a = first.attachTc('near', tcx())
      using _b = second.attachTc('near', { ...tcx(), order: 'last' })
      using _c = third.attachTc('near', { ...tcx(), order: { after: { linkId: a.id } } })
      expect(metBy(object, 3)).toEqual([TC, THIRD, OTHER])
    }
    {
      using _a = first.attachTc('near', tcx())
      using _b = second.attachTc('near', { ...tcx(), order: { after: { programId: first.id } } })
      expect(metBy(object, 2)).toEqual([TC, OTHER])
    }
  })

  it('refuses a neighbour that is not there, and a revision that is not the current one', () => {
    using object = load()
    const [first, second] = [object.program('on_tc'), object.program('on_tc_other')]
    using link = first.attachTc('near', tcx())
    const order = { before: second }
    expect(thrownBy(() => object.program('on_tc_third').attachTc('near', { ...tcx(), order }))).toMatchObject({
      code: 'ENOENT',
      hint: expect.stringContaining('not attached there') as string,
    })
    const stale = () => second.attachTc('near', { ...tcx(), expectedRevision: 9999n })
    expect(thrownBy(stale)).toMatchObject({ code: 'ESTALE', hint: expect.stringContaining('revision') as string })
    expect(link.closed).toBe(false)
  })

  it('takes the revision that is the current one', () => {
    network.near.ip('link add fresh type veth peer name fresh-peer')
    using object = load()
    const at = (expectedRevision: bigint) => ({ ...tcx(), expectedRevision })
    using _first = object.program('on_tc').attachTc('fresh', at(1n))
    const second = object.program('on_tc_other')
    expect(code(() => second.attachTc('fresh', at(1n)))).toBe('ESTALE')
    using link = second.attachTc('fresh', at(2n))
    expect(link.info()).toMatchObject({ type: 'tcx', attachType: 'tcx_ingress' })
  })

  it('is updated in its place', () => {
    using object = load()
    using link = object.program('on_tc').attachTc('near', tcx())
    using _last = object.program('on_tc_third').attachTc('near', tcx())
    link.update(object.program('on_tc_other'))
    expect(metBy(object, 2)).toEqual([OTHER, THIRD])
  })

  it('runs beside filters of clsact', () => {
    using object = load()
    using _filter = object.program('on_tc').attachTc('near', { ...tcx(), via: 'clsact' })
    using _link = object.program('on_tc_other').attachTc('near', tcx())
    expect(metBy(object, 2)).toEqual([OTHER, TC])
  })
})
