/** Maps that XDP programs send packets through, and the verdicts of the programs: what Linux's test runs say, where nothing travels. */
import { describe, expect, it } from 'vitest'
import { createMap, type CreateMapOptions } from '../../lib/create-map.js'
import type { BpfObject } from '../../lib/object.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath } from '../support/kernels.js'

const XDP = { ABORTED: 0, DROP: 1, PASS: 2, TX: 3, REDIRECT: 4 } as const
const TC_ACT = { SHOT: 2, REDIRECT: 7 } as const
const BROADCAST = 8n
const EXCLUDE_INGRESS = 16n
/** Every machine has this interface, and every namespace. */
const LOOPBACK = 1
const NO_INTERFACE = 0x7ffffff
const packet = new Uint8Array(64)

function verdict(object: BpfObject, program: string, key: bigint, flags = 0n): number {
  object.bss['key'] = key
  object.bss['flags'] = flags
  return object.program(program).run({ data: packet }).retval
}

describeContract(
  'maps of targets for packets',
  (tested) => {
    const load = (): BpfObject =>
      open(objectPath('test/redirect_maps'), { kernel: tested.make().choice }).load()

    it('send packets to what is in them', () => {
      using object = load()
      object.map('devices').set(2, LOOPBACK)
      object.map('named_devices').set(77, { ifindex: LOOPBACK })
      object.map('cpus').set(0, 192)
      expect(verdict(object, 'to_device', 2n)).toBe(XDP.REDIRECT)
      expect(verdict(object, 'to_named_device', 77n)).toBe(XDP.REDIRECT)
      expect(verdict(object, 'to_cpu', 0n)).toBe(XDP.REDIRECT)
      // Of the key, Linux looks at 32 bits.
      expect(verdict(object, 'to_device', (1n << 32n) + 2n)).toBe(XDP.REDIRECT)
      object.map('devices').delete(2)
      object.map('named_devices').delete(77)
      object.map('cpus').delete(0)
      expect(verdict(object, 'to_device', 2n)).toBe(XDP.ABORTED)
      expect(verdict(object, 'to_named_device', 77n)).toBe(XDP.ABORTED)
      expect(verdict(object, 'to_cpu', 0n)).toBe(XDP.ABORTED)
    })

    it.for(['to_device', 'to_named_device', 'to_cpu', 'to_socket'])(
      'give the verdict of the flags where there is nothing: %s',
      (program) => {
        using object = load()
        for (const flags of [XDP.ABORTED, XDP.DROP, XDP.PASS, XDP.TX])
          for (const key of [0n, 3n, 4n, 0xffffffffn])
            expect(verdict(object, program, key, BigInt(flags))).toBe(flags)
        expect(verdict(object, program, 0n, 4n)).toBe(XDP.ABORTED)
        expect(verdict(object, program, 0n, (1n << 32n) + 2n)).toBe(XDP.ABORTED)
      },
    )

    it('send packets to all devices, but not to all CPUs', () => {
      using object = load()
      object.map('cpus').set(0, 192)
      expect(verdict(object, 'to_device', 0n, BROADCAST)).toBe(XDP.REDIRECT)
      expect(verdict(object, 'to_named_device', 0n, BROADCAST | EXCLUDE_INGRESS)).toBe(XDP.REDIRECT)
      expect(verdict(object, 'to_device', 0n, EXCLUDE_INGRESS | 2n)).toBe(XDP.PASS)
      expect(verdict(object, 'to_cpu', 0n, BROADCAST)).toBe(XDP.ABORTED)
      expect(verdict(object, 'to_socket', 0n, BROADCAST)).toBe(XDP.ABORTED)
    })

    it('are looked up by programs', () => {
      using object = load()
      expect(verdict(object, 'look', 1n)).toBe(0)
      object.map('devices').set(1, LOOPBACK)
      expect(verdict(object, 'look', 1n)).toBe(1)
      object.map('named_devices').set(1, { ifindex: LOOPBACK })
      expect(verdict(object, 'look', 1n)).toBe(101)
    })

    it('take interfaces and CPUs that there are', () => {
      using object = load()
      const set =
        (map: string, key: number, value: unknown, mode?: 'noexist' | 'exist'): (() => void) =>
        () =>
          object.map(map).set(key, value, mode === undefined ? {} : { mode })
      expect(code(set('devices', 0, NO_INTERFACE))).toBe('EINVAL')
      expect(code(set('devices', 4, LOOPBACK))).toBe('E2BIG')
      expect(code(set('devices', 0, LOOPBACK, 'noexist'))).toBe('EEXIST')
      expect(code(set('devices', 0, LOOPBACK, 'exist'))).toBeUndefined()
      expect(code(set('named_devices', 0, { ifindex: NO_INTERFACE }))).toBe('EINVAL')
      expect(code(set('named_devices', 0, { ifindex: 0 }))).toBe('EINVAL')
      expect(code(set('named_devices', 0, { ifindex: LOOPBACK }, 'exist'))).toBeUndefined()
      expect(code(set('named_devices', 0, { ifindex: LOOPBACK }, 'noexist'))).toBe('EEXIST')
      expect(code(set('named_devices', 1, { ifindex: LOOPBACK }, 'noexist'))).toBeUndefined()
      expect(code(set('named_devices', 2, { ifindex: LOOPBACK }))).toBe('E2BIG')
      expect(code(set('cpus', 0, 16385))).toBe('EOVERFLOW')
      expect(code(set('cpus', 4, 1))).toBe('E2BIG')
      expect(code(set('cpus', 0, 1, 'noexist'))).toBe('EEXIST')
      expect(code(set('cpus', 0, 1, 'exist'))).toBeUndefined()
      expect(code(set('sockets', 4, 0))).toBe('E2BIG')
      expect(code(set('sockets', 0, 0x7fffffff))).toBe('EBADF')
    })

    it('tell user space what is in them', () => {
      using object = load()
      const devices = object.map<number, number>('devices')
      const named = object.map<number>('named_devices')
      const cpus = object.map<number, number>('cpus')
      expect([devices.get(0), named.get(0), cpus.get(0)]).toEqual([undefined, undefined, undefined])
      devices.set(3, LOOPBACK)
      named.set(9, { ifindex: LOOPBACK })
      cpus.set(0, 64)
      expect(devices.get(3)).toBe(LOOPBACK)
      expect(named.get(9)).toMatchObject({ ifindex: LOOPBACK })
      expect(cpus.get(0)).toBe(64)
      expect([...devices.keys()]).toEqual([0, 1, 2, 3])
      expect([...named.keys()]).toEqual([9])
      expect([...cpus.keys()]).toEqual([0, 1, 2, 3])
      expect([...devices.entries()]).toEqual([[3, LOOPBACK]])
      // An empty value takes a target out.
      devices.set(3, 0)
      cpus.set(0, 0)
      expect([devices.get(3), cpus.get(0)]).toEqual([undefined, undefined])
      expect([devices.delete(0), named.delete(0), named.delete(9), cpus.delete(0)]).toEqual([
        true,
        false,
        true,
        true,
      ])
      expect(code(() => devices.delete(4))).toBe('EINVAL')
      expect(code(() => cpus.delete(4))).toBe('EINVAL')
      expect(code(() => object.map('sockets').get(0))).toBe('EOPNOTSUPP')
    })

    describe('are made of the sizes and flags that Linux takes', () => {
      const make = (options: Omit<CreateMapOptions, 'kernel'>): string | undefined =>
        code(() => createMap({ kernel: tested.make().choice, ...options }).close())
      const wrong: readonly (readonly [Partial<CreateMapOptions>, string])[] = [
        [{ keySize: 8 }, 'EINVAL'],
        [{ valueSize: 6 }, 'EINVAL'],
        [{ maxEntries: 0 }, 'EINVAL'],
        [{ flags: ['BPF_F_NO_PREALLOC'] }, 'EINVAL'],
        [{ flags: ['BPF_F_RDONLY_PROG'] }, 'EINVAL'],
      ]
      it.for(['devmap', 'devmap_hash', 'cpumap', 'xskmap'])('%s', (type) => {
        const base = { type, keySize: 4, valueSize: 4, maxEntries: 2 } as const
        expect(make(base)).toBeUndefined()
        for (const [change, error] of wrong)
          expect([change, make({ ...base, ...change })]).toEqual([change, error])
        expect(make({ ...base, valueSize: 8 })).toBe(type === 'xskmap' ? 'EINVAL' : undefined)
        expect(make({ ...base, flags: ['BPF_F_RDONLY'] })).toBe(type === 'cpumap' ? 'EINVAL' : undefined)
        expect(make({ ...base, maxEntries: 8193 })).toBe(type === 'cpumap' ? 'E2BIG' : undefined)
      })
    })

    it('need not be: packets are sent to interfaces by number', () => {
      using object = load()
      const interfaces = [0n, 1n, BigInt(NO_INTERFACE)]
      for (const key of interfaces) {
        expect(verdict(object, 'to_interface', key)).toBe(XDP.REDIRECT)
        expect(verdict(object, 'to_interface', key, 1n)).toBe(XDP.ABORTED)
        expect(verdict(object, 'tc_interface', key)).toBe(TC_ACT.REDIRECT)
        expect(verdict(object, 'tc_interface', key, 1n)).toBe(TC_ACT.REDIRECT)
        expect(verdict(object, 'tc_interface', key, 2n)).toBe(TC_ACT.SHOT)
        expect(verdict(object, 'tc_peer', key)).toBe(TC_ACT.REDIRECT)
        expect(verdict(object, 'tc_peer', key, 1n)).toBe(TC_ACT.SHOT)
        expect(verdict(object, 'tc_neighbour', key)).toBe(TC_ACT.REDIRECT)
        expect(verdict(object, 'tc_neighbour', key, 1n)).toBe(TC_ACT.SHOT)
      }
    })
  },
  '6.1',
)
