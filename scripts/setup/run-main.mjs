/** Going on as another program, in the same process. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './project.mjs'
import { say } from './run.mjs'

/** Imports a built program as if Node had been started with it: `process.argv[1]` is its path, the arguments stay. */
export async function runMain(program) {
  const path = join(root, program)
  if (!existsSync(path)) {
    say(`${program} isn't there: its source is missing from this checkout`)
    process.exitCode = 1
    return
  }
  process.argv[1] = path
  process.setSourceMapsEnabled(true)
  await import(pathToFileURL(path).href)
}
