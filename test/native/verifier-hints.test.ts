/** The common mistakes: what the verifiers say of them is explained alike, and says what to do. */
import { describe, expect, it } from 'vitest'
import { verify, type ProgramVerdict } from '../../lib/index.js'
import { describeNative, describeSince } from '../support/require-kernel.js'
import { linuxIsAtLeast } from '../support/this-machine.js'

const object = new URL('../../bpf/test/hints.bpf.o', import.meta.url).pathname

const MISTAKES = [
  ['no_null_check', '*value = 1;', /r\d may be NULL here/],
  ['no_packet_check', 'return data[12] == 8 ? XDP_DROP : XDP_PASS;', /if \(\(void \*\)\(header \+ 1\) > data_end\)/],
  ['no_bound', 'value[index] += 1;', /index &= SIZE - 1/],
  ['not_released', '}', /bpf_ringbuf_submit\(\) or bpf_ringbuf_discard\(\)/],
  ['no_end', 'while (*value != 7)', /Give it a constant bound/],
  ['wrong_helper', 'bpf_sys_close(0);', /bpf_sys_close\(\) is not for programs of type xdp/],
] as const

function refusal(program: string, kernel: 'native' | 'fallback'): ProgramVerdict['explanation'] {
  const [verdict] = verify(object, { program, kernel })
  expect(verdict?.accepted).toBe(false)
  return verdict?.explanation
}

describe('hints of the fallback kernel', () => {
  it.each(MISTAKES)('%s', (program, line, hint) => {
    const explanation = refusal(program, 'fallback')
    expect(explanation?.source?.text).toBe(line)
    expect(explanation?.source?.column).toBeGreaterThan(0)
    expect(explanation?.hint).toMatch(hint)
  })
})

// Logs of 5.10 and 6.1 have another format, and other words.
describeNative('hints of Linux', () => {
  it.each(MISTAKES)('%s', (program, line, hint) => {
    const linux = refusal(program, 'native')
    expect(linux?.hint).toMatch(hint)
    expect(linux?.source?.text).toBe(line)
    expect(linux?.source?.column).toBeGreaterThan(0)
  })
})

// Since 7.0 Linux finds loops earlier.
const explainedAlike = MISTAKES.filter(([program]) => program !== 'no_end' || !linuxIsAtLeast('7.0'))

describeSince('6.12')('Linux and the fallback kernel', () => {
  it.each(explainedAlike)('explain alike: %s', (program) => {
    const linux = refusal(program, 'native')
    const fallback = refusal(program, 'fallback')
    expect(linux?.source).toEqual(fallback?.source)
    expect(linux?.insn).toBe(fallback?.insn)
    // Forks that are left behind aren't part of Linux's log once they have turned out well.
    expect(fallback?.path).toEqual(expect.arrayContaining([...(linux?.path ?? [])]))
  })
})
