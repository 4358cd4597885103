#!/usr/bin/env node
/**
 * Builds position-independent, static libbpf.a and libelf.a for the prebuilds, into `.cache/static/{lib,include}`.
 *
 * The `.a` files of the distribution are not position-independent, and its libbpf may be years old. So this takes
 * Debian's *source packages* (libbpf of the newest suite that has one, elfutils of the machine's own), from the mirror
 * that the machine's apt is set up with. Apt runs on a private configuration: the machine's sources stay as they are.
 *
 *     node scripts/build-static-libs.mjs [--force]
 *
 * Idempotent: does nothing when `.cache/static/versions.json` tells that all is there.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { DebianError, debianMirror, isOlder, privateApt, updateLists } from './setup/debian.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const WORK = path.join(ROOT, '.cache', 'static-build')
const PREFIX = path.join(ROOT, '.cache', 'static')
const STAMP = path.join(PREFIX, 'versions.json')
/** Newest first: the first suite that has a source package wins. */
const LIBBPF_SUITES = ['sid', 'forky', 'trixie', 'bookworm-backports']
const CFLAGS = '-g -O2 -fPIC -fvisibility=hidden'

function say(text) {
  console.log(`static-libs: ${text}`)
}

/** Runs a build step with its output in a log, of which the end is shown on failure. */
function run(title, command, args, options = {}) {
  say(title)
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options })
  if (result.error !== undefined) throw new DebianError(`${command}: ${result.error.message}`)
  if (result.status === 0) return
  const tail = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-25).join('\n')
  throw new DebianError(`${title}: ${command} exited with ${result.status}\n${tail}`)
}

/** Downloads and unpacks a source package; answers its version and directory, or undefined where the suite has none. */
function fetchSource(uri, suite, name) {
  const apt = privateApt(path.join(WORK, 'apt', suite), [{ type: 'deb-src', uri, suite }])
  say(`looking for ${name} in ${suite}`)
  updateLists(apt)
  const shown = spawnSync('apt-cache', [...apt, 'showsrc', name], { encoding: 'utf8' })
  const versions = [...(shown.stdout ?? '').matchAll(/^Version: (\S+)$/gm)].map((match) => match[1])
  const [version] = versions.sort((a, b) => (isOlder(a, b) ? 1 : -1))
  if (version === undefined) return undefined

  const dir = path.join(WORK, 'source', name)
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  run(
    `fetching ${name} ${version}`,
    'apt-get',
    [...apt, 'source', '-q', '--download-only', `${name}=${version}`],
    { cwd: dir },
  )
  const dsc = readdirSync(dir).find((file) => file.endsWith('.dsc'))
  if (dsc === undefined) throw new DebianError(`apt-get source left no .dsc of ${name}`)
  // apt has checked the hashes against the signed index already.
  run(`unpacking ${name}`, 'dpkg-source', ['--no-check', '-x', dsc, 'tree'], { cwd: dir })
  return { version, tree: path.join(dir, 'tree') }
}

function buildLibbpf(tree) {
  const src = path.join(tree, 'src')
  run('compiling libbpf', 'make', [
    '-C', src, `-j${availableParallelism()}`, 'BUILD_STATIC_ONLY=1', `OBJDIR=${path.join(WORK, 'libbpf')}`,
    `CFLAGS=${CFLAGS} -I${path.join(PREFIX, 'include')}`, `DESTDIR=${path.join(WORK, 'libbpf-install')}`, 'PREFIX=/usr',
    'LIBSUBDIR=lib', 'NO_PKG_CONFIG=1', 'install', 'install_uapi_headers',
  ]) // prettier-ignore
  const installed = path.join(WORK, 'libbpf-install', 'usr')
  cpSync(path.join(installed, 'include'), path.join(PREFIX, 'include'), { recursive: true })
  cpSync(path.join(installed, 'lib', 'libbpf.a'), path.join(PREFIX, 'lib', 'libbpf.a'))
}

function buildLibelf(tree) {
  const build = path.join(WORK, 'elfutils')
  rmSync(build, { recursive: true, force: true })
  mkdirSync(build, { recursive: true })
  const jobs = `-j${availableParallelism()}`
  run('configuring elfutils', path.join(tree, 'configure'), [
    '--disable-debuginfod', '--disable-libdebuginfod', '--disable-nls', '--disable-demangler', '--without-bzlib',
    '--without-lzma', '--without-zstd', `CFLAGS=${CFLAGS}`,
  ], { cwd: build }) // prettier-ignore
  // libelf.a holds the objects of libelf.so and of lib/, which carries its error and memory helpers.
  run('compiling elfutils lib', 'make', ['-C', path.join(build, 'lib'), jobs])
  run('compiling libelf', 'make', ['-C', path.join(build, 'libelf'), jobs, 'libelf.a'])
  cpSync(path.join(build, 'libelf', 'libelf.a'), path.join(PREFIX, 'lib', 'libelf.a'))
  mkdirSync(path.join(PREFIX, 'include'), { recursive: true })
  for (const header of ['libelf.h', 'gelf.h', 'nlist.h']) {
    cpSync(path.join(tree, 'libelf', header), path.join(PREFIX, 'include', header))
  }
}

function upToDate() {
  const files = [
    STAMP,
    path.join(PREFIX, 'lib/libbpf.a'),
    path.join(PREFIX, 'lib/libelf.a'),
    path.join(PREFIX, 'include/bpf/libbpf.h'),
  ]
  return files.every((file) => existsSync(file))
}

function main() {
  if (process.platform !== 'linux') throw new DebianError('libbpf is for Linux only')
  if (upToDate() && !process.argv.includes('--force')) {
    say(`up to date: ${readFileSync(STAMP, 'utf8').trim()}`)
    return
  }
  for (const tool of ['apt-get', 'dpkg-source', 'make', 'cc']) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
      throw new DebianError(`${tool} is needed; install dpkg-dev, make and gcc`)
  }
  rmSync(PREFIX, { recursive: true, force: true })
  mkdirSync(path.join(PREFIX, 'lib'), { recursive: true })
  const { uri, codename } = debianMirror()

  const elfutils = fetchSource(uri, codename, 'elfutils')
  if (elfutils === undefined) throw new DebianError(`${codename} has no source package elfutils`)
  buildLibelf(elfutils.tree)

  let libbpf
  for (const suite of [...LIBBPF_SUITES, codename]) {
    libbpf = fetchSource(uri, suite, 'libbpf')
    if (libbpf !== undefined) break
  }
  if (libbpf === undefined) throw new DebianError('no suite of the mirror has a source package libbpf')
  buildLibbpf(libbpf.tree)

  writeFileSync(STAMP, `${JSON.stringify({ libbpf: libbpf.version, elfutils: elfutils.version })}\n`)
  rmSync(WORK, { recursive: true, force: true })
  say(`done: libbpf ${libbpf.version}, elfutils ${elfutils.version}, in .cache/static`)
}

try {
  main()
} catch (error) {
  if (!(error instanceof DebianError)) throw error
  console.error(`static-libs: ${error.message}`)
  process.exitCode = 1
}
