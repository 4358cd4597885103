/**
 * Set-up of each test file when the addon has sanitizers: LeakSanitizer searches as a process ends, but vitest kills its processes.
 */
import { afterAll } from 'vitest'
import { loadAddon } from '../../lib/native/addon.js'

/** The search stops all threads and reads all memory: on a machine with other work, minutes. */
const LIMIT_MS = 300_000

afterAll(() => {
  const load = loadAddon()
  if (!('addon' in load)) throw new Error(load.reason)
  const findLeaks: unknown = Reflect.get(load.addon, 'findLeaks')
  if (typeof findLeaks !== 'function')
    throw new Error('this addon has no sanitizers: run npm run test:sanitized')
  findLeaks()
}, LIMIT_MS)
