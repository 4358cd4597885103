import { expect, it } from 'vitest'
import { open } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { addonHas, describeSince } from '../support/require-kernel.js'

const ENOMEM = -12
const built = addonHas('programStreams')

/** The object holds `syscall` programs: Linux 5.14. */
const describeNative = describeSince('5.14')

describeNative('program streams', () => {
  it.skipIf(built)('are refused by an addon whose libbpf is too old, which says so', () => {
    using object = open(objectPath('test/readers'), { kernel: 'native' }).load()
    expect(code(() => object.program('print').stream('stdout'))).toBe('UNSUPPORTED')
  })

  it('are stdout and stderr', () => {
    using object = open(objectPath('test/readers'), { kernel: 'native' }).load()
    expect(code(() => object.program('print').stream('stdin' as 'stdout'))).toBe('BAD_VALUE')
  })
})

describeSince('6.17')('program streams with libbpf 1.6', () => {
  it.runIf(built)('give what the program has written, once', ({ skip }) => {
    using object = open(objectPath('test/program_stream'), { kernel: 'native' }).load()
    const program = object.program('say')
    const say = (stream: number, number: number): number =>
      program.run({ ctx: new Uint8Array(BigUint64Array.of(BigInt(stream), BigInt(number)).buffer) }).retval | 0
    const error = say(1, 42)
    expect(program.stream('stderr')).toBe('')
    // The kernel's allocator for such places needs a CPU with cmpxchg16b, which some virtual machines hide.
    if (error === ENOMEM) skip('this kernel has no memory for streams')
    expect(error).toBeGreaterThanOrEqual(0)
    say(2, 7)
    say(1, 43)
    expect(program.stream('stdout')).toBe('number 42\nnumber 43\n')
    expect(program.stream('stderr')).toBe('number 7\n')
    expect(program.stream('stdout')).toBe('')
  })
})
