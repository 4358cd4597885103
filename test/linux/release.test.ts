import { expect, it } from 'vitest'
import { isOlderThan } from '../../lib/linux/release.js'

it.each([
  ['5.10.0-46-cloud-amd64', '5.14', true],
  ['5.9.16', '5.10', true],
  ['4.19.0', '5.8', true],
  ['5.14.0-427.el9', '5.14', false],
  ['6.1.0', '5.14', false],
  ['6.12+', '6.2', false],
  ['7.2-rc1', '7.3', true],
])('Linux %s comes before %s: %s', (release, version, expected) => {
  expect(isOlderThan(release, version)).toBe(expected)
})
