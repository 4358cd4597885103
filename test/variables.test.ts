/** How variables reach their section. What they are worth to programs: test/contract/settings.test.ts. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BpfError } from '../lib/errors.js'
import { parseObjectFile } from '../lib/object-file/parse.js'
import { createVariables } from '../lib/variables.js'
import { code } from './support/errors.js'
import { objectPath } from './support/kernels.js'

/** `struct limits { u32 low, high } limits` and `u64 sum`, before they are loaded. */
function config() {
  const file = parseObjectFile(readFileSync(objectPath('test/settings')))
  const definition = file.maps.find(({ name }) => name === '.data.config')
  if (definition?.data === undefined) throw new Error('no such section')
  const bytes = definition.data.initial.slice()
  const written: { readonly offset: number; readonly bytes: readonly number[] }[] = []
  const variables = createVariables(file, definition, {
    bytes: () => bytes,
    written: (offset, part) => written.push({ offset, bytes: [...part] }),
    readOnlyBecause: '',
  })
  const offsetOf = (name: string): number => {
    const variable = definition.data?.variables.find((candidate) => candidate.name === name)
    if (variable === undefined) throw new BpfError('NOT_FOUND', name)
    return variable.offset
  }
  return { variables, written, offsetOf }
}

describe('a variable', () => {
  it('hands on its own bytes, and no others: a section may have hundreds of megabytes', () => {
    const { variables, written, offsetOf } = config()
    variables['sum'] = 0x0102n
    variables['limits'] = { low: 5, high: 6 }
    expect(written).toEqual([
      { offset: offsetOf('sum'), bytes: [2, 1, 0, 0, 0, 0, 0, 0] },
      { offset: offsetOf('limits'), bytes: [5, 0, 0, 0, 6, 0, 0, 0] },
    ])
  })

  it('hands on nothing of a value that is refused', () => {
    const { variables, written } = config()
    expect(code(() => (variables['limits'] = { low: 5, high: 'six' }))).toBe('BAD_VALUE')
    expect(written).toEqual([])
    expect(variables['limits']).toEqual({ low: 3, high: 30 })
  })
})
