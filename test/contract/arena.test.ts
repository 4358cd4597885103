/** Arenas: pages that programs take and give back, pointers in them, and the same memory in user space. */
import { expect, it } from 'vitest'
import { mapById } from '../../lib/create-map.js'
import type { BpfObject } from '../../lib/object.js'
import { open } from '../../lib/open.js'
import { describeContract, objectPath } from '../support/kernels.js'
import { code } from '../support/errors.js'
import { thrownBy } from '../support/native.js'
import { linuxIsAtLeast } from '../support/this-machine.js'

const PAGE = 4096
const PAGES = 8
/** As the object has it: the address of the first page. */
const START = 0x10000000n

describeContract(
  'an arena',
  (kernel) => {
    const load = (): BpfObject => open(objectPath('test/arena'), { kernel: kernel.make().choice }).load()
    const run = (object: BpfObject, program: string, request: object): bigint => {
      const { retval, ctx } = object.program(program).run({ ctx: request })
      expect(retval).toBe(0)
      return (ctx as unknown as { readonly result: bigint }).result
    }

    // Linux 6.12 takes the first place that is large enough, 6.18 the smallest one.
    const isJudge = kernel.name !== 'native' || linuxIsAtLeast('6.18')
    it.runIf(isJudge)('gives pages, the first that are free or those that are asked for', () => {
      using object = load()
      const allocate = (count: number, address = 0n, flags = 0): bigint =>
        run(object, 'allocate', { address, count, flags })
      expect(allocate(1)).toBe(START)
      expect(allocate(2)).toBe(START + BigInt(PAGE))
      expect(allocate(1, START + 5n * BigInt(PAGE))).toBe(START + 5n * BigInt(PAGE))
      // Taken, between pages, outside, with flags, none at all, and more than there are.
      expect(allocate(1, START + 5n * BigInt(PAGE))).toBe(0n)
      expect(allocate(1, START + 7n * BigInt(PAGE) + 8n)).toBe(0n)
      expect(allocate(1, START + BigInt(PAGES * PAGE))).toBe(0n)
      expect(allocate(1, 0n, 1)).toBe(0n)
      expect(allocate(0)).toBe(0n)
      expect(allocate(PAGES + 1)).toBe(0n)
      expect(allocate(3)).toBe(0n)
      // Of two places that are equal, the one that came to be last: behind page 5.
      expect(allocate(2)).toBe(START + 6n * BigInt(PAGE))
      expect(allocate(1)).toBe(START + 3n * BigInt(PAGE))
      const release = (page: bigint, count: number): bigint =>
        run(object, 'release', { address: START + page * BigInt(PAGE), count })
      release(1n, 1)
      release(6n, 5)
      release(3n, 1)
      // Pages 1, 3 and 4, 6 and 7 are free.
      expect(allocate(1)).toBe(START + BigInt(PAGE))
      expect(allocate(1)).toBe(START + 3n * BigInt(PAGE))
      release(2n, 2)
      expect(allocate(3)).toBe(START + 2n * BigInt(PAGE))
      expect(allocate(1)).toBe(START + 6n * BigInt(PAGE))
    })

    it('takes pages back, and gives them empty', () => {
      using object = load()
      const address = run(object, 'allocate', { count: 2 })
      expect(run(object, 'add_at', { address: address + 16n, count: 7 })).toBe(0n)
      expect(run(object, 'read_at', { address: address + 16n })).toBe(7n)
      run(object, 'release', { address, count: 1 })
      expect(run(object, 'read_at', { address: address + 16n })).toBe(0n)
      expect(run(object, 'allocate', { count: 1 })).toBe(address)
      expect(run(object, 'read_at', { address: address + 16n })).toBe(0n)
    })

    it('holds pointers that lead on: in programs, and as what they are in user space', () => {
      using object = load()
      const head = run(object, 'make_list', { count: 5 })
      expect(head).toBe(START + 5n * 16n)
      expect(run(object, 'sum_list', {})).toBe(150n)
      expect(object.bss['head']).toBe(head)
      const { memory } = object.map('arena')
      const view = new DataView(memory!.buffer, memory!.byteOffset, memory!.length)
      const at = (address: bigint): number => Number(address - START)
      expect(view.getBigUint64(at(head) + 8, true)).toBe(50n)
      expect(view.getBigUint64(at(head), true)).toBe(head - 16n)
      // User space puts a node of its own in front.
      view.setBigUint64(at(START + 4000n), head, true)
      view.setBigUint64(at(START + 4008n), 1000n, true)
      object.bss['head'] = START + 4000n
      expect(run(object, 'sum_list', {})).toBe(1150n)
      // A page that no program has allocated is there as it is touched.
      memory![3 * PAGE] = 42
      expect(memory).toHaveLength(PAGES * PAGE)
      expect(run(object, 'read_at', { address: START + BigInt(3 * PAGE) })).toBe(42n)
    })

    it('lends its memory until it is closed', () => {
      const object = load()
      const { memory } = object.map('arena')
      expect(run(object, 'make_list', { count: 1 })).toBe(START + 16n)
      expect(memory![24]).toBe(10)
      const arena = object.map('arena')
      object.close()
      expect(code(() => arena.memory)).toBe('CLOSED')
      // The view of what is gone, if it isn't a part of the simulated kernel's memory.
      expect(memory).toHaveLength(kernel.name === 'native' ? 0 : PAGES * PAGE)
      // Another one takes its place.
      using next = load()
      expect(next.map('arena').memory).toHaveLength(PAGES * PAGE)
    })

    it.runIf(kernel.name === 'native')('is mapped once in a process, which is said', () => {
      using object = load()
      expect(object.map('arena').memory).toHaveLength(PAGES * PAGE)
      using other = mapById(object.map('arena').info.id)
      expect(thrownBy(() => other.memory)).toMatchObject({
        code: 'EBUSY',
        hint: expect.stringContaining('once') as unknown,
      })
    })

    it.runIf(kernel.name === 'native')('stays with whom its memory was given to', () => {
      const spec = open(objectPath('test/arena'), { kernel: kernel.make().choice })
      // A place of its own, which is taken until the memory is collected.
      spec.maps['arena']!.mapExtra = 3n << 44n
      const object = spec.load()
      const { memory } = object.map('arena')
      memory![24] = 7
      const { buffer } = memory!
      const given = structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })
      object.close()
      expect(new Uint8Array(given)[24]).toBe(7)
    })

    it('lies where its map says', () => {
      const spec = open(objectPath('test/arena'), { kernel: kernel.make().choice })
      const start = 1n << 44n
      spec.maps['arena']!.mapExtra = start
      using object = spec.load()
      expect(run(object, 'make_list', { count: 3 })).toBe(start + 48n)
      expect(run(object, 'sum_list', {})).toBe(60n)
      expect(run(object, 'read_at', { address: start + 40n })).toBe(20n)
    })
  },
  '6.9',
)
