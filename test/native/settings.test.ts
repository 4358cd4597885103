/** What is configured between open and load, where only Linux has it. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { createKernel } from '../../lib/fallback/index.js'
import { BpfError, type MapSettings, type OpenObject, type OpenOptions, type ProgramSettings } from '../../lib/index.js'
import { nativeKernel } from '../../lib/native/kernel.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { thrownBy } from '../support/native.js'
import { patience } from '../support/patience.js'
import { addonHas, describeSince } from '../support/require-kernel.js'

function openSettings(options: OpenOptions = {}): OpenObject {
  const spec = open(objectPath('test/native_settings'), { kernel: 'native', ...options })
  // Functions as targets take fentry, which not every kernel lets one have.
  program(spec, 'traced').autoload = false
  return spec
}

function openCommon(options: OpenOptions = {}): OpenObject {
  const spec = open(objectPath('test/settings'), { kernel: 'native', ...options })
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

/** The objects hold `syscall` programs: Linux 5.14. */
const describeNative = describeSince('5.14')

describeNative('settings of a map in Linux', () => {
  it('have pin paths from the source and the pin root', () => {
    using spec = openSettings({ pinRootPath: '/some/where' })
    const pinned = map(spec, 'pinned')
    expect(pinned.pinPath).toBe('/some/where/pinned')
    pinned.pinPath = '/else/where/name'
    expect(pinned.pinPath).toBe('/else/where/name')
    pinned.pinPath = undefined
    expect(pinned.pinPath).toBeUndefined()
    using object = spec.load()
    expect(object.map('pinned').id).toBeGreaterThan(0)
  })

  it('pin by name under the pin root, and find what is pinned there', { timeout: patience(30_000) }, () => {
    // In a mount namespace of its own: nothing is mounted or pinned for anybody else.
    const child = fileURLToPath(new URL('pin-by-name-child.mjs', import.meta.url))
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['-m', '--propagation', 'private', 'sh', '-c', 'mount -t bpf bpf /sys/fs/bpf && exec "$0" "$1"', process.execPath, child],
      { encoding: 'utf8' },
    )
    expect(stderr).toBe('')
    expect(stdout.trim()).toBe('pinned once, found again, refused where it differs')
  })

  it('show the template of an inner map, and take another one', () => {
    using common = openCommon().load()
    using spec = openSettings()
    map(spec, 'pinned').pinPath = undefined
    const outer = map(spec, 'outer')
    expect(outer.inner).toMatchObject({ type: 'array', keySize: 4, valueSize: 8, maxEntries: 2 })
    expect(map(spec, 'bloom').inner).toBeUndefined()
    outer.setInner(common.map('table'))
    expect(outer.inner).toBeUndefined()
    expect(code(() => outer.setInner(common.map('table')))).toBe('EINVAL')
    using object = spec.load()
    expect(object.map('outer').type).toBe('array_of_maps')
  })

  it('have a mapExtra', () => {
    using spec = openSettings()
    const bloom = map(spec, 'bloom')
    expect(bloom.mapExtra).toBe(3n)
    bloom.mapExtra = 5n
    expect(bloom.mapExtra).toBe(5n)
  })

  it('take file descriptors, and refuse those that are no maps', () => {
    using first = openCommon().load()
    using spec = openCommon()
    expect(code(() => map(spec, 'table').reuse(0))).toMatch(/EINVAL|EBADF/)
    expect(code(() => map(spec, 'table').reuse(0x7fffffff))).toMatch(/^EBADF/)
    const { fd } = first.map('table').kernelMap
    map(spec, 'table').reuse(fd ?? -1)
    using object = spec.load()
    expect(object.map('table').id).toBe(first.map('table').id)
  })

  it('refuse maps of another kernel', () => {
    const kernel = createKernel()
    const other = open(objectPath('test/contract'), { kernel }).load()
    using spec = openCommon()
    expect(thrownBy(() => map(spec, 'table').reuse(other.map('counters'))).message).toContain('not in the native kernel')
    other.close()
  })
})

describeNative('settings of a program in Linux', () => {
  it('ask the verifier for its log', () => {
    using spec = openCommon()
    program(spec, 'add').logLevel = 2
    program(spec, 'options').logLevel = 4
    using object = spec.load()
    expect(object.program('add').log).toMatch(/R10=fp0[^]*processed \d+ insns/)
    expect(object.program('options').log).toMatch(/processed \d+ insns/)
    expect(object.program('options').log).not.toContain('R10=fp0')
    expect(object.program('remember').log).toBe('')
  })

  it('ask for the logs of all programs at once, also off the event loop', async () => {
    using object = await openCommon({ kernelLogLevel: 4 }).loadAsync()
    for (const name of ['add', 'options', 'remember']) expect(object.program(name).log).toContain('processed')
  })

  it('keep the logs of accepted programs out of the reason why another was refused', () => {
    const spec = open(objectPath('test/rejected'), { kernel: 'native', kernelLogLevel: 2 })
    const error = thrownBy(() => spec.load())
    expect(error).toBeInstanceOf(BpfError)
    expect(error).toMatchObject({ code: 'VERIFIER_REJECTED', verifier: { program: 'careless' } })
  })

  it('say that a target is not there', () => {
    using spec = openSettings()
    const error = thrownBy(() => program(spec, 'traced').setAttachTarget('no_such_function'))
    expect(error).toMatchObject({ code: 'ESRCH', call: 'bpf_program__set_attach_target' })
    expect(error.message).toMatch(/this kernel has no function 'no_such_function'/)
  })

  it('take a function of another program as a target', () => {
    using common = openCommon().load()
    using spec = openSettings()
    program(spec, 'traced').setAttachTarget('add', common.program('add'))
    expect(code(() => program(spec, 'traced').setAttachTarget('nowhere', common.program('add')))).toMatch(/ENOENT|ESRCH/)
    expect(code(() => program(spec, 'traced').setAttachTarget('add', 0x7fffffff))).toBe('EBADF')
  })
})

describeNative('options of open() in Linux', () => {
  it('resolve CO-RE against other type information', () => {
    const spec = open(objectPath('test/contract'), { kernel: 'native', btf: '/sys/kernel/btf/vmlinux' })
    using object = spec.load()
    expect(object.program('on_exec').id).toBeGreaterThan(0)
    const poor = open(objectPath('test/contract'), { kernel: 'native', btf: ownTypes() })
    expect(code(() => poor.load())).toBe('RELOCATION_FAILED')
  })

  it('take a token path where libbpf has tokens', () => {
    const opening = (): void => open(objectPath('test/settings'), { kernel: 'native', bpfTokenPath: '' }).close()
    expect(code(opening)).toBe(nativeKernel().facts.features.token ? undefined : 'UNSUPPORTED')
  })
})

/** Types without any of the kernel's. */
function ownTypes(): Uint8Array {
  const header = new Uint8Array(24 + 1)
  const view = new DataView(header.buffer)
  view.setUint16(0, 0xeb9f, true)
  view.setUint8(2, 1)
  view.setUint32(4, 24, true)
  view.setUint32(20, 1, true)
  return header
}

describeNative('struct_ops', () => {
  it('are attached with their object, and by themselves', () => {
    using object = open(objectPath('test/struct_ops'), { kernel: 'native' }).load()
    const links = object.attach()
    expect(links.attached).toMatchObject([{ program: 'idle_cc', target: 'struct_ops idle_cc', id: 0 }])
    expect(links.skipped.map((skipped) => skipped.reason)).toEqual(
      Array.from({ length: 4 }, () => 'it is attached with its struct_ops map'),
    )
    links.close()
    using again = open(objectPath('test/struct_ops'), { kernel: 'native' }).load()
    const link = again.map('idle_cc').attachStructOps()
    link.close()
  })

  it('are registered once by a name', () => {
    using first = open(objectPath('test/struct_ops'), { kernel: 'native' }).load()
    using _links = first.attach()
    using second = open(objectPath('test/struct_ops'), { kernel: 'native' }).load()
    expect(thrownBy(() => second.attach())).toMatchObject({ code: 'EEXIST', call: 'bpf_map__attach_struct_ops' })
  })

  it.runIf(addonHas('token'))('are not attached where they are not created (libbpf 1.4)', () => {
    using spec = open(objectPath('test/struct_ops'), { kernel: 'native' })
    map(spec, 'idle_cc').autocreate = false
    for (const name of Object.keys(spec.programs)) program(spec, name).autoload = false
    using object = spec.load()
    expect(object.attach().attached).toEqual([])
  })

  it.skipIf(addonHas('token'))('are created always before libbpf 1.4, which would crash', () => {
    using spec = open(objectPath('test/struct_ops'), { kernel: 'native' })
    expect(code(() => (map(spec, 'idle_cc').autocreate = false))).toBe('UNSUPPORTED')
  })

  it('keep their type and sizes', () => {
    using spec = open(objectPath('test/struct_ops'), { kernel: 'native' })
    expect(code(() => (map(spec, 'idle_cc').valueSize = 8))).toBe('EINVAL')
    expect(code(() => (map(spec, 'idle_cc').type = 'hash'))).toBe('EINVAL')
  })

  it.skipIf(addonHas('structOpsLink'))('say what attaching by a link takes', () => {
    const opening = (): OpenObject => open(objectPath('test/struct_ops_link'), { kernel: 'native' })
    expect(thrownBy(opening).message).toContain('libbpf 1.2')
  })

  it('refuse maps of other types', () => {
    using object = openCommon().load()
    expect(code(() => object.map('table').attachStructOps())).toBe('BAD_VALUE')
  })
})

describeSince('6.4')('struct_ops by a link', () => {
  it.runIf(addonHas('structOpsLink'))('are attached with their object, and updated (libbpf 1.2)', () => {
    using object = open(objectPath('test/struct_ops_link'), { kernel: 'native' }).load()
    using links = object.attach()
    const [link] = links.attached
    expect(link?.id).toBeGreaterThan(0)
    expect(link?.info()).toMatchObject({ type: 'struct_ops', mapId: object.map('linked_cc').id })

    // The same algorithm in a newer version takes its place.
    using newer = open(objectPath('test/struct_ops_link'), { kernel: 'native' }).load()
    link?.update(newer.map('linked_cc'), object.map('linked_cc'))
    expect(link?.info()).toMatchObject({ mapId: newer.map('linked_cc').id })
    expect(code(() => link?.update(newer.map('linked_cc'), object.map('linked_cc')))).toBe('EPERM')
  })
})
