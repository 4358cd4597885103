/**
 * What kernel lockdown takes away, and what is said of it: `npm run test:vm -- --append lockdown=confidentiality test/native/lockdown.test.ts`. Once it
 * is on, it stays on; so no other test can run in that machine.
 */
import { describe, expect, it } from 'vitest'
import { explainPrivileges, open } from '../../lib/index.js'
import { securityPolicy } from '../../lib/native/host.js'
import { objectPath } from '../support/kernels.js'
import { thrownBy } from '../support/native.js'

const LEVEL = 'confidentiality'
const isLocked = securityPolicy().lockdown === LEVEL

function openOnly(program: string) {
  const spec = open(objectPath('test/conditions'), { kernel: 'native' })
  for (const [name, settings] of Object.entries(spec.programs)) settings.autoload = name === program
  for (const map of Object.values(spec.maps)) map.pinPath = undefined
  return spec
}

describe.runIf(isLocked)(`kernel lockdown [runs with lockdown=${LEVEL}]`, () => {
  const { programs, obstacles } = explainPrivileges(objectPath('test/conditions'))
  const of = (name: string) => programs.find((one) => one.name === name)

  it.each(['reads_kernel', 'writes_user'])('refuses helpers, as is said before: %s', (name) => {
    expect(of(name)?.loads).toMatchObject({ answer: 'no', because: expect.stringContaining(`kernel lockdown (${LEVEL})`) as string })
    expect(thrownBy(() => openOnly(name).load()).message).toContain(`kernel lockdown (${LEVEL})`)
  })

  it.each(['on_open', 'on_fork'])('refuses places, as is said before: %s', (name) => {
    expect(of(name)?.attaches).toMatchObject({ answer: 'no', because: expect.stringContaining(`kernel lockdown (${LEVEL})`) as string })
    using object = openOnly(name).load()
    expect(thrownBy(() => object.program(name).attach()).message).toContain(`kernel lockdown (${LEVEL})`)
  })

  it('leaves the rest alone', () => {
    expect(of('for_everybody')).toMatchObject({ loads: { answer: 'yes' }, attaches: { answer: 'yes' } })
    openOnly('for_everybody').load().close()
    expect(obstacles.map(({ remedy }) => remedy)).toContainEqual(expect.stringContaining('Secure Boot'))
  })
})
