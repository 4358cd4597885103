/**
 * `npm run build:bpf`: compiles every bpf/**\/*.bpf.c to the .bpf.o beside it. The objects are committed, so that
 * running, testing and trying out need no clang.
 *
 *   node scripts/build-bpf.mjs [path …]   all, or those whose path contains one of the arguments
 *   node scripts/build-bpf.mjs --check    compiles elsewhere, and fails if a committed object differs in a byte
 *
 * A program is compiled for BPF v3, unless its first line says otherwise: `// mcpu: v4`. A first line
 * `// cflags: -DVARIANT=2` adds flags; the two may follow one another in the leading comment lines.
 *
 * The bytes depend on source, headers and compiler version alone, not on the checkout's path: file names are given
 * relative to the root, and DWARF, which would name the folder, is stripped (BTF stays).
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { filesUnder, root } from './setup/project.mjs'
import { onPath } from './setup/run.mjs'
import { checkUsage } from './setup/usage.mjs'

const clang = process.env.CLANG ?? 'clang-19'
const strip = process.env.LLVM_STRIP ?? 'llvm-strip-19'

const flags = [
  '-O2',
  '-g',
  '-target',
  'bpf',
  '-Wall',
  '-Werror',
  '-D__TARGET_ARCH_x86',
  '-I',
  'bpf/include',
  // <linux/types.h> includes <asm/types.h>, which Debian keeps in a folder per architecture.
  '-idirafter',
  '/usr/include/x86_64-linux-gnu',
  '-fdebug-compilation-dir=.',
  `-ffile-prefix-map=${root}=.`,
]

/** The settings in a source's leading comment lines: `// name: value`. */
function settingsOf(source) {
  const settings = { mcpu: 'v3', cflags: '' }
  for (const line of readFileSync(join(root, source), 'utf8').split('\n')) {
    if (!line.startsWith('//')) break
    const found = /^\/\/\s*(mcpu|cflags):\s*(.+?)\s*$/.exec(line)
    if (found !== null) settings[found[1]] = found[2]
  }
  return settings
}

/** Runs a tool in the root folder, its messages passed on. Answers whether it succeeded. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`)
      resolve(false)
    })
    child.on('close', (code) => resolve(code === 0))
  })
}

async function compile(source, output) {
  const { mcpu, cflags } = settingsOf(source)
  const extra = cflags.split(/\s+/).filter((flag) => flag !== '')
  mkdirSync(dirname(output), { recursive: true })
  return (
    (await run(clang, [...flags, `-mcpu=${mcpu}`, ...extra, '-c', source, '-o', output])) &&
    (await run(strip, ['-g', output]))
  )
}

function read(path) {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

/** What is wrong with the committed object, or undefined. */
function difference(source, rebuilt) {
  const committedPath = objectOf(source)
  const committed = read(join(root, committedPath))
  if (committed === undefined) return `${committedPath} is missing`
  const fresh = read(rebuilt)
  if (fresh === undefined) return `${source} wasn't compiled`
  if (committed.equals(fresh)) return undefined
  return `${committedPath} isn't what ${source} compiles to (${committed.length} bytes committed, ${fresh.length} compiled)`
}

const objectOf = (source) => source.replace(/\.c$/, '.o')

/** Compiler and header versions: the first things to look at when a check fails on another machine. */
function versions() {
  const first = (command, args) => spawnSync(command, args, { encoding: 'utf8' }).stdout?.split('\n')[0] ?? ''
  return `${first(clang, ['--version'])}; libbpf headers ${first('pkg-config', ['--modversion', 'libbpf']) || 'unknown'}`
}

if (!checkUsage(import.meta.url, ['--check'])) process.exit()
const args = process.argv.slice(2)
const isCheck = args.includes('--check')
const wanted = args.filter((arg) => !arg.startsWith('-'))
const sources = filesUnder('bpf', (name) => name.endsWith('.bpf.c'))
  .map((path) => relative(root, path).replaceAll('\\', '/'))
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))

if (!onPath(clang) || !onPath(strip)) {
  console.error(`${clang} and ${strip} are needed: apt-get install clang-19 llvm-19 libbpf-dev`)
  // Where a check is asked for by hand, the committed objects may do; in CI, nothing may be left unchecked.
  process.exit(isCheck && process.env.CI === undefined ? 0 : 1)
}

const scratch = isCheck ? mkdtempSync(join(tmpdir(), 'bpf-check-')) : undefined
const problems = []
const queue = [...sources]
const worker = async () => {
  for (let source = queue.shift(); source !== undefined; source = queue.shift()) {
    const output = scratch === undefined ? objectOf(source) : join(scratch, objectOf(source))
    if (!(await compile(source, output))) problems.push(`${source} doesn't compile`)
    else if (scratch !== undefined)
      problems.push(...[difference(source, output)].filter((text) => text !== undefined))
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, worker))

if (isCheck && wanted.length === 0) {
  const known = new Set(sources.map(objectOf))
  for (const path of filesUnder('bpf', (name) => name.endsWith('.bpf.o'))) {
    const object = relative(root, path).replaceAll('\\', '/')
    if (!known.has(object)) problems.push(`${object} has no source`)
  }
}
if (scratch !== undefined) rmSync(scratch, { recursive: true })
for (const problem of problems.sort()) console.error(problem)
if (problems.length > 0 && isCheck) console.error(`Compiled with ${versions()}. To renew: npm run build:bpf`)
console.log(`${sources.length} BPF objects ${isCheck ? 'checked' : 'built'}, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
