/** The checkout as it is when the tests start: what is edited on the host meanwhile must not reach them in pieces. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../setup/project.mjs'
import { vmFolder } from './cache.mjs'

/** Large, and either not needed or not edited. node_modules is linked. */
const LEFT_OUT = new Set(['.cache', '.git', 'coverage', 'node_modules'])

/** Copies are named for the process that made them: two runs may go on at once. */
const COPY = /^checkout-(\d+)$/

/**
 * Copies the checkout, with what was built in it. Copies whose run is over, or was killed, go.
 *
 * @returns the folder of the copy
 */
export function takeSnapshot() {
  removeOldCopies()
  const copy = join(vmFolder, `checkout-${process.pid}`)
  mkdirSync(copy, { recursive: true })
  for (const name of readdirSync(root).filter((entry) => !LEFT_OUT.has(entry))) {
    cpSync(join(root, name), join(copy, name), { recursive: true, preserveTimestamps: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/**
 * Has vitest compile what the tests import, into a cache in the copy (vitest.config.ts): a machine, whose processor is emulated,
 * would need minutes for that. It fails nowhere: what isn't there is compiled later.
 *
 * @param copy         from {@link takeSnapshot}
 * @param tests        arguments of vitest
 * @param environment  of the tests
 */
export function warmUp(copy, tests, environment) {
  const vitest = join(copy, 'node_modules/vitest/vitest.mjs')
  spawnSync(process.execPath, [vitest, 'list', ...tests], {
    cwd: copy,
    env: { ...process.env, ...environment, VM: '1' },
    stdio: 'ignore',
  })
}

function removeOldCopies() {
  mkdirSync(vmFolder, { recursive: true })
  for (const name of readdirSync(vmFolder)) {
    const pid = COPY.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(vmFolder, name), { recursive: true, force: true })
  }
}
