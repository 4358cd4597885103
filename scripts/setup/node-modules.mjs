/** Step: the npm packages of package-lock.json. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, stat } from './project.mjs'
import { npmCommand, runTool, say, seconds } from './run.mjs'

/** npm's own record of what it put into node_modules. */
const installedFile = 'node_modules/.package-lock.json'

function packagesOf(lockFile) {
  try {
    return JSON.parse(readFileSync(join(root, lockFile), 'utf8')).packages ?? {}
  } catch {
    return undefined
  }
}

/** Whether every package of the lock file is there in its version. Optional ones may be missing: they are per platform. */
function isDone() {
  const wanted = packagesOf('package-lock.json')
  const installed = packagesOf(installedFile)
  if (wanted === undefined || installed === undefined) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const there = installed[path]
    if (there === undefined) return entry.optional === true || entry.devOptional === true
    return there.version === entry.version && stat(join(root, path, 'package.json')) !== undefined
  })
}

async function npmInstall(how) {
  say(`npm packages: npm ${how.join(' ')}`)
  const npm = npmCommand()
  const args = [
    ...npm.args,
    ...how,
    '--ignore-scripts', // the addon is a step of its own, which says what it does
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  await runTool(`npm ${how[0]}`, npm.command, args)
}

async function run() {
  const start = performance.now()
  // `npm ci` empties node_modules first; where there is one already, a failing network would leave nothing behind.
  const fresh = packagesOf(installedFile) === undefined
  const gentle = ['install', '--no-save']
  try {
    await npmInstall(fresh ? ['ci'] : gentle)
  } catch (error) {
    // A lock file that npm finds incomplete for some other platform still serves here.
    const outOfSync = /EUSAGE/.test(error.output ?? '')
    say(
      `  ${outOfSync ? 'package-lock.json is out of step with package.json' : error.message}: trying once more`,
    )
    await npmInstall(fresh && !outOfSync ? ['ci'] : gentle)
  }
  say(`npm packages: done in ${seconds(start)}`)
}

export const nodeModules = {
  name: 'npm packages',
  isDone,
  run,
  help: 'Check the network and the registry that npm is configured for, then run: npm ci',
}
