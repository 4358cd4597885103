/** bpf_perf_event_output(): slots, packets, and what it says of what can't be. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import { createMap } from '../../lib/create-map.js'
import { open, type BpfObject } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath } from '../support/kernels.js'

const CURRENT_CPU = 0xffffffffn
const [EINVAL, ENOENT, E2BIG, EFAULT, ENOSPC, EOPNOTSUPP] = [-22, -2, -7, -14, -28, -95]

describeContract(
  'records for a perf event array',
  (tested) => {
    const load = (): BpfObject =>
      open(objectPath('test/perf_output'), { kernel: tested.make({ cpus: 2 }).choice }).load()

    /** What the helper says. */
    function send(object: BpfObject, flags: bigint, size = 16n): number {
      const ctx = new Uint8Array(BigUint64Array.of(flags, size).buffer)
      return object.program('send_to').run({ ctx }).retval | 0
    }

    function capture(object: BpfObject, program: string, data: Uint8Array, length: number): number {
      object.bss['packet_flags'] = BigInt(length) << 32n
      return object.program(program).run({ data }).retval | 0
    }

    /** What one reader finds, as bytes. */
    function received(object: BpfObject, act: () => void): readonly Uint8Array[] {
      using perf = object.map('perf').perfBuffer()
      const records: Uint8Array[] = []
      perf.on('event', (record) => records.push((record as Uint8Array).slice()))
      perf.pause()
      act()
      perf.flush()
      return records
    }

    it('go to the buffer of the CPU, where there is one', async () => {
      using object = load()
      expect(send(object, CURRENT_CPU)).toBe(ENOENT)
      const said: number[] = []
      const records = received(object, () => said.push(send(object, CURRENT_CPU)))
      expect(said).toEqual([0])
      expect(records.map((bytes) => bytes.subarray(0, 16))).toEqual([
        Uint8Array.of(7, 0, 0, 0, ...new TextEncoder().encode('one'), 0, 0, 0, 0, 0, 0, 0, 0, 0),
      ])
      // Linux's reader is gone in a later turn of the event loop.
      await vi.waitFor(() => expect(send(object, CURRENT_CPU)).toBe(ENOENT))
    })

    it('go nowhere else', () => {
      using object = load()
      received(object, () => {
        for (const cpu of [0n, 1n]) expect([0, EOPNOTSUPP]).toContain(send(object, cpu))
        expect(send(object, 0x7fffffffn)).toBe(E2BIG)
        expect(send(object, 1n << 32n)).toBe(EINVAL)
        expect(send(object, CURRENT_CPU | (1n << 63n))).toBe(EINVAL)
      })
    })

    it('are padded: with their length in front, to eight bytes', () => {
      using object = load()
      const sizes = [0n, 1n, 4n, 5n, 12n, 13n, 16n]
      const records = received(object, () => {
        for (const size of sizes) expect(send(object, CURRENT_CPU, size)).toBe(0)
      })
      expect(records.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([4, 4, 4, 12, 12, 20, 20])
    })

    it.for([
      ['capture', 300, 100],
      ['capture', 6000, 5500],
      ['capture_skb', 300, 100],
    ] as const)('take along so many bytes of the packet: %s, %d bytes', ([program, size, taken]) => {
      using object = load()
      const data = Uint8Array.from({ length: size }, (_unused, i) => (i < 14 ? 0 : i % 251))
      const said: number[] = []
      const [record = new Uint8Array(), ...more] = received(object, () => {
        said.push(capture(object, program, data, taken), capture(object, program, data, size + 1))
      })
      expect(said).toEqual([0, EFAULT])
      expect(more).toEqual([])
      expect(record.slice(4, 4 + taken)).toEqual(data.slice(0, taken))
    })

    it('find no room while nobody reads, and the next reader starts anew', () => {
      using object = load()
      const said: number[] = []
      {
        using perf = object.map('perf').perfBuffer({ pages: 1 })
        perf.pause()
        for (let i = 0; i < 300; i++) said.push(send(object, CURRENT_CPU))
      }
      expect(new Set(said)).toEqual(new Set([0, ENOSPC]))
      expect(received(object, () => send(object, CURRENT_CPU))).toHaveLength(1)
    })

    it('go to the reader that came last', async () => {
      using object = load()
      using first = object.map('perf').perfBuffer()
      using second = object.map('perf').perfBuffer()
      const seen: string[] = []
      first.on('event', () => seen.push('first'))
      second.on('event', () => seen.push('second'))
      await sleep(5)
      send(object, CURRENT_CPU)
      first.flush()
      second.flush()
      expect(seen).toEqual(['second'])
      // As libbpf has it: it empties the slots, whoever's buffers are in them.
      first.close()
      await vi.waitFor(() => expect(send(object, CURRENT_CPU)).toBe(ENOENT))
    })

    it('are in no value that user space could read or write', () => {
      using object = load()
      const perf = object.map('perf')
      expect(code(() => perf.get(0))).toBe('ENOTSUPP')
      expect(code(() => perf.set(0, 0x7fffffff))).toBe('EBADF')
      expect(perf.delete(0)).toBe(false)
      expect(code(() => perf.delete(0x7fffffff))).toBe('E2BIG')
      received(object, () => expect(perf.delete(0)).toBe(true))
    })

    it('are for maps of slots', () => {
      const { choice } = tested.make()
      const make = (options: object): string | undefined =>
        code(() => createMap({ kernel: choice, type: 'perf_event_array', maxEntries: 2, ...options }).close())
      expect(make({})).toBeUndefined()
      expect(make({ flags: ['BPF_F_PRESERVE_ELEMS'] })).toBeUndefined()
      for (const options of [
        { maxEntries: 0 },
        { keySize: 8 },
        { valueSize: 8 },
        { flags: ['BPF_F_MMAPABLE'] },
        { flags: ['BPF_F_RDONLY_PROG'] },
        { flags: ['BPF_F_NO_PREALLOC'] },
      ])
        expect([options, make(options)]).toEqual([options, 'EINVAL'])
    })
  },
  '6.1',
)
