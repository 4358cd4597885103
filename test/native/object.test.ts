import { readdirSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import type { BpfError } from '../../lib/errors.js'
import type { KernelObject } from '../../lib/kernel.js'
import { nativeKernel } from '../../lib/native/kernel.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { imageOf, loadNative, openNative, readU32, thrownBy, u32 } from '../support/native.js'
import { describeNative, describeSince, SYSCALL_PROGRAMS } from '../support/require-kernel.js'

const opened: KernelObject[] = []
afterEach(() => {
  for (const object of opened.splice(0)) object.close()
})
function kept<T extends KernelObject>(object: T): T {
  opened.push(object)
  return object
}

describeNative('a native object', () => {
  it('lists maps by the names of the source, and programs', () => {
    const object = kept(openNative('native_maps'))
    expect(object.maps.map(({ name }) => name).toSorted()).toEqual(
      ['.bss', '.rodata', 'hash', 'locked', 'mapped', 'percpu', 'queue'],
    )
    expect(object.programs).toContainEqual(expect.objectContaining({ name: 'packet', section: 'xdp', type: 6, autoload: true }))
    expect(object.programs).toContainEqual(
      expect.objectContaining({ name: 'spare', section: 'raw_tp/sys_enter', type: 17, autoload: false }),
    )
  })

  it('finds the section name behind an object name with dots and any length', () => {
    for (const name of ['a.b.c', 'x', 'a-very-long-name.with.dots']) {
      const object = kept(nativeKernel().openObject(imageOf('native_maps'), { name }))
      expect(object.maps.map((map) => map.name)).toContain('.bss')
    }
  })

  it('may be closed while it is being loaded', async () => {
    const object = openNative('native_maps')
    object.configureProgram('count', { autoload: false })
    const loading = object.loadAsync()
    object.close()
    await expect(loading).rejects.toMatchObject({ code: 'CLOSED' })
    expect(code(() => object.map('hash'))).toBe('CLOSED')
  })

  it('rejects the promise with what the kernel said', async () => {
    await expect(kept(openNative('rejected')).loadAsync()).rejects.toMatchObject({ code: 'VERIFIER_REJECTED' })
  })

  it('refuses wrong names, sizes and numbers', () => {
    const object = kept(openNative('native_maps'))
    expect(code(() => object.configureMap('hush', { maxEntries: 5 }))).toBe('NOT_FOUND')
    expect(thrownBy(() => object.program('cuont')).message).toContain("'count'")
    for (const maxEntries of [-1, 1.5, Number.NaN, 2 ** 32]) {
      expect(code(() => object.configureMap('hash', { maxEntries }))).toBe('BAD_VALUE')
    }
    expect(code(() => object.setInitialValue('.rodata', 0, u32(1, 2)))).toBe('BAD_VALUE')
  })

  it('refuses bytes that are no object file', () => {
    const kernel = nativeKernel()
    for (const image of [new Uint8Array(0), new Uint8Array(100), imageOf('native_maps').image.slice(0, 400)]) {
      expect(code(() => kernel.openObject({ ...imageOf('native_maps'), image }, { name: 'x' }))).toBe('BAD_OBJECT')
    }
  })

  it('takes an image at any address', () => {
    const { image } = imageOf('native_maps')
    const shifted = new Uint8Array(image.length + 3)
    shifted.set(image, 3)
    const object = kept(
      nativeKernel().openObject({ ...imageOf('native_maps'), image: shifted.subarray(3) }, { name: 'x' }),
    )
    object.configureProgram('count', { autoload: false })
    object.load()
    expect(object.map('hash').info.type).toBe(1)
  })
})

describeSince(SYSCALL_PROGRAMS)('a native object with programs that are run', () => {
  it('loads what was configured', () => {
    const object = kept(openNative('native_maps'))
    object.configureMap('hash', { maxEntries: 77 })
    expect(object.maps.find(({ name }) => name === 'hash')?.maxEntries).toBe(77)
    object.configureProgram('packet', { autoload: false })
    expect(object.initialValue('hash')).toBeUndefined()
    expect(readU32(object.initialValue('.rodata'))).toBe(1)
    object.setInitialValue('.rodata', 0, u32(5))
    object.load()

    expect(object.map('hash').info.maxEntries).toBe(77)
    expect(object.program('count').run({ ctx: u32(0) }).retval).toBe(5)
    expect(code(() => object.program('packet'))).toBe('BAD_PHASE')
  })

  it('takes initial values in part, and none where another map is in its place', () => {
    const object = kept(openNative('native_maps'))
    object.setInitialValue('.rodata', 1, Uint8Array.of(1))
    expect(readU32(object.initialValue('.rodata'))).toBe(257)
    expect(code(() => object.setInitialValue('.rodata', 1, u32(1)))).toBe('BAD_VALUE')
    expect(code(() => object.setInitialValue('.rodata', 5, new Uint8Array(0)))).toBe('BAD_VALUE')
    expect(code(() => object.setInitialValue('hash', 0, u32(1)))).toBe('EINVAL')
    object.load()
    expect(object.program('count').run({ ctx: u32(0) }).retval).toBe(257)
    const other = kept(openNative('native_maps'))
    other.configureMap('.bss', { reuse: object.map('.bss') })
    expect(code(() => other.setInitialValue('.bss', 0, u32(1)))).toBe('EBUSY')
  })

  it('loads on another thread, busy meanwhile', async () => {
    const object = kept(openNative('native_maps'))
    const loading = object.loadAsync()
    expect(code(() => object.configureMap('hash', { maxEntries: 5 }))).toBe('BAD_PHASE')
    expect(code(() => object.load())).toBe('BAD_PHASE')
    await loading
    expect(object.program('count').info.id).toBeGreaterThan(0)
  })

  it('is configured before load(), used after it, and closed any number of times', () => {
    const object = kept(openNative('native_maps'))
    expect(code(() => object.map('hash'))).toBe('BAD_PHASE')
    expect(code(() => object.program('count'))).toBe('BAD_PHASE')
    object.load()
    expect(code(() => object.configureMap('hash', { maxEntries: 5 }))).toBe('BAD_PHASE')
    expect(code(() => object.setInitialValue('.bss', 0, u32(1)))).toBe('BAD_PHASE')
    expect(code(() => object.load())).toBe('BAD_PHASE')
    const map = object.map('hash')
    const program = object.program('count')
    object.close()
    object.close()
    expect(code(() => object.load())).toBe('CLOSED')
    expect(code(() => map.lookup(u32(1), new Uint8Array(8), 0))).toBe('CLOSED')
    expect(code(() => program.run({ ctx: u32(0) }))).toBe('CLOSED')
    expect(code(() => program.attach())).toBe('CLOSED')
  })

  it('leaves no file descriptor behind', () => {
    const cycle = () => {
      const object = loadNative('native_maps')
      object.map('mapped').memory()
      object.map('hash')
      object.program('count').run({ ctx: u32(0) })
      object.close()
      const refused = openNative('rejected')
      expect(code(() => refused.load())).toBe('VERIFIER_REJECTED')
      refused.close()
    }
    cycle()
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 50; i++) cycle()
    expect(readdirSync('/proc/self/fd').length).toBe(before)
  })
})

describeNative('what the native kernel says of a refused object', () => {
  it('has the verifier report, with instruction and source line', () => {
    const error = thrownBy(() => open(objectPath('test/rejected'), { kernel: 'native' }).load())
    expect(error).toMatchObject({
      code: 'VERIFIER_REJECTED',
      call: 'bpf_object__load',
      errno: 13,
      message: expect.stringContaining('(rejected.bpf.c:18)') as string,
      verifier: {
        program: 'careless',
        summary: "R0 invalid mem access 'map_value_or_null'",
        source: { file: 'rejected.bpf.c', text: 'return *value;' },
      },
    })
    expect((error as BpfError).verifier?.insn).toBeGreaterThan(0)
  })

  it('names the section that no program type answers to, and the nearest', () => {
    const error = thrownBy(() => kept(openNative('unknown_section')).load())
    expect(error).toMatchObject({ code: 'UNKNOWN_SECTION' })
    expect(error.message).toContain('kprobe/do_exit')
  })
})
