/** Where things are, and what is remembered between two runs of the set-up. */
import { mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout's root folder. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Scratch that may be deleted at any time: stamps, locks, downloads. Never committed. */
export const cacheFolder = join(root, '.cache')

const stampFile = join(cacheFolder, 'setup.json')

/** `stat` that answers undefined instead of throwing. */
export function stat(path) {
  return statSync(path, { throwIfNoEntry: false })
}

/** The files under `folder` (relative to the root) whose name satisfies `wanted`, as sorted absolute paths. */
export function filesUnder(folder, wanted = () => true) {
  const top = join(root, folder)
  if (stat(top) === undefined) return []
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
}

/**
 * What a set of files looks like from outside: paths, sizes and times. Contents aren't read: this runs before
 * every start. It is a long string, not a hash, because comparing is all that is done with it.
 */
export function fingerprint(paths) {
  return paths
    .map((path) => {
      const found = stat(path)
      return found === undefined
        ? `${relative(root, path)} missing`
        : `${relative(root, path)} ${found.size} ${found.mtimeMs}`
    })
    .join('\n')
}

/** What earlier runs found out, by step. Empty when there was none, or when the file is unreadable. */
export function readStamp() {
  try {
    const stamp = JSON.parse(readFileSync(stampFile, 'utf8'))
    return typeof stamp === 'object' && stamp !== null ? stamp : {}
  } catch {
    return {}
  }
}

/** Written beside and renamed, so that a reader never sees half a file. */
export function writeStamp(stamp) {
  mkdirSync(cacheFolder, { recursive: true })
  const draft = `${stampFile}.${process.pid}`
  writeFileSync(draft, JSON.stringify(stamp))
  renameSync(draft, stampFile)
}
