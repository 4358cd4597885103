import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { BpfError } from '../../lib/index.js'
import { open } from '../../lib/open.js'
import { describeContract, objectPath, type TestedKernel } from '../support/kernels.js'

const image = readFileSync(objectPath('test/contract'))

function patched(offset: number, ...bytes: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(image)
  copy.set(bytes, offset)
  return copy
}

function opening(tested: TestedKernel, source: Uint8Array | string): BpfError {
  try {
    open(source, { kernel: tested.make().choice }).close()
  } catch (error) {
    if (error instanceof BpfError) return error
    throw error
  }
  throw new Error('the object was opened')
}

describeContract('a bad object', (tested) => {
  it.each([
    ['a missing file', 'no-such-file.bpf.o', 'ENOENT', /no-such-file/],
    ['a folder', '.', 'EISDIR', /can't read/],
    ['no bytes', new Uint8Array(0), 'BAD_OBJECT', /empty/],
    ['a truncated header', image.subarray(0, 40), 'BAD_OBJECT', /short|truncated/],
    ['a truncated file', image.subarray(0, image.length / 2), 'BAD_OBJECT', /truncated|outside|beyond|end of the file/],
    ['a text', new TextEncoder().encode('#include <bpf.h>\n'.repeat(20)), 'BAD_OBJECT', /not an ELF/],
    ['a 32-bit object', patched(4, 1), 'BAD_OBJECT', /32-bit/],
    ['a big-endian object', patched(5, 2), 'BAD_OBJECT', /big-endian/],
    ['an x86-64 object', patched(18, 62, 0), 'BAD_OBJECT', /x86-64/],
    ['an executable', patched(16, 2, 0), 'BAD_OBJECT', /relocatable/],
  ])('is refused: %s', (_what, source, code, message) => {
    const error = opening(tested, source)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
  })

  it('is refused or used, whichever bit is wrong, and never crashes anything', () => {
    const { choice } = tested.make()
    let refused = 0
    // A bounded, fixed walk over the headers, symbols and BTF: every 7th byte, one bit each.
    for (let offset = 0; offset < image.length; offset += 7) {
      const bytes = patched(offset, (image[offset] ?? 0) ^ (1 << (offset % 8)))
      try {
        open(bytes, { kernel: choice }).close()
      } catch (error) {
        if (!(error instanceof BpfError)) throw error
        refused++
      }
    }
    expect(refused).toBeGreaterThan(0)
  })

  it('is refused when it is no bytes at all', () => {
    expect(() => open(null as unknown as string)).toThrow(/takes a path/)
    expect(() => open(42 as unknown as string)).toThrow(/not number/)
  })
})
