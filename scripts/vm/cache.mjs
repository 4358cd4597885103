/** Where downloads for the virtual machines are kept, and how packages get there. All of it may be deleted at any time. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DebianError, privateApt, read, updateLists } from '../setup/debian.mjs'
import { cacheFolder } from '../setup/project.mjs'

/** The folder of all that belongs to virtual machines. */
export const vmFolder = join(cacheFolder, 'vm')

/** One line for people, on stderr. */
export function say(line) {
  process.stderr.write(`test-vm: ${line}\n`)
}

/** The sources of a private apt, brought up to date. `name` is that of its folder. */
export function openSuites(name, sources, options) {
  const apt = privateApt(
    join(vmFolder, 'apt', name),
    sources.map((source) => ({ type: 'deb', ...source })),
    options,
  )
  updateLists(apt)
  return apt
}

/**
 * What an unpacked folder holds: the object that {@link unpackOnce} was given.
 *
 * @returns undefined if there is no such folder, or if unpacking it was interrupted
 */
export function readManifest(folder) {
  try {
    return JSON.parse(readFileSync(join(vmFolder, folder, 'manifest.json'), 'utf8'))
  } catch {
    return undefined
  }
}

/**
 * Downloads packages and unpacks them into a folder of their own: nothing is installed. What an interrupted download
 * left is continued; the folder appears when it is complete, not before.
 *
 * @param folder    name in {@link vmFolder}; what it held is replaced
 * @param apt       options of a private apt
 * @param packages  `name=version` or `name/suite`
 * @param manifest  remembered in the folder as JSON
 * @returns the folder's path
 * @throws {DebianError} if a package can't be had
 */
export function unpackOnce(folder, apt, packages, manifest) {
  const target = join(vmFolder, folder)
  const downloads = join(vmFolder, 'downloads', folder)
  const draft = `${target}.draft`
  mkdirSync(downloads, { recursive: true })
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { recursive: true })
  // apt checks each file against the signed index, and goes on where a partial one ends.
  read('apt-get', [...apt, '-q', 'download', ...packages], { cwd: downloads })
  for (const file of readdirSync(downloads).filter((name) => name.endsWith('.deb'))) {
    read('dpkg', ['-x', join(downloads, file), draft])
  }
  writeFileSync(join(draft, 'manifest.json'), JSON.stringify(manifest))
  rmSync(target, { recursive: true, force: true })
  renameSync(draft, target)
  rmSync(downloads, { recursive: true, force: true })
  return target
}

/**
 * The packages that `wanted` needs beyond what is installed on this machine, itself included.
 *
 * @param suite  whose versions are preferred to those of the apt's other suites
 * @returns `name=version` of each
 */
export function missingClosure(apt, wanted, suite) {
  const plan = ['install', '--simulate', '--reinstall', '--no-install-recommends', '-q', '-t', suite, wanted]
  const text = read('apt-get', [...apt, ...plan])
  // Lines of the plan: `Inst name [installed version] (version origin [architecture])`.
  return [...text.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+) /gm)].map(
    ([, name, version]) => `${name}=${version}`,
  )
}

/** The fields of a package's newest version in a private apt's lists. */
export function packageFields(apt, name) {
  const shown = spawnSync('apt-cache', [...apt, 'show', '--no-all-versions', name], { encoding: 'utf8' })
  if (shown.error !== undefined) throw new DebianError(`apt-cache: ${shown.error.message}`)
  const fields = Object.fromEntries(
    [...shown.stdout.matchAll(/^([A-Za-z-]+): (.*)$/gm)].map(([, key, value]) => [key, value]),
  )
  return fields.Package === undefined ? undefined : fields
}
