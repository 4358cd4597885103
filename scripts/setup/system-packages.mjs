/** What the machine must have to compile the addon, and how it is had on Debian and its kin. */
import { spawnSync } from 'node:child_process'
import { onPath, runTool, say, seconds } from './run.mjs'

/** Debian's names of what CMakeLists.txt needs. libbpf-dev brings libelf and zlib with it. */
export const addonPackages = ['cmake', 'g++', 'make', 'pkg-config', 'libbpf-dev']

/** The tools among them, for systems without dpkg. */
const tools = ['cmake', 'g++', 'make', 'pkg-config']

const aptEnv = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
const aptOptions = [
  '-qq',
  '-o',
  'Acquire::Retries=3',
  '-o',
  'DPkg::Lock::Timeout=300',
  '-o',
  'Dpkg::Use-Pty=0',
]

/** Which of the packages aren't installed, by dpkg's account. Undefined where there is no dpkg. */
export function missingPackages(names) {
  const query = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Package}\n', ...names], {
    encoding: 'utf8',
  })
  if (query.error !== undefined) return undefined
  const installed = new Set(
    query.stdout
      .split('\n')
      .filter((line) => line.startsWith('installed '))
      .map((line) => line.slice('installed '.length)),
  )
  return names.filter((name) => !installed.has(name))
}

const isRoot = () => process.getuid?.() === 0

/** Under what conditions an attempt to compile is made: the tools that are there, and whether more can be installed. */
export function compilerConditions() {
  return { tools: tools.filter(onPath).join(' '), root: isRoot() }
}

/** Whether now is better than `before`, when an attempt failed: then it is worth repeating. */
export function conditionsImproved(before) {
  const now = compilerConditions()
  return now.tools !== before?.tools || (now.root && !before.root)
}

/**
 * Installs packages with apt-get.
 *
 * @throws {ToolError} if apt-get can't install them
 */
export async function aptInstall(names) {
  const start = performance.now()
  say(`system packages, with apt-get: ${names.join(' ')}`)
  const update = () => runTool('apt-get update', 'apt-get', [...aptOptions, 'update'], { env: aptEnv })
  const install = () =>
    runTool(
      'apt-get install',
      'apt-get',
      [...aptOptions, 'install', '-y', '--no-install-recommends', ...names],
      {
        env: aptEnv,
      },
    )
  // One source out of several may fail, and the packages still be found in the others.
  await update().catch((error) => say(`  ${error.message}; going on with the package lists that are there`))
  await install().catch(async (error) => {
    say(`  ${error.message}: trying once more`)
    await update().catch(() => {})
    await install()
  })
  say(`system packages: done in ${seconds(start)}`)
}

/**
 * Makes the addon's system packages present where that is possible without asking anyone.
 *
 * @returns undefined if all is there; otherwise, for people, what is missing and how to get it
 */
export async function ensureAddonPackages() {
  const missing = missingPackages(addonPackages)
  if (missing === undefined) {
    const without = tools.filter((tool) => !onPath(tool))
    if (without.length === 0) return undefined
    return `missing tools: ${without.join(', ')}. Install cmake, a C++17 compiler, make, pkg-config and libbpf's headers (1.1 or newer)`
  }
  if (missing.length === 0) return undefined
  const command = `apt-get install ${missing.join(' ')}`
  const advice = `missing system packages. Run: sudo ${command}`
  if (process.env.LIBBPF_NODE_APT === '0') return advice
  if (!isRoot()) return advice
  if (!onPath('apt-get')) return `missing system packages, and there is no apt-get: ${missing.join(', ')}`
  try {
    await aptInstall(missing)
    return undefined
  } catch (error) {
    return `${error.message} (${error.output?.split('\n').at(-1) ?? ''}). Run: ${command}`
  }
}
