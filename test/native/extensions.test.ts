/** Extensions (freplace) by verify(): both kernels are told what they extend, and say the same. */
import { describe, expect, it } from 'vitest'
import { verify, type ProgramVerdict, type VerifyOptions } from '../../lib/index.js'
import { requires } from '../support/require-kernel.js'

const object = new URL('../../bpf/test/tracing.bpf.o', import.meta.url).pathname
const judge = (options: VerifyOptions): ProgramVerdict | undefined =>
  verify(object, { program: 'replacement', ...options })[0]
const target = { object, program: 'with_replaceable' }

describe('verify() of extensions', () => {
  it('asks the fallback about one by its target', () => {
    expect(judge({ targets: { replacement: target } })).toMatchObject({ accepted: true, type: 'ext' })
  })

  it('refuses one without a target by name', () => {
    expect(judge({})).toMatchObject({ accepted: false, reason: expect.stringMatching(/^UNSUPPORTED: .*target/) })
  })

  it('takes the function from the option, and says what is not there', () => {
    const verdict = judge({ targets: { replacement: { ...target, name: 'gone' } } })
    expect(verdict).toMatchObject({ accepted: false, reason: expect.stringContaining("no function 'gone'") })
  })

  it('extends the program itself', () => {
    const verdict = judge({ targets: { replacement: { ...target, name: 'with_replaceable' } } })
    expect(verdict).toMatchObject({ accepted: true })
  })

  it('says which target is none', () => {
    expect(() => judge({ targets: { replacement: { object } } })).toThrow(/several programs/)
    expect(() => judge({ targets: { gone: target } })).toThrow(/no program 'gone'/)
    expect(() => judge({ targets: { with_replaceable: target } })).toThrow(/no extension/)
  })

  it('has no attach type of its own', () => {
    const verdict = judge({ targets: { replacement: target }, attachType: 'cgroup_inet_egress' })
    expect(verdict).toMatchObject({ accepted: false, errno: 22 })
  })

  it('refuses one whose target is refused', () => {
    const careless = new URL('../../bpf/test/rejected.bpf.o', import.meta.url).pathname
    const verdict = judge({ targets: { replacement: { object: careless, program: 'careless' } } })
    expect(verdict).toMatchObject({
      accepted: false,
      reason: expect.stringMatching(/^the program that it extends is refused: R0 invalid mem access/),
    })
  })
})

requires({ since: '6.12', machine: true })('verify() of extensions by Linux', () => {
  it.each([
    ['replaceable', true],
    ['with_replaceable', true],
    ['on_writable', false],
  ])('says of %s what the fallback says', (name, accepted) => {
    const targets = { replacement: { ...target, name } }
    const [linux, fallback] = (['native', 'fallback'] as const).map((kernel) => judge({ kernel, targets }))
    expect([linux?.accepted, fallback?.accepted]).toEqual([accepted, accepted])
    expect(fallback?.insnsProcessed).toBe(linux?.insnsProcessed)
  })
})
