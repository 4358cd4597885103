/** Executables and libraries that uprobes and USDT probes are set in: found by name, and what is in them. */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Executable } from '../elf/executable.js'
import { BpfError, systemError } from '../errors.js'
import { errno } from '../linux/errno.js'
import { nearestWords } from '../nearest.js'
import { didYouMeanHint, nearestOfMany } from './suggest.js'

/** Where the dynamic linker looks without being told. Source: ld.so(8). */
const DEFAULT_LIBRARY_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib']

/**
 * Path of a binary: of a path, itself; of a library's name (`libc`, `libc.so.6`, `libssl.so`), where the dynamic linker would find it; else
 * of a command.
 *
 * @throws BpfError `ENOENT` with the nearest names
 */
export function resolveBinary(name: string): string {
  if (name.includes('/')) {
    if (existsSync(name)) return name
    throw noBinary(name, [])
  }
  const isLibrary = /^lib|\.so(?:\.|$)/.test(name)
  if (isLibrary) {
    const found = findLibrary(name)
    if (found !== undefined) return found
  }
  const folders = (process.env['PATH'] ?? '/usr/bin:/bin').split(delimiter)
  const command = folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
  if (command !== undefined) return command
  const known = isLibrary ? libraryFolders() : folders
  throw noBinary(name, known.flatMap(filesOf))
}

function noBinary(name: string, candidates: readonly string[]): BpfError {
  const hint =
    didYouMeanHint(nearestWords(name, new Set(candidates))) ??
    'Name a file by its path (in a container: /proc/PID/root/…), or a library or command that the linker or PATH finds'
  return systemError('open', errno('ENOENT'), `binary '${name}'`, { hint })
}

/** `libc` is `libc.so.6`, not `libcap.so`; the linker's folders come in its order. */
function findLibrary(name: string): string | undefined {
  const fits = (file: string): boolean =>
    file === name || file.startsWith(`${name}.so`) || (name.endsWith('.so') && file.startsWith(`${name}.`))
  for (const folder of libraryFolders()) {
    const exact = join(folder, name)
    const files = existsSync(exact) ? [name] : filesOf(folder).filter(fits).toSorted()
    const binary = files.map((file) => join(folder, file)).find(isElf)
    if (binary !== undefined) return binary
  }
  return undefined
}

/** Linker scripts and static archives have names like libraries. */
function isElf(path: string): boolean {
  try {
    return readParts(path, (read) => read(0, 4)[0] === 0x7f)
  } catch {
    return false
  }
}

function libraryFolders(): readonly string[] {
  const given = (process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== '')
  return [...new Set([...given, ...configuredFolders('/etc/ld.so.conf'), ...DEFAULT_LIBRARY_FOLDERS])]
}

/** Folders of an ld.so.conf, and of those that it includes. */
function configuredFolders(file: string): readonly string[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .flatMap((line) => {
      const folder = /^include\s+(.*)\/\*\.conf$/.exec(line)?.[1]
      if (folder !== undefined) return filesOf(folder).flatMap((name) => configuredFolders(join(folder, name)))
      return line.startsWith('/') ? [line] : []
    })
}

function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The error for a function, or a pattern of functions, that a binary doesn't have: with the nearest names. */
export function noFunction(path: string, name: string, known: Iterable<string>): BpfError {
  const near = nearestOfMany(name.replaceAll(/[*?]/g, ''), known)
  return new BpfError('ENOENT', `'${path}' has no function '${name}'`, {
    hint:
      didYouMeanHint(near) ??
      'Functions that were inlined, or whose symbols were stripped, are not there: nm -D lists what is left; an offset in the file works always',
  })
}

/** What is asked of a binary, which is open for that long. */
export function withBinary<T>(path: string, ask: (binary: Executable) => T): T {
  return readParts(path, (read) => ask(new Executable(read, path)))
}

function readParts<T>(path: string, ask: (read: (offset: number, length: number) => Uint8Array) => T): T {
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    const file = fd
    const { size } = statSync(path)
    return ask((offset, length) => {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)))
      return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, offset))
    })
  } catch (error) {
    if (error instanceof BpfError) throw error
    const { errno: negative = -errno('EIO'), syscall = 'open' } = error as NodeJS.ErrnoException
    throw systemError(syscall, -negative, `binary '${path}'`, { cause: error })
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
