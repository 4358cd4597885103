/** What both kernels tell of programs, maps and links that are in them. */
import { expect, it } from 'vitest'
import { introspect } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { describeContract, openContract } from '../support/kernels.js'
import { SYSCALL_PROGRAMS } from '../support/require-kernel.js'

describeContract(
  'introspection',
  (tested) => {
    it('lists programs while they are loaded, by ascending id', () => {
      const kernel = tested.make()
      const look = introspect({ kernel: kernel.choice })
      const object = openContract(kernel).load()
      const [program] = Object.values(object.programs)
      const id = program?.id ?? 0
      const ids = look.programs().map((one) => one.id)
      expect(ids).toContain(id)
      expect(ids).toEqual(ids.toSorted((a, b) => a - b))
      expect(look.program(id)).toMatchObject({ id, type: program?.type, name: program?.name.slice(0, 15) })
      object.close()
      expect(look.programs().map((one) => one.id)).not.toContain(id)
      expect(code(() => look.program(id))).toBe('ENOENT')
    })

    it('tells of maps, and of the programs that use them', () => {
      const kernel = tested.make()
      const look = introspect({ kernel: kernel.choice })
      using object = openContract(kernel).load()
      const map = Object.values(object.maps)[0]
      expect(map === undefined ? [] : [look.map(map)]).toEqual(look.maps().filter(({ id }) => id === map?.id))
      const used = look.programs().find(({ mapIds }) => mapIds.length > 0)
      expect(look.mapUsers(used?.mapIds[0] ?? 0).programs).toContain(used?.id)
      expect(object.closed).toBe(false)
    })

    it('shows the instructions of a program', () => {
      const kernel = tested.make()
      using object = openContract(kernel).load()
      const look = introspect({ kernel: kernel.choice })
      for (const program of Object.values(object.programs)) {
        const listed = look.code(program).xlated ?? []
        expect(listed.at(0)?.insn).toBe(0)
        expect(listed.some(({ disasm }) => disasm === '(95) exit')).toBe(true)
        expect(listed.length * 8).toBeLessThanOrEqual(look.program(program).bytesXlated)
      }
    })

    it('counts runs while it is asked to', () => {
      const kernel = tested.make()
      using object = openContract(kernel).load()
      const look = introspect({ kernel: kernel.choice })
      const program = Object.values(object.programs).find(({ type }) => type === 'syscall')
      if (program === undefined) throw new Error('the contract object has programs of type syscall')
      const before = look.program(program).runCnt
      const run = () => program.run({ ctx: new Uint8Array(64) })
      run()
      const counter = look.countRunTime()
      run()
      run()
      counter.close()
      run()
      expect(look.program(program).runCnt - before).toBe(2n)
    })

    it('refuses what is no id', () => {
      const look = introspect({ kernel: tested.make().choice })
      expect(code(() => look.program(0))).toBe('BAD_VALUE')
      expect(code(() => look.map(1.5))).toBe('BAD_VALUE')
      expect(code(() => look.map(0xffffffff))).toBe('ENOENT')
      expect(code(() => look.link(0xffffffff))).toBe('ENOENT')
      expect(code(() => look.btf(0xffffffff))).toBe('ENOENT')
    })
  },
  SYSCALL_PROGRAMS,
)
