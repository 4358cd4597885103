/**
 * Results of tests, by kernel: what is remembered of runs. Kept in .cache/vm/results, a file for each kernel, so that a table can be made of the
 * last runs.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DebianError } from '../setup/debian.mjs'
import { vmFolder } from './cache.mjs'

const folder = join(vmFolder, 'results')

/**
 * What is remembered of a kernel.
 *
 * @param name  as `--kernel` takes it
 * @returns `{ release, version, files }`, files as of parseResults(), each with the time (`at`) and `day` of its run; undefined if nothing is
 */
export function recall(name, from = folder) {
  try {
    return JSON.parse(readFileSync(join(from, `${name}.json`), 'utf8'))
  } catch {
    return undefined
  }
}

/**
 * Remembers a run.
 *
 * @param kernel   its `name`, `release` and `version`
 * @param isWhole  whether that was every test; if not, files that were run before on the same kernel, and now weren't, stay
 */
export function remember({ name, release, version }, files, isWhole) {
  const before = recall(name)
  const stays = !isWhole && before?.release === release && before.version === version
  const at = new Date().toISOString()
  const now = Object.fromEntries(
    Object.entries(files).map(([file, tests]) => [file, { at, day: at.slice(0, 10), tests }]),
  )
  keep(name, { release, version, files: { ...(stays ? before.files : {}), ...now } })
}

function keep(name, all) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(all))
}

/**
 * Takes over what another checkout remembers: of each file, the later run.
 *
 * @param other  its .cache/vm/results
 * @returns for each kernel, how many files were taken
 * @throws {DebianError} if there is nothing, or if a kernel's version isn't the one of this checkout's runs
 */
export function merge(other) {
  const names = namesIn(other)
  if (names.length === 0) throw new DebianError(`no results in ${other}`)
  return Object.fromEntries(
    names.map((name) => {
      const [ours, theirs] = [recall(name), recall(name, other)]
      if (ours !== undefined && ours.version !== theirs.version)
        throw new DebianError(`${name}: results of version ${theirs.version}, and here of ${ours.version}`)
      const taken = Object.entries(theirs.files).filter(([file, run]) => isLater(run, ours?.files[file]))
      keep(name, { ...theirs, files: { ...ours?.files, ...Object.fromEntries(taken) } })
      return [name, taken.length]
    }),
  )
}

function namesIn(other) {
  try {
    return readdirSync(other).flatMap((file) =>
      file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : [],
    )
  } catch {
    return []
  }
}

/** A run of which only the day is known comes before those of the day. */
export function isLater(run, than) {
  return than === undefined || (run.at ?? run.day) > (than.at ?? than.day)
}
