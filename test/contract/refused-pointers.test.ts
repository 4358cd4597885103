/** Wrong steps with contexts, maps and values: the two kernels refuse the same programs, with the same words. */
import { expect, it } from 'vitest'
import { BpfError } from '../../lib/index.js'
import { open } from '../../lib/open.js'
import type { OpenObject } from '../../lib/open-object.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath, type TestKernel } from '../support/kernels.js'
import { linuxIsAtLeast } from '../support/this-machine.js'

/** Words of the log changed in 6.x; look-ups in arrays by constant keys need no check since 6.14. */
const SINCE = '6.12'

/** With nothing switched on but the programs of that name. */
function openWith({ choice }: TestKernel, ...programs: readonly string[]): OpenObject {
  const spec = open(objectPath('test/pointers'), { kernel: choice })
  for (const [name, settings] of Object.entries(spec.programs)) settings.autoload = programs.includes(name)
  return spec
}

function refusal(kernel: TestKernel, program: string): BpfError {
  try {
    openWith(kernel, program).load().close()
  } catch (error) {
    if (error instanceof BpfError) return error
    throw error
  }
  throw new Error(`${program} was loaded`)
}

const words = (...numbers: readonly bigint[]): Uint8Array =>
  new Uint8Array(BigUint64Array.from(numbers).buffer)

describeContract(
  'a program that is refused at load',
  (tested) => {
    it.each([
      ['update_read_only', 13, /^write into map forbidden$/],
      ['store_read_only', 13, /^write into map forbidden, value_size=8 off=0 size=8$/],
      ['load_write_only', 13, /^read from map forbidden, value_size=8 off=0 size=8$/],
      ['behind_value', 13, /^R\d min value is outside of the allowed memory range$/],
      ['before_value', 13, /^R\d min value is outside of the allowed memory range$/],
      ['unchecked', 13, /^R0 invalid mem access 'map_value_or_null'$/],
      ['times_three', 13, /^R\d pointer arithmetic with \*= operator prohibited$/],
      ['output_to_array', 22, /^cannot pass map_type 2 into func bpf_ringbuf_output#130$/],
      ['look_up_ring', 13, /^invalid zero-sized read$/],
      ['per_cpu_of_hash', 22, /^cannot pass map_type 1 into func bpf_map_lookup_percpu_elem#195$/],
      ['reserve_variable', 13, /^R2 is not a known constant'$/],
      ['follow_number', 13, /^R\d invalid mem access 'scalar'$/],
      ['follow_raw_argument', 13, /^R\d invalid mem access 'scalar'$/],
      [
        'sleep_in_tracepoint',
        22,
        /^(helper call might sleep in a non-sleepable prog|sleepable helper bpf_copy_from_user#148 in non-sleepable prog)$/,
      ],
      ['fourth_of_three', 13, /^invalid bpf_context access off=24 size=8$/],
      ['half_argument', 13, /^invalid bpf_context access off=0 size=4$/],
      ['store_argument', 13, /^invalid bpf_context access off=0 size=8$/],
      ['beyond_all_arguments', 13, /^invalid bpf_context access off=96 size=8$/],
      ['atomic_context', 13, /^BPF_ATOMIC stores into R\d ctx is not allowed$/],
      [
        'variable_step',
        22,
        /^math between map_value pointer and register with unbounded min value is not allowed$/,
      ],
      // Linux 6.12 says the second.
      [
        'keep_reserved',
        22,
        /^(BPF_EXIT instruction in main prog would lead to reference leak|Unreleased reference id=\d+ alloc_insn=\d+)$/,
      ],
      [
        'callback_answers_two',
        22,
        /^At callback return the register R0 has smin=2 smax=2 should have been in \[0, 1\]$/,
      ],
    ])('%s', (program, errno, summary) => {
      const error = refusal(tested.make(), program)
      expect(error).toMatchObject({ code: 'VERIFIER_REJECTED', errno })
      expect(error.verifier?.summary).toMatch(summary)
      expect(error.verifier?.program).toBe(program)
    })

    it('misaligned_context, until Linux 7', () => {
      const kernel = tested.make()
      if (tested.name === 'native' && linuxIsAtLeast('7.0')) {
        openWith(kernel, 'misaligned_context').load().close()
        return
      }
      const error = refusal(kernel, 'misaligned_context')
      expect(error).toMatchObject({ code: 'VERIFIER_REJECTED', errno: 13 })
      expect(error.verifier?.summary).toBe('invalid bpf_context access off=4 size=8')
    })
  },
  SINCE,
)

describeContract(
  'a program that is near to what is refused, and right',
  (tested) => {
    it('is loaded and run', () => {
      const programs = ['context_in_function', 'checked', 'constant_by_comparison', 'closed_branch']
      using object = openWith(tested.make(), ...programs).load()
      const run = (program: string, ...input: readonly bigint[]): number =>
        object.program(program).run({ ctx: words(...input) }).retval
      expect(run('context_in_function', 3n, 4n)).toBe(4)
      object.map<number, bigint>('pairs').set(1, 5n)
      expect(run('checked', 1n)).toBe(0)
      expect(object.map<number, bigint>('values').get(1)).toBe(1n)
      expect(object.map<number, bigint>('results').get(1)).toBe(3n)
      object.map<number, bigint>('pairs').set(1, 9n)
      expect(run('checked', 1n)).toBe(1)
      expect(run('constant_by_comparison', 16n)).toBe(0)
      expect(run('constant_by_comparison', 17n)).toBe(1)
    })

    it.each([
      [0n, 0n, 0n, 0n],
      [0n, 1n, -17n, 0n],
      [0n, 2n, 0n, -2n],
      [0n, 3n, -22n, -22n],
      [0n, 4n, -22n, -22n],
      [0n, 5n, -17n, -22n],
      [0n, 8n, -22n, -22n],
      [0n, 1n << 32n, -22n, -22n],
      [9n, 0n, -7n, 0n],
      [9n, 1n, -7n, 0n],
      [9n, 3n, -22n, -22n],
      [9n, 4n, -7n, -22n],
    ])('updates key %s with flags %s: the array answers %s, the hash %s', (key, flags, array, hash) => {
      using object = openWith(tested.make(), 'update_with').load()
      const { ctx = new Uint8Array(0) } = object
        .program('update_with')
        .run({ ctx: words(key, flags, 0n, 0n) })
      expect([...new BigInt64Array(ctx.slice().buffer)].slice(2)).toEqual([array, hash])
    })

    it('follows what it reads through a helper', async () => {
      const kernel = tested.make()
      using object = openWith(kernel, 'read_through_helper').load()
      using _links = object.attach()
      await kernel.runProcess()
      expect(object.bss['out']).toBeGreaterThan(0n)
    })

    it('is attached only where its arguments are', () => {
      using object = openWith(tested.make(), 'more_than_it_has').load()
      expect(code(() => object.program('more_than_it_has').attach())).toBe('EINVAL')
    })
  },
  SINCE,
)

describeContract(
  'the context of a run',
  (tested) => {
    const run = (options: unknown): string | undefined => {
      using object = openWith(tested.make(), 'context_in_function').load()
      return code(() => object.program('context_in_function').run(options as { ctx: Uint8Array }))
    }

    it('holds all that the program accesses, or nothing runs', () => {
      expect(run({ ctx: new Uint8Array(15) })).toBe('EINVAL')
      expect(run({})).toBe('EINVAL')
      expect(run({ ctx: new Uint8Array(16) })).toBeUndefined()
      expect(run({ ctx: new Uint8Array(65_535) })).toBeUndefined()
      expect(run({ ctx: new Uint8Array(65_536) })).toBe('EINVAL')
    })

    it('is bytes, or what the parameter of the program says', () => {
      expect(run({ ctx: 'hello' })).toBe('BAD_VALUE')
      expect(run({ ctx: { a: 1 } })).toBe('BAD_VALUE')
      expect(run({ ctx: [1, 'x'] })).toBe('BAD_VALUE')
      expect(run({ ctx: [1, 2n] })).toBeUndefined()
      expect(run({ ctx: new Uint8Array(16), repeat: 'x' })).toBe('BAD_VALUE')
    })

    it('goes with one run and no data, given or not', () => {
      expect(run({ ctx: new Uint8Array(16), repeat: 1, data: new Uint8Array(0) })).toBeUndefined()
      expect(run({ ctx: new Uint8Array(16), repeat: 2 })).toBe('EINVAL')
      expect(run({ ctx: new Uint8Array(16), data: new Uint8Array(1) })).toBe('EINVAL')
    })
  },
  SINCE,
)

describeContract('an object that is closed while it is being loaded', (tested) => {
  it('is not loaded', async () => {
    const spec = openWith(tested.make())
    const loading = spec.loadAsync()
    spec.close()
    await expect(loading).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
