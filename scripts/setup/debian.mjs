/**
 * Debian packages of other suites than the machine's, from the mirror that the machine's apt is set up with.
 *
 * Apt runs on a private configuration: the machine's sources, lists and packages stay as they are. No mirror is named
 * here, because every machine has its own.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** What apt, or a tool beside it, could not do. The message is for people. */
export class DebianError extends Error {}

/**
 * Where the machine's apt gets Debian from.
 *
 * @returns codename of the machine's release, the URI of the archive, and that of the security archive (undefined if
 *   apt knows none)
 * @throws {DebianError} on a machine without apt or without Debian sources
 */
export function debianMirror() {
  const lines = read('apt-get', ['indextargets', '--format', '$(ORIGIN)|$(CODENAME)|$(REPO_URI)']).split('\n')
  const targets = lines.map((line) => line.split('|')).filter(([origin]) => origin === 'Debian')
  const main = targets.find(([, codename]) => /^[a-z]+$/.test(codename))
  if (main === undefined)
    throw new DebianError('apt knows no Debian mirror here: run "apt-get update" on a Debian machine')
  const security = targets.find(([, codename]) => codename.endsWith('-security'))
  return { codename: main[1], uri: main[2], securityUri: security?.[2] }
}

/**
 * An apt with sources and folders of its own.
 *
 * @param folder   where it keeps lists and downloads; made if it isn't there
 * @param sources  `{ type, uri, suite }`, type being `deb` or `deb-src`; component main
 * @param options.asInstalled  whether it takes what is installed on the machine for installed; otherwise nothing is
 * @returns the options that apt-get and apt-cache must be given
 */
export function privateApt(folder, sources, { asInstalled = false } = {}) {
  for (const part of ['state/lists/partial', 'cache/archives/partial', 'etc']) {
    mkdirSync(path.join(folder, part), { recursive: true })
  }
  const signed = existsSync(KEYRING) ? ` [signed-by=${KEYRING}]` : ''
  const lines = sources.map(({ type, uri, suite }) => `${type}${signed} ${uri} ${suite} main\n`)
  writeFileSync(path.join(folder, 'etc/sources.list'), lines.join(''))
  const options = {
    'Dir::Etc::sourcelist': path.join(folder, 'etc/sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': path.join(folder, 'state/lists'),
    'Dir::Cache': path.join(folder, 'cache'),
    'APT::Sandbox::User': '',
    'Acquire::Retries': '3',
  }
  if (!asInstalled) {
    writeFileSync(path.join(folder, 'state/status'), '')
    options['Dir::State'] = path.join(folder, 'state')
    options['Dir::State::status'] = path.join(folder, 'state/status')
  }
  return Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`])
}

/** Fetches the package lists of a private apt. A suite that can't be had shows later, by missing packages. */
export function updateLists(apt) {
  const update = spawnSync('apt-get', [...apt, 'update', '-q'], { encoding: 'utf8' })
  // apt answers 0 for "some indexes failed": only the look-ups that follow decide.
  if (update.status !== 0 && update.error !== undefined)
    throw new DebianError(`apt-get: ${update.error.message}`)
}

/** Whether Debian version `a` comes before `b`, as dpkg compares them. */
export function isOlder(a, b) {
  return spawnSync('dpkg', ['--compare-versions', a, 'lt', b]).status === 0
}

/**
 * Runs a tool to its end, and answers what it wrote to stdout.
 *
 * @throws {DebianError} with what the tool said, if it can't be started or fails
 */
export function read(command, args, options = {}) {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 26,
      ...options,
    })
  } catch (error) {
    const detail = String(error.stderr ?? '').trim()
    throw new DebianError(`${command} ${args.at(-1)}: ${detail === '' ? error.message : detail}`)
  }
}
