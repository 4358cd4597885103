/** XDP programs on an interface of the test's own. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { code } from '../support/errors.js'
import { thrownBy } from '../support/native.js'
import { TestNetwork } from '../support/network.js'
import { hits, loadOnly } from '../support/programs.js'
import { describeSince } from '../support/require-kernel.js'

describeSince('5.9')('attachXdp()', () => {
  let network: TestNetwork
  beforeAll(async () => {
    network = await TestNetwork.create()
  })
  afterAll(() => network[Symbol.dispose]())

  const load = () => loadOnly('network', 'on_xdp', 'on_xdp_other')
  const here = () => ({ netns: network.near.path })
  const receivedBy = (object: ReturnType<typeof load>, name: string): number => {
    const before = hits(object, name)
    network.receive()
    return hits(object, name) - before
  }

  it.each(['native', 'generic'] as const)('sees packets come in, in mode %s', (mode) => {
    using object = load()
    const link = object.program('on_xdp').attachXdp('near', { ...here(), mode })
    expect(link.target).toBe(`near xdp ${mode}`)
    expect(link.info()).toMatchObject({ type: 'xdp', programId: object.program('on_xdp').id })
    expect(receivedBy(object, 'xdp')).toBeGreaterThan(0)
    expect(network.near.ip('link show near')).toContain(mode === 'generic' ? 'xdpgeneric' : 'xdp')
    link.close()
    expect(receivedBy(object, 'xdp')).toBe(0)
  })

  it('takes an index, and the descriptor of a namespace', () => {
    using object = load()
    const index = Number(/^\d+/.exec(network.near.ip('link show near'))?.[0])
    using link = object.program('on_xdp').attachXdp(index, { netns: network.near.path })
    expect(link.info()).toMatchObject({ ifindex: index })
  })

  it('is updated without a gap, and only if the expected program is there', () => {
    using object = load()
    const [first, second] = [object.program('on_xdp'), object.program('on_xdp_other')]
    using link = first.attachXdp('near', here())
    expect(code(() => link.update(second, second))).toBe('EPERM')
    link.update(second, first)
    expect(receivedBy(object, 'xdp_other')).toBeGreaterThan(0)
    expect(receivedBy(object, 'xdp')).toBe(0)
    expect(link.info().programId).toBe(second.id)
  })

  it('refuses a second program, and says what to do', () => {
    using object = load()
    using link = object.program('on_xdp').attachXdp('near', here())
    const error = thrownBy(() => object.program('on_xdp_other').attachXdp('near', here()))
    expect(error).toMatchObject({ code: 'EBUSY', hint: expect.stringContaining('update its link') as string })
    expect(error.message).toContain('near xdp')
    expect(link.closed).toBe(false)
  })

  it('is detached by close() and by detach(), and the interface is free again', () => {
    using object = load()
    const link = object.program('on_xdp').attachXdp('near', here())
    link.detach()
    expect(network.near.ip('link show near')).not.toContain('xdp')
    expect(link.info()).toMatchObject({ type: 'xdp', ifindex: 0 })
    link.close()
  })

  it('works without a link: replaces what is expected, and takes away only what is its own', () => {
    using object = load()
    const [first, second] = [object.program('on_xdp'), object.program('on_xdp_other')]
    const old = first.attachXdp('near', { ...here(), via: 'netlink' })
    expect(old.info()).toEqual({ type: 'none', id: 0, programId: 0 })
    expect(receivedBy(object, 'xdp')).toBeGreaterThan(0)
    expect(code(() => second.attachXdp('near', { ...here(), via: 'netlink' }))).toBe('EBUSY')
    expect(code(() => second.attachXdp('near', { ...here(), via: 'netlink', replace: second }))).toBe('EEXIST')
    const young = second.attachXdp('near', { ...here(), via: 'netlink', replace: first })
    expect(receivedBy(object, 'xdp_other')).toBeGreaterThan(0)
    old.close()
    expect(receivedBy(object, 'xdp_other')).toBeGreaterThan(0)
    young.close()
    expect(network.near.ip('link show near')).not.toContain('xdp')
  })

  it('replaces whatever is there, if told so', () => {
    using object = load()
    using old = object.program('on_xdp').attachXdp('near', { ...here(), via: 'netlink' })
    using young = object.program('on_xdp_other').attachXdp('near', { ...here(), via: 'netlink', replace: true })
    expect(receivedBy(object, 'xdp_other')).toBeGreaterThan(0)
    expect([old.closed, young.closed]).toEqual([false, false])
  })

  it('says that there is no card to offload to', () => {
    using object = load()
    const error = thrownBy(() => object.program('on_xdp').attachXdp('near', { ...here(), mode: 'offload' }))
    expect(error).toMatchObject({ hint: expect.stringMatching(/offload|driver/) as string })
  })

  it('suggests the nearest interface and namespace', () => {
    using object = load()
    const program = object.program('on_xdp')
    expect(thrownBy(() => program.attachXdp('neat', here()))).toMatchObject({ code: 'ENODEV', hint: "Did you mean 'near'?" })
    expect(thrownBy(() => program.attachXdp(4711, here())).message).toContain('no network interface of index 4711')
    const wrong = { netns: `/proc/${network.near.pid}/ns/ney` }
    expect(thrownBy(() => program.attachXdp('near', wrong))).toMatchObject({
      code: 'ENOENT',
      hint: expect.stringContaining("'net'") as string,
    })
  })

  it('names the verb for another type of program', () => {
    using object = loadOnly('network', 'on_tc')
    expect(thrownBy(() => object.program('on_tc').attachXdp('near', here()))).toMatchObject({
      code: 'BAD_VALUE',
      hint: 'Use attachTc()',
    })
  })

  it('refuses options that make no sense', () => {
    using object = load()
    const program = object.program('on_xdp')
    // @ts-expect-error: a link replaces nothing
    expect(code(() => program.attachXdp('near', { ...here(), replace: true }))).toBe('BAD_VALUE')
    // @ts-expect-error: no such mode
    expect(code(() => program.attachXdp('near', { ...here(), mode: 'fast' }))).toBe('BAD_VALUE')
    expect(code(() => program.attachXdp('', here()))).toBe('BAD_VALUE')
    expect(code(() => program.attachXdp(-1, here()))).toBe('BAD_VALUE')
    expect(code(() => program.attachXdp('near', { netns: -1 }))).toBe('BAD_VALUE')
    expect(code(() => program.attachXdp('near', { netns: 2 ** 30 }))).toBe('EBADF')
    expect(code(() => program.attachXdp('near', { netns: '/proc/self/status' }))).toBe('EINVAL')
  })
})
