import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { FallbackOptions } from '../../lib/fallback/index.js'
import { open } from '../../lib/open.js'
import type { BpfObject } from '../../lib/object.js'
import { describeContract, objectPath } from '../support/kernels.js'

/** What tells a simulated kernel of the queues and numbers that Linux has for each CPU. */
const TWO_CPUS: FallbackOptions = {
  cpus: 2,
  variables: {
    runqueues: [{ cpu: 0 }, { cpu: 1 }],
    cpu_number: [Uint8Array.of(0, 0, 0, 0), Uint8Array.of(1, 0, 0, 0)],
    schedule: 0xffffffff81234560n,
  },
}

/** Addresses of functions, and of variables where Linux was built to keep them (CONFIG_KALLSYMS_ALL). */
const symbols = readFileSync('/proc/kallsyms', 'utf8')
const keepsVariables = / runqueues$/m.test(symbols)

describeContract(
  'variables of the kernel',
  (tested) => {
    const isJudge = tested.name === 'fallback' || keepsVariables

    function load(): BpfObject {
      const spec = open(objectPath('test/kernel_variables'), { kernel: tested.make(TWO_CPUS).choice })
      spec.programs['ask']!.autoload = isJudge
      return spec.load()
    }

    function ask(object: BpfObject, cpu: number): Readonly<Record<string, number>> {
      const given = new Uint8Array(20)
      new DataView(given.buffer).setUint32(0, cpu, true)
      const { ctx = given } = object.program('ask').run({ ctx: given })
      const view = new DataView(ctx.buffer, ctx.byteOffset)
      return {
        exists: view.getUint32(4, true),
        theirs: view.getInt32(8, true),
        mine: view.getInt32(12, true),
        number: view.getInt32(16, true),
      }
    }

    it.runIf(isJudge)('are there for each CPU', () => {
      using object = load()
      for (const cpu of [0, 1]) {
        const answers = ask(object, cpu)
        expect(answers).toMatchObject({ exists: 1, theirs: cpu })
        expect([0, 1]).toContain(answers['mine'])
        // Linux 6.3 to 6.14 have the number elsewhere.
        expect([cpu, -1]).toContain(answers['number'])
      }
      expect(ask(object, 8192)).toMatchObject({ exists: 0, theirs: 0, number: -1 })
    })

    it('have addresses; null where there are none, and the program does not insist', () => {
      using object = load()
      const { ctx = new Uint8Array() } = object.program('ask_addresses').run({ ctx: new Uint8Array(16) })
      const view = new DataView(ctx.buffer, ctx.byteOffset)
      const known = symbols.match(/^([0-9a-f]+) . schedule$/m)?.[1] ?? '0'
      const address = tested.name === 'native' ? BigInt(`0x${known}`) : 0xffffffff81234560n
      expect([view.getBigUint64(0, true), view.getBigUint64(8, true)]).toEqual([address, 2n])
    })
  },
  '6.1',
)
