/** Finds and loads the addon. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Addon } from './addon-types.js'

/** The addon, or why there is none. */
export type AddonLoad = { readonly addon: Addon } | { readonly reason: string }

const PACKAGE = 'libbpf-node'
const require = createRequire(import.meta.url)
let loaded: AddonLoad | undefined

/**
 * Loads the addon: the file that the environment variable `LIBBPF_NODE_ADDON` names, else the package's own build or
 * prebuild. Never throws; the answer is the same for the life of the thread.
 */
export function loadAddon(): AddonLoad {
  return (loaded ??= load())
}

function load(): AddonLoad {
  if (process.platform !== 'linux') return { reason: `libbpf runs on Linux only, and this is ${process.platform}` }
  const named = process.env['LIBBPF_NODE_ADDON']
  try {
    const module: unknown = named === undefined || named === '' ? requireBuild() : require(path.resolve(named))
    if (!isAddon(module)) return { reason: 'the addon is of another version of this package: run npm rebuild libbpf-node' }
    return { addon: module }
  } catch (error) {
    return { reason: `the addon cannot be loaded: ${firstLine(error)}` }
  }
}

function requireBuild(): unknown {
  const root = packageRoot()
  if (root === undefined) throw new Error(`no package.json of ${PACKAGE} above this module: is it bundled?`)
  // node-gyp-build is CommonJS without types.
  const nodeGypBuild = require('node-gyp-build') as (directory: string) => unknown
  return nodeGypBuild(root)
}

/** The directory of this package, from lib/ as from dist/lib/; undefined where a bundler has moved us elsewhere. */
function packageRoot(): string | undefined {
  let directory = path.dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const file = path.join(directory, 'package.json')
    if (existsSync(file) && isOurs(file)) return directory
    const parent = path.dirname(directory)
    if (parent === directory) return undefined
    directory = parent
  }
}

function isOurs(file: string): boolean {
  try {
    const json: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return typeof json === 'object' && json !== null && 'name' in json && json.name === PACKAGE
  } catch {
    return false
  }
}

function isAddon(module: unknown): module is Addon {
  if (typeof module !== 'object' || module === null) return false
  return ['openObject', 'setFailureFactory', 'probe', 'possibleCpus'].every(
    (name) => typeof Reflect.get(module, name) === 'function',
  )
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split('\n', 1)[0] ?? message
}
