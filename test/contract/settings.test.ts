/** What is configured between open and load, on both kernels. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { BpfObject, MapSettings, OpenObject, OpenOptions, ProgramSettings } from '../../lib/index.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath, type TestKernel } from '../support/kernels.js'
import { u32 } from '../support/native.js'

/** With what a program needs that no section tells switched off. */
function openSettings({ choice }: TestKernel, options: OpenOptions = {}): OpenObject {
  const spec = open(objectPath('test/settings'), { kernel: choice, ...options })
  program(spec, 'anywhere').autoload = false
  program(spec, 'untyped').autoload = false
  return spec
}

function map(spec: OpenObject, name: string): MapSettings {
  return spec.maps[name] as MapSettings // an unknown name has thrown
}

function program(spec: OpenObject, name: string): ProgramSettings {
  return spec.programs[name] as ProgramSettings // an unknown name has thrown
}

/** What the program `options` saw of the kernel's options. */
function seen(object: BpfObject): readonly bigint[] {
  const { ctx } = object.program('options').run({ ctx: new Uint8Array(56) })
  return [...new BigInt64Array((ctx ?? new Uint8Array(0)).slice().buffer)]
}

/** The objects hold `syscall` programs, which are in Linux since 5.14. */
const describeSettings: typeof describeContract = (title, tests) => describeContract(title, tests, '5.14')

describeSettings('settings of a map', (tested) => {
  it('change type, sizes and flags before load()', () => {
    using spec = openSettings(tested.make())
    const table = map(spec, 'table')
    table.type = 'percpu_hash'
    table.maxEntries = 3
    table.flags = 1
    table.numaNode = 0
    expect(table).toMatchObject({ type: 'percpu_hash', maxEntries: 3, flags: 1, numaNode: 0, mapExtra: 0n })
    using object = spec.load()
    expect(object.map('table')).toMatchObject({ type: 'percpu_hash', maxEntries: 3 })
  })

  it('change the sizes of keys and values, which are bytes then', () => {
    using spec = openSettings(tested.make())
    program(spec, 'remember').autoload = false
    map(spec, 'extra').keySize = 6
    map(spec, 'extra').valueSize = 3
    using object = spec.load()
    const extra = object.map('extra')
    expect(extra).toMatchObject({ keySize: 6, valueSize: 3 })
    extra.set(Uint8Array.of(1, 2, 3, 4, 5, 6), Uint8Array.of(7, 8, 9))
    expect(extra.get(Uint8Array.of(1, 2, 3, 4, 5, 6))).toEqual(Uint8Array.of(7, 8, 9))
  })

  it('leave out a map that no program gets to', () => {
    using spec = openSettings(tested.make())
    spec.rodata['use_extra'] = false
    map(spec, 'extra').autocreate = false
    using object = spec.load()
    expect(Object.keys(object.maps)).not.toContain('extra')
    expect(object.program('remember').run({ ctx: u32(5) }).retval).toBe(0)
    expect(object.map<number, bigint>('table').get(5)).toBe(1n)
  })

  it('name the program that needs a map that was left out', () => {
    using spec = openSettings(tested.make())
    map(spec, 'extra').autocreate = false
    expect(() => spec.load()).toThrow(
      expect.objectContaining({
        code: 'RELOCATION_FAILED',
        message: expect.stringMatching(/'remember'.*map 'extra'/),
      }),
    )
  })

  it('share a map with another object', () => {
    const kernel = tested.make()
    using first = openSettings(kernel).load()
    const spec = openSettings(kernel)
    spec.rodata['use_extra'] = false
    map(spec, 'table').reuse(first.map('table'))
    using second = spec.load()
    expect(second.map('table').id).toBe(first.map('table').id)
    second.program('remember').run({ ctx: u32(9) })
    expect(first.map<number, bigint>('table').get(9)).toBe(1n)
    first.close()
    expect(second.map<number, bigint>('table').get(9)).toBe(1n)
  })

  it('share global data with another object of the same layout only', () => {
    const kernel = tested.make()
    using first = openSettings(kernel).load()
    const spec = openSettings(kernel)
    map(spec, '.data.config').reuse(first.map('.data.config'))
    expect(code(() => map(spec, '.bss').reuse(first.map('.data.config')))).toBe('EINVAL')
    using second = spec.load()
    second.program('add').run({ ctx: u32(10) })
    expect(first.variables('.data.config')['sum']).toBe(20n)
  })

  it.each([
    ['an unknown type', (spec: OpenObject) => (map(spec, 'table').type = 'hush'), 'BAD_VALUE'],
    [
      'a map of maps from another',
      (spec: OpenObject) => (map(spec, 'table').type = 'hash_of_maps'),
      'BAD_VALUE',
    ],
    ['a negative size', (spec: OpenObject) => (map(spec, 'table').keySize = -1), 'BAD_VALUE'],
    [
      'a size that is no number',
      (spec: OpenObject) => (map(spec, 'table').valueSize = Number.NaN),
      'BAD_VALUE',
    ],
    ['flags that are too many', (spec: OpenObject) => (map(spec, 'table').flags = 2 ** 32), 'BAD_VALUE'],
    ['a mapExtra of 65 bits', (spec: OpenObject) => (map(spec, 'table').mapExtra = 1n << 64n), 'BAD_VALUE'],
    [
      'autocreate that is no boolean',
      (spec: OpenObject) => (map(spec, 'table').autocreate = 1 as unknown as boolean),
      'BAD_VALUE',
    ],
    ['a pin path with a zero', (spec: OpenObject) => (map(spec, 'table').pinPath = '/x\0y'), 'BAD_VALUE'],
    ['a file descriptor that is none', (spec: OpenObject) => map(spec, 'table').reuse(-1), 'BAD_VALUE'],
    [
      'a template for a map that holds no maps',
      (spec: OpenObject) => map(spec, 'table').setInner(3),
      'BAD_VALUE',
    ],
    ['a size of global data', (spec: OpenObject) => (map(spec, '.bss').valueSize = 4096), 'EINVAL'],
    [
      'more entries of global data',
      (spec: OpenObject) => (map(spec, '.data.config').maxEntries = 2),
      'EINVAL',
    ],
    ['a type of global data', (spec: OpenObject) => (map(spec, '.bss').type = 'hash'), 'EINVAL'],
  ])('refuse %s', (_what, set, expected) => {
    using spec = openSettings(tested.make())
    expect(code(() => set(spec))).toBe(expected)
  })

  it('are over after load()', () => {
    const spec = openSettings(tested.make())
    const table = map(spec, 'table')
    using _object = spec.load()
    expect(code(() => (table.type = 'array'))).toBe('BAD_PHASE')
    expect(code(() => (table.autocreate = false))).toBe('BAD_PHASE')
  })
})

describeSettings('settings of a program', (tested) => {
  it('give a type to a program whose section says none', () => {
    const spec = openSettings(tested.make())
    const untyped = program(spec, 'untyped')
    expect(untyped).toMatchObject({ type: 'unspec', autoattach: true, flags: 0, logLevel: 0 })
    untyped.type = 'syscall'
    untyped.flags = 16
    untyped.autoload = true
    using object = spec.load()
    expect(object.program('untyped').run({}).retval).toBe(7)
    expect(object.program('untyped').log).toBe('')
    using links = object.attach()
    expect(links.skipped).toContainEqual({ program: 'untyped', reason: expect.stringContaining('its type') })
  })

  it('say where it is attached', async () => {
    const kernel = tested.make()
    const spec = openSettings(kernel)
    const anywhere = program(spec, 'anywhere')
    anywhere.autoload = true
    anywhere.setAttachTarget('sched_process_exec')
    spec.bss['root'] = kernel.root
    using object = spec.load()
    using links = object.attach()
    expect(links.attached.map((link) => link.program)).toEqual(['anywhere'])
    await kernel.runProcess()
    expect(object.bss['execs']).toBeGreaterThan(0)
  })

  it('leave attaching to the caller', () => {
    const spec = openSettings(tested.make())
    const anywhere = program(spec, 'anywhere')
    anywhere.autoload = true
    anywhere.autoattach = false
    anywhere.setAttachTarget('sched_process_exec')
    using object = spec.load()
    using links = object.attach()
    expect(links.attached).toEqual([])
    expect(links.skipped).toContainEqual({ program: 'anywhere', reason: 'autoattach is off' })
    using link = object.program('anywhere').attach()
    expect(link.program).toBe('anywhere')
  })

  it.each([
    ['an unknown type', (spec: OpenObject) => (program(spec, 'add').type = 'sysvall'), 'BAD_VALUE'],
    [
      'an unknown attach type',
      (spec: OpenObject) => (program(spec, 'add').expectedAttachType = 'nowhere'),
      'BAD_VALUE',
    ],
    ['flags below zero', (spec: OpenObject) => (program(spec, 'add').flags = -1), 'BAD_VALUE'],
    ['a log level that is none', (spec: OpenObject) => (program(spec, 'add').logLevel = 8), 'BAD_VALUE'],
    [
      'autoattach that is no boolean',
      (spec: OpenObject) => (program(spec, 'add').autoattach = 0 as unknown as boolean),
      'BAD_VALUE',
    ],
    ['an empty target', (spec: OpenObject) => program(spec, 'anywhere').setAttachTarget(''), 'BAD_VALUE'],
    [
      'a target program that is none',
      (spec: OpenObject) => program(spec, 'anywhere').setAttachTarget('x', {} as never),
      'BAD_VALUE',
    ],
  ])('refuse %s', (_what, set, expected) => {
    using spec = openSettings(tested.make())
    expect(code(() => set(spec))).toBe(expected)
  })

  it('take an expected attach type by its name', () => {
    using spec = openSettings(tested.make())
    program(spec, 'anywhere').expectedAttachType = 'trace_iter'
    expect(program(spec, 'anywhere').expectedAttachType).toBe('trace_iter')
  })
})

describeSettings('custom sections of global data', (tested) => {
  it('are got and set, before load() and after it', () => {
    const spec = openSettings(tested.make())
    expect(spec.variables('.data.config')['limits']).toEqual({ low: 3, high: 30 })
    spec.variables('.data.config')['limits'] = { low: 5, high: 50 }
    spec.variables('.rodata.config')['factor'] = 3
    using object = spec.load()
    const data = object.variables('.data.config')
    expect(object.program('add').run({ ctx: u32(4) }).retval).toBe(1)
    expect(object.program('add').run({ ctx: u32(50) }).retval).toBe(0)
    expect(data['sum']).toBe(150n)
    data['limits'] = { low: 0, high: 4 }
    expect(object.program('add').run({ ctx: u32(4) }).retval).toBe(0)
    expect(object.variables('.rodata.config')['factor']).toBe(3)
    expect(code(() => (object.variables('.rodata.config')['factor'] = 1))).toBe('BAD_PHASE')
  })
})

describeSettings('kernel options', (tested) => {
  it('come from a text of .config, of every kind', () => {
    const kconfig = [
      '# as in .config', 'CONFIG_ANSWER=0x2a', 'CONFIG_NEGATIVE=-3', 'CONFIG_FLAG=y', 'CONFIG_LETTER=m', 'CONFIG_MODULE=m',
      'CONFIG_TEXT="hello, kernel"', 'CONFIG_ANSWER=1', '',
    ].join('\n') // prettier-ignore
    using object = openSettings(tested.make(), { kconfig }).load()
    const [version, ...options] = seen(object)
    expect(version).toBeGreaterThan(0x50800n)
    expect(options).toEqual([42n, -3n, 1n, 109n, 2n, 104n])
    expect(object.kconfig).toMatchObject({
      CONFIG_ANSWER: 42,
      CONFIG_NEGATIVE: -3,
      CONFIG_FLAG: true,
      CONFIG_TEXT: 'hello, ',
    })
  })

  it('are zero where they are weak and nobody knows them', () => {
    using object = openSettings(tested.make()).load()
    expect(seen(object).slice(1)).toEqual([0n, 0n, 0n, 0n, 0n, 0n])
  })

  it('cannot be set one by one', () => {
    using spec = openSettings(tested.make())
    expect(code(() => (spec.kconfig['CONFIG_ANSWER'] = 1))).toBe('BAD_PHASE')
  })

  it.each(['CONFIG_ANSWER', 'CONFIG_ANSWER=', 'CONFIG_ANSWER=12x', 'CONFIG_TEXT="open', 'CONFIG_ANSWER=1\0'])(
    'are refused at open() as %j',
    (kconfig) => {
      expect(code(() => openSettings(tested.make(), { kconfig }))).toBe('BAD_VALUE')
    },
  )

  it.each([
    'CONFIG_ANSWER=y',
    'CONFIG_ANSWER=0x100000000',
    'CONFIG_FLAG=m',
    'CONFIG_TEXT=3',
    'CONFIG_MODULE=1',
    'CONFIG_FLAG=2',
    'CONFIG_FLAG="y"',
  ])('are refused at load() where they do not suit their type: %s', (kconfig) => {
    const spec = openSettings(tested.make(), { kconfig })
    expect(code(() => spec.load())).toBe('BAD_VALUE')
  })
})

describeSettings('options of open()', (tested) => {
  it('take type information from a file, a URL or bytes', () => {
    // The object's own will do: it has no CO-RE relocations that would miss anything.
    const btf = btfOf('contract')
    using object = openSettings(tested.make(), { btf }).load()
    expect(seen(object)).toHaveLength(7)
    expect(code(() => openSettings(tested.make(), { btf: '/no/such/file' }))).toBe('ENOENT')
    expect(code(() => openSettings(tested.make(), { btf: new Uint8Array(0) }))).toBe('BAD_BTF')
    expect(code(() => openSettings(tested.make(), { btf: 5 as unknown as string }))).toBe('BAD_VALUE')
  })

  it('are checked', () => {
    expect(code(() => openSettings(tested.make(), { pinRootPath: '' }))).toBe('BAD_VALUE')
    expect(code(() => openSettings(tested.make(), { bpfTokenPath: 'a\0' }))).toBe('BAD_VALUE')
    expect(code(() => openSettings(tested.make(), { kernelLogLevel: -1 }))).toBe('BAD_VALUE')
  })
})

function btfOf(name: string): Uint8Array {
  using spec = open(readFileSync(objectPath(`test/${name}`)), { kernel: 'fallback' })
  const { file } = (
    spec as unknown as {
      readonly parts: { readonly file: { readonly btf?: { readonly bytes: Uint8Array } } }
    }
  ).parts
  return file.btf?.bytes ?? new Uint8Array(0)
}
