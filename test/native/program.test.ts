import { afterEach, beforeEach, expect, it } from 'vitest'
import type { KernelObject } from '../../lib/kernel.js'
import { code } from '../support/errors.js'
import { loadNative, openNative, readU32, u32 } from '../support/native.js'
import { describeNative, describeSince, SYSCALL_PROGRAMS } from '../support/require-kernel.js'

const XDP_DROP = 1
const XDP_PASS = 2

let object: KernelObject
beforeEach(() => {
  object = loadNative('native_maps')
})
afterEach(() => object.close())

describeSince(SYSCALL_PROGRAMS)('a native program', () => {
  it('tells what the kernel knows of it', () => {
    const { id, tag, ...info } = object.program('count').info
    expect(id).toBeGreaterThan(0)
    expect(tag).toMatch(/^[0-9a-f]{16}$/)
    expect(info).toEqual({ name: 'count', section: 'syscall', type: 31, expectedAttachType: 0, log: '' })
  })

  it('gives the context back, where it changes it', () => {
    const ctx = u32(0)
    const result = object.program('count').run({ ctx })
    expect(result.retval).toBe(1)
    expect(readU32(result.ctx)).toBe(1)
    expect(readU32(ctx)).toBe(0)
  })

  it('says what does not suit its type', () => {
    expect(() => object.program('packet').run({ data: new Uint8Array(3) })).toThrow(/EINVAL.*14 bytes/)
    expect(code(() => object.program('packet').run({ data: 'x' as unknown as Uint8Array }))).toBe('BAD_VALUE')
    expect(code(() => object.program('packet').run({ data: new Uint8Array(64), repeat: -1 }))).toBe('BAD_VALUE')
    expect(code(() => object.program('count').run({ ctx: u32(0), data: new Uint8Array(64) }))).toBe('EINVAL')
  })

  it('says why the name of its section does not attach it', () => {
    expect(() => object.program('packet').attach()).toThrow(/network interface/)
    expect(code(() => object.program('count').attach())).toBe('UNSUPPORTED')
  })
})

describeNative('a native program for packets', () => {
  it('runs on a packet and gives it back', () => {
    const packet = object.program('packet')
    const result = packet.run({ data: new Uint8Array(64) })
    expect(result.retval).toBe(XDP_PASS)
    expect(result.data).toHaveLength(64)
    expect(result.data?.[1]).toBe(0x42)
    expect(packet.run({ data: new Uint8Array(64).fill(0xff), repeat: 100 }).retval).toBe(XDP_DROP)
  })
})

describeNative('a native link', () => {
  it('attaches by the section name, outlives its object, and detaches once', () => {
    const attachable = openNative('native_maps')
    attachable.configureProgram('count', { autoload: false })
    attachable.configureProgram('spare', { autoload: true })
    attachable.load()
    const link = attachable.program('spare').attach()
    expect(link.target).toBe('raw_tp/sys_enter')
    expect(link.id).toBeGreaterThan(0)
    attachable.close()
    link.close()
    link.close()
  })
})
