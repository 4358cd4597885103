/** The checkout as it is when the tests start: what is edited on the host meanwhile must not reach them in pieces. */
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../setup/project.mjs'
import { vmFolder } from './cache.mjs'

/** Large, and either not needed or not edited. node_modules is linked. */
const LEFT_OUT = new Set(['.cache', '.git', 'coverage', 'node_modules'])

/**
 * Copies the checkout, with what was built in it, and replaces the copy of an earlier run.
 *
 * @returns the folder of the copy
 */
export function takeSnapshot() {
  const copy = join(vmFolder, 'checkout')
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  for (const name of readdirSync(root).filter((entry) => !LEFT_OUT.has(entry))) {
    cpSync(join(root, name), join(copy, name), { recursive: true, preserveTimestamps: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}
