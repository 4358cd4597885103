/** Programs run on demand: packets, contexts as plain objects, repetition, CPUs, live frames, and how a run is stopped. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { open, type BpfObject, type RunOptions } from '../../lib/index.js'
import { programTypeName } from '../../lib/linux/program-types.js'
import { TEST_RUNS } from '../../lib/linux/test-run.js'
import { code } from '../support/errors.js'
import type { KernelNeeds } from '../support/kernel-needs.js'
import { objectPath } from '../support/kernels.js'
import { thrownBy } from '../support/native.js'
import { patience } from '../support/patience.js'
import { loadOnly } from '../support/programs.js'
import { describeSince, linuxIsAtLeast, requires } from '../support/require-kernel.js'

const XDP_PASS = 2
const MOST = 0x7fffffff

const packet = (): Uint8Array => new Uint8Array(64).fill(1)

let object: BpfObject
beforeAll(() => {
  if (!linuxIsAtLeast('5.14')) return
  const spec = open(objectPath('test/program_run'), { kernel: 'native' })
  // The object has it.
  spec.programs['not_runnable']!.autoload = true
  object = spec.load()
})
afterAll(() => object?.close())

describeSince('5.14')('program.run() with a context', () => {
  it('takes and gives xdp_md as an object, and knows the length of the packet', () => {
    const program = object.program('xdp_context')
    const here = program.run({ data: packet(), ctx: { ingress_ifindex: 1, rx_queue_index: 0 } })
    expect(here.retval).toBe(XDP_PASS)
    expect(here.ctx).toMatchObject({ data: 0, data_end: 64, ingress_ifindex: 1 })
    expect(program.run({ data: packet(), ctx: {} }).ctx).toMatchObject({ data_end: 64, ingress_ifindex: 0 })
  })

  it('shows by the context how XDP moved the packet', () => {
    const { ctx, data } = object.program('xdp_metadata').run({ data: packet(), ctx: {} })
    expect(data).toHaveLength(72)
    expect(ctx?.['data_end']).toBe(72)
  })

  it('takes and gives __sk_buff', () => {
    const { retval, ctx } = object.program('skb_context').run({
      data: packet(),
      ctx: { mark: 21, cb: [5, 0, 0, 0, 0], priority: 3 },
    })
    expect(retval).toBe(64)
    expect(ctx).toMatchObject({ mark: 42, cb: [5, 6, 0, 0, 0], priority: 3 })
  })

  it('gives bytes for bytes', () => {
    const bytes = new Uint8Array(192)
    new DataView(bytes.buffer).setUint32(8, 4, true)
    const { ctx } = object.program('skb_context').run({ data: packet(), ctx: bytes })
    expect(ctx).toBeInstanceOf(Uint8Array)
    expect(new DataView((ctx ?? bytes).buffer).getUint32(8, true)).toBe(8)
  })

  it('takes bpf_sk_lookup', () => {
    const run = (port: number) =>
      object.program('lookup').run({ ctx: { family: 2, protocol: 6, local_port: port, remote_port: 9 } }).retval
    expect(run(7)).toBe(1)
    expect(run(8)).toBe(0)
  })

  it("takes a syscall program's own struct, as the program changed it", () => {
    const { retval, ctx } = object.program('answer').run({ ctx: { number: 7, name: 'abc' } })
    expect(retval).toBe(3)
    expect(ctx).toEqual({ number: 7, name: 'Xbc', answer: 42n })
  })

  it('takes arguments of a raw tracepoint, on the CPU that is wanted', () => {
    const cpu = 1
    object.program('on_cpu').run({ ctx: [5n, -1], cpu })
    expect(object.bss['arguments']).toEqual([5n, 0xffffffffffffffffn])
    expect(object.bss['cpu']).toBe(cpu)
    expect(code(() => object.program('on_cpu').run({ ctx: [1], cpu: 4095 }))).toMatch(/EINVAL|ENXIO/)
  })

  it('says what is wrong with it', () => {
    const run = (program: string, ctx: object) => thrownBy(() => object.program(program).run({ data: packet(), ctx })).message
    expect(run('skb_context', { marc: 1 })).toMatch(/marc/)
    expect(run('skb_context', { mark: -1 })).toMatch(/mark: -1 does not fit __u32/)
    expect(thrownBy(() => object.program('nameless').run({ ctx: { a: 1 } }))).toMatchObject({ code: 'NO_BTF' })
    expect(thrownBy(() => object.program('on_cpu').run({ ctx: { a: 1 } }))).toMatchObject({ code: 'BAD_VALUE' })
  })
})

describeSince('5.14')('program.run()', () => {
  it('names the types that are not run on demand', () => {
    const error = thrownBy(() => object.program('not_runnable').run())
    expect(error).toMatchObject({ code: 'UNSUPPORTED' })
    expect(error.message).toContain("program 'not_runnable'")
  })

  it('refuses what is no option, and what is no value of one', () => {
    const program = object.program('filter')
    const run = (options: object) => code(() => program.run(options))
    expect(run({ date: packet() })).toBe('BAD_VALUE')
    expect(run({ data: packet(), repeat: 1.5 })).toBe('BAD_VALUE')
    expect(run({ data: packet(), cpu: -1 })).toBe('BAD_VALUE')
    expect(run({ data: packet(), timeout: 0 })).toBe('BAD_VALUE')
    expect(run({ data: packet(), batchSize: 0 })).toBe('BAD_VALUE')
    expect(run({ data: packet(), flags: ['BPF_F_TEST_NOTHING'] })).toBe('BAD_VALUE')
    expect(run({ ctx: null })).toBe('BAD_VALUE')
  })

  it('says which options suit the type', () => {
    const hint = (program: string, options: object) => thrownBy(() => object.program(program).run(options)).message
    expect(hint('filter', {})).toMatch(/data: a packet of 14 bytes or more/)
    expect(hint('answer', { data: packet(), ctx: {} })).toMatch(/no data/)
    expect(hint('answer', { ctx: {}, repeat: 2 })).toMatch(/no repeat/)
    expect(hint('filter', { data: packet(), cpu: 0 })).toMatch(/no cpu/)
    expect(hint('lookup', {})).toMatch(/ctx/)
  })

  it('is done as often as it says', () => {
    object.bss['runs'] = 0
    object.program('xdp_context').run({ data: packet(), repeat: 1000 })
    expect(object.bss['runs']).toBe(1000)
    object.program('xdp_context').run({ data: packet(), repeat: 1000, timeout: 60_000 })
    expect(object.bss['runs']).toBe(2000)
  })

  it('ends with its timeout', () => {
    const error = thrownBy(() => object.program('xdp_context').run({ data: packet(), repeat: MOST, timeout: 20 }))
    expect(error).toMatchObject({ code: 'ETIMEDOUT' })
    expect(error.message).toMatch(/of 2147483647 runs were done after 20 ms/)
  })

  it('leaves the event loop free, and ends with its signal', async () => {
    const abort = new AbortController()
    const run = object.program('xdp_context').runAsync({ data: packet(), repeat: MOST, signal: abort.signal })
    await sleep(20)
    abort.abort()
    await expect(run).rejects.toMatchObject({ name: 'AbortError' })
    const result = await object.program('xdp_context').runAsync({ data: packet(), ctx: { ingress_ifindex: 1 } })
    expect(result).toMatchObject({ retval: XDP_PASS, ctx: { ingress_ifindex: 1 } })
  })

  it('goes on when the program was closed meanwhile', async () => {
    const other = open(objectPath('test/program_run'), { kernel: 'native' }).load()
    const run = other.program('xdp_context').runAsync({ data: packet(), repeat: 100_000 })
    other.close()
    await expect(run).resolves.toMatchObject({ retval: XDP_PASS })
  })
})

/** A packet of IPv4 and UDP, with the frame around it. */
function frame(): Uint8Array {
  const bytes = new Uint8Array(64)
  bytes.set([0x08, 0x00, 0x45, 0, 0, 50], 12)
  bytes.set([64, 17], 22)
  return bytes
}

const LOOPBACK = 1

/** A frame with a datagram from this machine to itself. IPv6: what says to come from 127.0.0.1 is taken for forged. */
function datagram(port: number, text: string): Uint8Array {
  const length = 8 + text.length
  const bytes = new Uint8Array(14 + 40 + length)
  const view = new DataView(bytes.buffer)
  bytes.set([0x86, 0xdd, 0x60], 12)
  view.setUint16(18, length)
  bytes.set([17, 64], 20)
  bytes[14 + 23] = 1
  bytes[14 + 39] = 1
  view.setUint16(54, 9)
  view.setUint16(56, port)
  view.setUint16(58, length)
  bytes.set(new TextEncoder().encode(text), 62)
  // Of the addresses, the protocol, the length, and all of the datagram.
  let sum = 17 + length
  for (let at = 22; at < bytes.length; at += 2) sum += view.getUint16(at)
  sum = (sum & 0xffff) + (sum >> 16)
  view.setUint16(60, ~(sum + (sum >> 16)) & 0xffff)
  return bytes
}

interface RunnableType {
  /** As in lib/linux/program-types.ts. */
  readonly type: string
  readonly needs: KernelNeeds
  readonly object: string
  readonly program: string
  readonly options: RunOptions<object>
  readonly retval: number
}

/** Every type that Linux runs on demand. Before 6.1, a flow dissector's answer is whether it was BPF_OK. */
const RUNNABLE: readonly RunnableType[] = [
  { type: 'socket_filter', needs: { since: '5.8' }, object: 'network', program: 'on_socket_filter', options: { data: frame() }, retval: -1 },
  { type: 'sched_cls', needs: { since: '5.8' }, object: 'network', program: 'on_tc', options: { data: frame() }, retval: -1 },
  { type: 'sched_act', needs: { since: '5.8' }, object: 'network', program: 'on_action', options: { data: frame() }, retval: 0 },
  { type: 'cgroup_skb', needs: { since: '5.8' }, object: 'cgroup', program: 'on_egress', options: { data: frame() }, retval: 1 },
  { type: 'lwt_in', needs: { since: '5.8' }, object: 'network', program: 'on_lwt_in', options: { data: frame() }, retval: 0 },
  { type: 'lwt_out', needs: { since: '5.8' }, object: 'network', program: 'on_lwt_out', options: { data: frame() }, retval: 0 },
  { type: 'lwt_xmit', needs: { since: '5.8' }, object: 'network', program: 'on_lwt_xmit', options: { data: frame() }, retval: 0 },
  { type: 'xdp', needs: { since: '5.8' }, object: 'network', program: 'on_xdp', options: { data: frame() }, retval: XDP_PASS },
  { type: 'flow_dissector', needs: { since: '5.8' }, object: 'network', program: 'on_flow_dissector', options: { data: frame() }, retval: linuxIsAtLeast('6.1') ? 0 : 1 },
  { type: 'sk_lookup', needs: { since: '5.13' }, object: 'network', program: 'on_sk_lookup', options: { ctx: { family: 2, protocol: 6, local_port: 7 } }, retval: 1 },
  { type: 'netfilter', needs: { since: '6.4', config: ['NETFILTER_BPF_LINK'] }, object: 'network', program: 'on_netfilter', options: { data: frame() }, retval: 1 },
  { type: 'tracing', needs: { since: '5.8', machine: true }, object: 'tracing', program: 'on_entry', options: {}, retval: 0 },
  { type: 'raw_tracepoint', needs: { since: '5.10' }, object: 'tracing', program: 'on_raw_tracepoint', options: { ctx: new Uint8Array(16) }, retval: 0 },
  { type: 'syscall', needs: { since: '5.14' }, object: 'program_run', program: 'answer', options: { ctx: { number: 7, name: 'abc' } }, retval: 3 },
  { type: 'struct_ops', needs: { since: '5.17', config: ['BPF_JIT', 'DEBUG_INFO_BTF'] }, object: 'dummy_ops', program: 'test_1', options: { ctx: new Uint8Array(8) }, retval: 42 },
] // prettier-ignore

describe('every type that Linux runs', () => {
  for (const { type, needs, object: file, program, options, retval } of RUNNABLE) {
    requires(needs)(type, () => {
      it('is run', () => {
        using runnable = loadOnly(file, program)
        // Negative answers come as the 32 bits that they are.
        expect(runnable.program(program).run(options).retval | 0).toBe(retval)
      })
    })
  }

  it('is in the table of types, and those of the table are here', () => {
    const known = [...TEST_RUNS.keys()].map(programTypeName).toSorted()
    expect(RUNNABLE.map(({ type }) => type).toSorted()).toEqual(known)
  })
})

describe('live frames', () => {
  describeSince('5.18')('of XDP', () => {
    it('meet the program as often as was said', () => {
      object.bss['runs'] = 0
      const { retval, data } = object.program('xdp_live').run({
        data: packet(),
        ctx: { ingress_ifindex: 1 },
        repeat: 100,
        batchSize: 32,
        flags: ['BPF_F_TEST_XDP_LIVE_FRAMES'],
      })
      expect(object.bss['runs']).toBe(100)
      expect({ retval, data }).toEqual({ retval: 0, data: undefined })
    })

    it('travel on where the program passes them: to a socket', async () => {
      const COPIES = 5
      using passing = loadOnly('network', 'on_xdp')
      const socket = createSocket('udp6')
      socket.bind(0, '::1')
      await once(socket, 'listening')
      let received = 0
      socket.on('message', (message) => (received += Number(String(message) === 'living')))
      const data = datagram(socket.address().port, 'living')
      const flags = ['BPF_F_TEST_XDP_LIVE_FRAMES'] as const
      passing.program('on_xdp').run({ data, ctx: { ingress_ifindex: LOOPBACK }, repeat: COPIES, flags })
      await vi.waitFor(() => expect(received).toBe(COPIES), { timeout: patience(5000) })
      socket.close()
    })

    it('come in batches of 256 at most', () => {
      const flags = ['BPF_F_TEST_XDP_LIVE_FRAMES'] as const
      expect(code(() => object.program('xdp_live').run({ data: packet(), batchSize: 257, flags }))).toBe('E2BIG')
    })
  })
})
