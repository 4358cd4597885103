import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { BpfError, type Program } from '../../lib/index.js'
import { open } from '../../lib/open.js'
import { describeContract, objectPath, openContract } from '../support/kernels.js'
import { SYSCALL_PROGRAMS } from '../support/require-kernel.js'
import { code } from '../support/errors.js'

describeContract('an object', (tested) => {
  it('opens from a URL, a path and bytes alike', () => {
    const url = objectPath('test/contract')
    const { choice } = tested.make()
    const names = [url, url.pathname, readFileSync(url)].map((source) => {
      using spec = open(source, { kernel: choice })
      return Object.keys(spec.programs)
    })
    expect(names[0]).toContain('bump')
    expect(names[1]).toEqual(names[0])
    expect(names[2]).toEqual(names[0])
  })

  it('takes its name from the file', () => {
    using spec = openContract(tested.make())
    expect(spec.name).toBe('contract')
  })

  it('lists maps and programs with their types', () => {
    using spec = open(objectPath('test/contract'), { kernel: tested.make().choice })
    expect(spec.maps['counters']).toMatchObject({ type: 'hash', keySize: 4, valueSize: 8, maxEntries: 4 })
    expect(spec.maps['ring']).toMatchObject({ type: 'ringbuf', maxEntries: 4096 })
    expect(spec.programs['bump']).toMatchObject({ type: 'syscall', section: 'syscall', autoload: true })
    expect(spec.programs['optional']).toMatchObject({ type: 'tracing', autoload: false })
  })

  it('answers an unknown name with the nearest one', () => {
    using spec = openContract(tested.make())
    expect(() => spec.maps['countrs']).toThrow(/no map 'countrs'.*Did you mean 'counters'/)
    expect(() => spec.rodata['limt']).toThrow(/Did you mean 'limit'/)
    expect(code(() => spec.variables('.data.nothing'))).toBe('NOT_FOUND')
  })

  it('decodes variables before it is loaded', () => {
    using spec = openContract(tested.make())
    expect(spec.rodata['limit']).toBe(3)
    expect(spec.rodata['greeting']).toBe('hello')
    expect(spec.rodata['preset']).toEqual({ left: -1, right: 1n << 40n, label: 'preset' })
    expect(spec.data['balance']).toBe(-7)
    expect(spec.data['flag']).toBe(true)
    expect(spec.bss['runs']).toBe(0n)
  })

  it.each([
    ['a number too big', 'limit', 2 ** 32],
    ['a negative number for an unsigned type', 'limit', -1],
    ['a string for a number', 'limit', '3'],
    ['a text too long', 'greeting', 'far too long'],
    ['a struct with an unknown member', 'preset', { lefty: 1 }],
    ['NaN', 'limit', NaN],
  ])('refuses %s', (_what, name, value) => {
    using spec = openContract(tested.make())
    expect(code(() => (spec.rodata[name] = value))).toBe('BAD_VALUE')
  })

  it('keeps variables as they were when a value is refused', () => {
    using spec = openContract(tested.make())
    expect(code(() => (spec.rodata['limit'] = 'junk'))).toBe('BAD_VALUE')
    expect(code(() => (spec.rodata['preset'] = { left: 'junk' }))).toBe('BAD_VALUE')
    spec.rodata['greeting'] = 'changed'
    using object = spec.load()
    expect(object.rodata['limit']).toBe(3)
    expect(object.rodata['preset']).toEqual({ left: -1, right: 1n << 40n, label: 'preset' })
    object.data['balance'] = 55
    expect(code(() => (object.data['balance'] = 2 ** 40))).toBe('BAD_VALUE')
    expect(object.data['balance']).toBe(55)
  })

  it('answers names that every JavaScript object has like any other unknown name', () => {
    using object = openContract(tested.make()).load()
    for (const name of ['constructor', 'toString', 'then', '__proto__', 'hasOwnProperty']) {
      expect(code(() => object.map(name))).toBe('NOT_FOUND')
      expect(code(() => object.program(name))).toBe('NOT_FOUND')
    }
  })

  it('resizes maps before it is loaded', () => {
    const spec = openContract(tested.make())
    const counters = spec.maps['counters']
    if (counters !== undefined) counters.maxEntries = 2
    using object = spec.load()
    expect(object.map('counters').maxEntries).toBe(2)
    const map = object.map<number, bigint>('counters').set(1, 1n).set(2, 2n)
    expect(code(() => map.set(3, 3n))).toBe('E2BIG')
  })

  it('leaves out programs whose autoload is off', () => {
    const spec = openContract(tested.make())
    const bump = spec.programs['bump']
    if (bump !== undefined) bump.autoload = false
    using object = spec.load()
    expect(() => object.program('bump')).toThrow(/no program 'bump'/)
    expect(() => object.program('optional')).toThrow(/no program 'optional'/)
  })

  it('loads off the event loop', async () => {
    using object = await openContract(tested.make()).loadAsync()
    expect(object.map('counters').id).toBeGreaterThan(0)
  })

  it('is loaded once', () => {
    const spec = openContract(tested.make())
    using _object = spec.load()
    expect(code(() => spec.load())).toBe('BAD_PHASE')
  })

  it('says that attach() needs load()', () => {
    using spec = openContract(tested.make())
    const { attach } = spec as unknown as { attach(): void }
    expect(() => attach()).toThrow(/Call load\(\) first/)
  })

  it('keeps variables that were fetched from working after close', () => {
    const object = openContract(tested.make()).load()
    const { bss } = object
    object.close()
    expect(() => bss['runs']).toThrow(BpfError)
    expect(() => (bss['runs'] = 1n)).toThrow(BpfError)
  })

  it('names its kernel', () => {
    using object = openContract(tested.make()).load()
    expect(object.kernel.name).toBe(tested.name)
  })
})

describeContract(
  'an object with programs that are run',
  (tested) => {
    it('carries configured variables into the kernel', () => {
      using spec = openContract(tested.make())
      spec.rodata['limit'] = 77
      spec.data['balance'] = -100
      spec.bss['runs'] = 5n
      using object = spec.load()
      expect(object.rodata['limit']).toBe(77)
      expect(object.data['balance']).toBe(-100)
      object.program('bump').run({ ctx: bumpArgs(1, 1) })
      expect(object.bss['runs']).toBe(6n)
    })

    it('has live variables once loaded, and frozen constants', () => {
      using object = openContract(tested.make()).load()
      object.bss['runs'] = 41n
      object.program('bump').run({ ctx: bumpArgs(1, 1) })
      expect(object.bss['runs']).toBe(42n)
      expect(code(() => (object.rodata['limit'] = 1))).toBe('BAD_PHASE')
    })

    it('is closed any number of times, and then refuses everything', () => {
      const object = openContract(tested.make()).load()
      const counters = object.map('counters')
      const bump: Program = object.program('bump')
      object.close()
      object.close()
      expect(object.closed).toBe(true)
      expect(code(() => counters.get(1))).toBe('CLOSED')
      expect(code(() => bump.run({ ctx: bumpArgs(1, 1) }))).toBe('CLOSED')
      expect(code(() => object.attach())).toBe('CLOSED')
      expect(code(() => object.bss)).toBe('CLOSED')
    })
  },
  SYSCALL_PROGRAMS,
)

function bumpArgs(key: number, delta: number): Uint8Array {
  const args = new Uint8Array(16)
  const view = new DataView(args.buffer)
  view.setUint32(0, key, true)
  view.setUint32(4, delta, true)
  return args
}
