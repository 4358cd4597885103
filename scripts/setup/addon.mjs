/** Step: the native addon. Linux only, and never a reason to stop: without it the fallback kernel works. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { filesUnder, fingerprint, root, stat } from './project.mjs'
import { runTool, say, seconds } from './run.mjs'
import { compilerConditions, conditionsImproved, ensureAddonPackages } from './system-packages.mjs'

const sources = () =>
  [...filesUnder('native'), join(root, 'CMakeLists.txt')].filter((path) => stat(path) !== undefined)

const builtFile = () => filesUnder('build/Release', (name) => name.endsWith('.node'))[0]

/** Loaded in a process of its own: a broken addon may end the one that loads it. */
function loads(file) {
  return (
    spawnSync(process.execPath, ['-e', 'require(process.argv[1])', file], { stdio: 'ignore' }).status === 0
  )
}

/** A build folder that came with a copied or moved checkout names another place, and cmake refuses it. */
function dropForeignBuild() {
  const cache = join(root, 'build', 'CMakeCache.txt')
  if (!existsSync(cache)) return
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1]
  if (home === undefined || resolve(home) !== resolve(root)) rmSync(join(root, 'build'), { recursive: true })
}

function isUpToDate(file, inputs) {
  const built = stat(file)
  return built !== undefined && inputs.every((path) => (stat(path)?.mtimeMs ?? 0) <= built.mtimeMs)
}

/** Whether there is an addon to build at all, here and for this call. */
function isWanted() {
  return (
    process.platform === 'linux' &&
    process.env.LIBBPF_NODE_KERNEL !== 'fallback' &&
    existsSync(join(root, 'CMakeLists.txt'))
  )
}

function isDone(stamp, { retry }) {
  if (!isWanted()) return true
  const inputs = sources()
  const file = builtFile()
  const before = stamp.addon
  if (before?.sources !== fingerprint(inputs)) return false
  if (before.reason === undefined) return file !== undefined && before.file === fingerprint([file])
  return !retry && !conditionsImproved(before.conditions)
}

async function run(stamp, { npm }) {
  const start = performance.now()
  const inputs = sources()
  const remember = (outcome) => {
    const file = builtFile()
    stamp.addon = {
      sources: fingerprint(inputs),
      conditions: compilerConditions(),
      ...(file === undefined ? {} : { file: fingerprint([file]) }),
      ...outcome,
    }
  }
  const existing = builtFile()
  if (existing !== undefined && isUpToDate(existing, inputs) && loads(existing)) return remember({})
  const missing = await ensureAddonPackages()
  let reason = missing
  let details = ''
  if (missing === undefined) {
    say('native addon: compiling')
    dropForeignBuild()
    try {
      // Not install.mjs, which is content with any addon that loads: here it must be the one of these sources.
      const script = ['run', '--silent', 'build:native']
      const { output } = await runTool('npm run build:native', npm.command, [...npm.args, ...script])
      const file = builtFile()
      if (file === undefined || !loads(file)) {
        reason = 'it could not be compiled'
        details = output
      }
    } catch (error) {
      reason = error.message
      details = error.output
    }
  }
  remember(reason === undefined ? {} : { reason })
  if (reason === undefined) {
    say(`native addon: done in ${seconds(start)}`)
    return
  }
  say(`native addon: not built: ${reason}`)
  if (details !== '') process.stderr.write(`${details}\n`)
  say(`  going on without it: the fallback kernel (TypeScript) takes its place. Try again: npm run setup`)
}

/** One short line for a run that had nothing to do, if there is something to know. */
function note(stamp) {
  if (!isWanted() || stamp.addon?.reason === undefined) return undefined
  return `no native addon: ${stamp.addon.reason}`
}

export const addon = { name: 'native addon', isDone, run, note }
