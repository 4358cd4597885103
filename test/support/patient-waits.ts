/** Where everything takes longer (vitest.config.ts): `vi.waitFor()`, which has no setting for it, waits longer than its second. */
import { vi } from 'vitest'
import { patience } from './patience.js'

const { waitFor } = vi
vi.waitFor = (callback, options = patience(1000)) =>
  waitFor(callback, typeof options === 'number' ? options : { timeout: patience(1000), ...options })
