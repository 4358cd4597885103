/** Both verifiers, asked the same. */
import { describe, expect, it } from 'vitest'
import { verify } from '../../lib/index.js'
import { describeNative, describeSince, nativeIsAllowed, SYSCALL_PROGRAMS } from '../support/require-kernel.js'

const KERNELS = nativeIsAllowed() ? (['native', 'fallback'] as const) : (['fallback'] as const)
const object = (name: string): string => new URL(`../../bpf/test/${name}.bpf.o`, import.meta.url).pathname

describeNative('verify() by Linux and by the fallback', () => {
  it.each([
    ['rejected', 'careless'],
    ['refused', 'no_exit'],
    ['refused', 'wrong_helper'],
  ])('explains %s, %s with the same place and hint', (file, program) => {
    const [linux] = verify(object(file), { program, kernel: 'native' })
    const [fallback] = verify(object(file), { program })
    expect(fallback).toMatchObject({ accepted: false, errno: linux?.errno ?? 0 })
    expect(fallback?.explanation?.source).toEqual(linux?.explanation?.source)
    expect(fallback?.explanation?.insn).toBe(linux?.explanation?.insn)
    expect(fallback?.explanation?.hint).toBe(linux?.explanation?.hint)
  })

})

describeSince(SYSCALL_PROGRAMS)('verify() by Linux', () => {
  it('counts the instructions of an accepted program', () => {
    const [linux] = verify(object('contract'), { program: 'bump', kernel: 'native' })
    expect(linux).toMatchObject({ accepted: true, errno: 0, reason: undefined, insnsProcessed: 27 })
    expect(linux?.milliseconds).toBeGreaterThan(0)
  })

  it('gives a log on demand', () => {
    const [linux] = verify(object('contract'), { program: 'bump', kernel: 'native', logLevel: 2 })
    expect(linux?.log).toMatch(/^28: \(95\) exit$/m)
  })

})

describe('verify()', () => {
  it.each(KERNELS)(
    'takes maps that their user will size or pin as they are: %s',
    (kernel) => {
      const [verdict] = verify(object('unsized_maps'), { kernel })
      expect(verdict).toMatchObject({ accepted: true, reason: undefined })
    },
  )
})
