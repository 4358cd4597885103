import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { BpfError } from '../../lib/index.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { SYSCALL_PROGRAMS } from '../support/require-kernel.js'
import { describeContract, objectPath, type TestedKernel } from '../support/kernels.js'
import { isVirtual } from '../support/this-machine.js'

const image = readFileSync(objectPath('test/contract'))

function patched(offset: number, ...bytes: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(image)
  copy.set(bytes, offset)
  return copy
}

function opening(tested: TestedKernel, source: Uint8Array | string): BpfError {
  return caught(() => open(source, { kernel: tested.make().choice }).close())
}

describeContract('a bad object', (tested) => {
  it.each([
    ['a missing file', 'no-such-file.bpf.o', 'ENOENT', /no-such-file/],
    ['a folder', '.', 'EISDIR', /can't read/],
    ['a file without an end', '/dev/zero', 'EINVAL', /no regular file/],
    ['no bytes', new Uint8Array(0), 'BAD_OBJECT', /empty/],
    ['a truncated header', image.subarray(0, 40), 'BAD_OBJECT', /short|truncated/],
    [
      'a truncated file',
      image.subarray(0, image.length / 2),
      'BAD_OBJECT',
      /truncated|outside|beyond|end of the file/,
    ],
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
    // A bounded, fixed walk over the headers, symbols and BTF: every 7th byte, one bit each. What opens an object is the same in a
    // virtual machine, only slow.
    for (let offset = 0; offset < image.length; offset += isVirtual ? 71 : 7) {
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

describeContract('an object without type information', (tested) => {
  it('is refused where its maps are defined by types', () => {
    const error = caught(() => open(objectPath('test/no_btf_map'), { kernel: tested.make().choice }))
    expect(error.code).toBe('NO_BTF')
    expect(error.message).toMatch(/Compile with -g/)
  })
})

describeContract(
  'an object that needs no type information',
  (tested) => {
    it('is loaded and run where nothing in it needs types, but has no typed variables', () => {
      using object = open(objectPath('test/no_btf'), { kernel: tested.make().choice }).load()
      expect(object.program('count').run({ ctx: new Uint8Array(8) }).retval).toBe(7)
      expect(object.map('.bss').get(new Uint8Array(4))).toEqual(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))
      expect(() => object.bss['runs']).toThrow(/Compile the object with clang -g/)
      expect(code(() => object.map('.bss').get(0))).toBe('BAD_VALUE')
    })
  },
  SYSCALL_PROGRAMS,
)

describeContract('a program that no kernel takes', (tested) => {
  function loading(program: string): BpfError {
    const spec = open(objectPath('test/refused'), { kernel: tested.make().choice })
    const settings = spec.programs[program]
    if (settings !== undefined) settings.autoload = true
    return caught(() => spec.load().attach())
  }

  it('names an unknown section and the nearest known one', () => {
    const error = loading('unknown_section')
    expect(error.code).toBe('UNKNOWN_SECTION')
    expect(error.message).toMatch(/SEC\("sysfall\/typo"\).*Did you mean/)
  })

  it('has the verifier report of a program without an end', () => {
    const error = loading('no_exit')
    expect(error).toMatchObject({ code: 'VERIFIER_REJECTED', errno: 22 })
    expect(error.verifier).toMatchObject({ program: 'no_exit', summary: 'last insn is not an exit or jmp' })
  })

  it('has the verifier report of a helper that its type lacks', () => {
    const { code: name, verifier } = loading('wrong_helper')
    expect(name).toBe('VERIFIER_REJECTED')
    expect(verifier).toMatchObject({ program: 'wrong_helper', insn: 5 })
    expect(verifier?.summary).toMatch(/(cannot use helper|unknown func|invalid func) \S+#166$/)
    expect(verifier?.log).toMatch(/\(85\) call \S+#166/)
  })

  it('names a tracepoint that does not exist', () => {
    const error = loading('no_such_tracepoint')
    expect(error.code).toBe('ESRCH')
    expect(error.message).toContain("'sched_process_exeg'")
  })
})

function caught(action: () => unknown): BpfError {
  try {
    action()
  } catch (error) {
    if (error instanceof BpfError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
