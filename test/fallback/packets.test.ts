/** Packets in the fallback kernel: what only it has, or hasn't. */
import { describe, expect, it } from 'vitest'
import { createKernel, type FallbackOptions } from '../../lib/fallback/index.js'
import { open, type BpfObject } from '../../lib/index.js'
import { assemble } from '../../lib/isa/index.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { ipv4Frame, ipv6Frame } from '../support/packet-cases.js'
import { RAW_PROGRAM, rawObject } from '../support/raw-object.js'

function load(section: string, text: string, options: FallbackOptions = {}): BpfObject {
  return open(rawObject(assemble(text), section), { kernel: createKernel(options) }).load()
}

const messageOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    return (error as Error).message
  }
  return ''
}

describe('packets', () => {
  it('leave no memory behind, also when a run fails or a program traps', () => {
    const kernel = createKernel()
    using object = open(objectPath('test/packets'), { kernel }).load()
    const data = ipv4Frame()
    const all = (): void => {
      for (const program of ['firewall', 'wrap', 'tag', 'udp_only'])
        object.program(program).run({ data, ctx: {} })
      expect(code(() => object.program('tag').run({ data, ctx: { len: 1 } }))).toBe('EINVAL')
      expect(code(() => object.program('firewall').run({ data, ctx: new Uint8Array(4) }))).toBe('ENOSPC')
    }
    // Engines and entries of maps come with the first run.
    all()
    const before = kernel.usedBytes
    all()
    expect(kernel.usedBytes).toBe(before)
  })

  it('leave no memory behind when a program traps', () => {
    const kernel = createKernel({ engine: 'interpreter', fuel: 50 })
    const object = open(rawObject(assemble('r0 = 0\nx: r0 += 1\nif r0 != 1000 goto x\nexit'), 'tc'), {
      kernel,
    }).load()
    const before = kernel.usedBytes
    expect(code(() => object.program(RAW_PROGRAM).run({ data: ipv4Frame() }))).toBe('TRAP')
    expect(kernel.usedBytes).toBe(before)
    object.close()
  })

  it('have hashes by flow, and sockets of their own', () => {
    const hash = 'call bpf_get_hash_recalc\nexit'
    using object = load('tc', hash)
    const of = (data: Uint8Array): number => object.program(RAW_PROGRAM).run({ data }).retval
    const data = ipv4Frame()
    const changed = (at: number): Uint8Array => data.map((byte, i) => (i === at ? byte + 1 : byte))
    expect(of(data)).not.toBe(0)
    expect(of(data)).toBe(of(data))
    // The text, the time to live: of no account. A port, an address: another flow.
    expect(of(changed(50))).toBe(of(data))
    expect(of(changed(22))).toBe(of(data))
    expect(of(changed(36))).not.toBe(of(data))
    expect(of(changed(33))).not.toBe(of(data))
    expect(of(ipv6Frame())).not.toBe(of(data))
    using cookies = load(
      'tc',
      'r6 = r1\ncall bpf_get_socket_cookie\nr7 = r0\nr1 = r6\ncall bpf_get_socket_cookie\nr7 <<= 8\nr0 |= r7\nexit',
    )
    const next = (): number => cookies.program(RAW_PROGRAM).run({ data }).retval
    expect([next(), next()]).toEqual([0x101, 0x202])
  })

  it('are refused by name what they would need more of the world for', () => {
    const refused = (section: string, text: string): string => messageOf(() => load(section, text))
    const clone = 'r2 = 1\nr3 = 0\ncall bpf_clone_redirect\nr0 = 0\nexit'
    expect(refused('tc', clone)).toMatch(/^UNSUPPORTED: helper bpf_clone_redirect#13/)
    const mtu =
      'r2 = 0\nr3 = r10\nr3 += -4\n*(u32 *)(r10 -4) = 0\nr4 = 0\nr5 = 0\ncall bpf_check_mtu\nr0 = 0\nexit'
    expect(refused('xdp', mtu)).toMatch(/^UNSUPPORTED: helper bpf_check_mtu#163/)
    using object = load('xdp', 'r0 = 2\nexit')
    const run = (options: object): string =>
      messageOf(() => object.program(RAW_PROGRAM).run({ data: ipv4Frame(), ...options }))
    expect(run({ flags: ['BPF_F_TEST_XDP_LIVE_FRAMES'] })).toMatch(/^UNSUPPORTED: .*LIVE_FRAMES/)
    using filter = load('tc', 'r0 = 2\nexit')
    expect(
      messageOf(() =>
        filter.program(RAW_PROGRAM).run({ data: ipv4Frame(), flags: ['BPF_F_TEST_SKB_CHECKSUM_COMPLETE'] }),
      ),
    ).toMatch(/^UNSUPPORTED: .*CHECKSUM_COMPLETE/)
    expect(messageOf(() => object.program(RAW_PROGRAM).attach())).toMatch(/^UNSUPPORTED/)
  })

  it('are sandboxed too', () => {
    const parse =
      'r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr0 = 0\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr0 = *(u8 *)(r2 +13)\nout: exit'
    for (const engine of ['wasm', 'interpreter'] as const) {
      using object = load('xdp', parse, { verify: false, engine })
      expect(object.program(RAW_PROGRAM).run({ data: ipv6Frame() }).retval).toBe(0xdd)
    }
    const blind = 'r2 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r2 +13)\nexit'
    using object = load('xdp', blind, { verify: false })
    expect(object.program(RAW_PROGRAM).run({ data: ipv6Frame() }).retval).toBe(0xdd)
    expect(code(() => load('xdp', blind))).toBe('VERIFIER_REJECTED')
  })
})
