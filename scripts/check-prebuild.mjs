/**
 * `npm run check:prebuild`: every prebuilt addon for this platform must depend on libc alone, and load.
 *
 * libbpf, libelf, zlib and the C++ run-time are inside of it: a machine that gets the prebuild may have none of them.
 */
import { spawnSync } from 'node:child_process'
import { relative } from 'node:path'
import { filesUnder, root } from './setup/project.mjs'

/** glibc's own libraries, the loader, and the page that the kernel maps. */
const libc = /^(lib(c|m|dl|rt|pthread)\.so\.\d+|ld-linux[\w-]*\.so\.\d+|linux-(vdso|gate)\.so\.\d+)$/

/** The newest glibc that users are promised: Debian 12's. */
const newestGlibc = [2, 36]

const platform = `${process.platform}-${process.arch}`

function problemsOf(file) {
  const problems = []
  const ldd = spawnSync('ldd', [file], { encoding: 'utf8' })
  if (ldd.status !== 0) problems.push(`ldd: ${ldd.stderr}`)
  const libraries = (ldd.stdout ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s/)[0]?.split('/').at(-1) ?? '')
    .filter((name) => name !== '' && name !== 'statically')
  const foreign = libraries.filter((name) => !libc.test(name))
  if (foreign.length > 0) problems.push(`depends on ${foreign.join(', ')}`)
  const symbols = spawnSync('objdump', ['-T', file], { encoding: 'utf8', maxBuffer: 1 << 26 })
  const tooNew = new Set()
  for (const [, major, minor] of (symbols.stdout ?? '').matchAll(/GLIBC_(\d+)\.(\d+)/g)) {
    const newer = Number(major) - newestGlibc[0] || Number(minor) - newestGlibc[1]
    if (newer > 0) tooNew.add(`${major}.${minor}`)
  }
  if (tooNew.size > 0)
    problems.push(`needs glibc ${[...tooNew].join(', ')}: newer than ${newestGlibc.join('.')}`)
  const load = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', file], { encoding: 'utf8' })
  if (load.status !== 0) problems.push(`doesn't load: ${load.stderr}`)
  return problems
}

const files = filesUnder(`prebuilds/${platform}`, (name) => name.endsWith('.node'))
let failed = files.length === 0 ? 1 : 0
if (files.length === 0) console.error(`no prebuild for ${platform}: run npm run build:prebuilds`)
for (const file of files) {
  const problems = problemsOf(file)
  console.log(`${relative(root, file)}: ${problems.length === 0 ? 'libc only, loads' : problems.join('; ')}`)
  failed += problems.length
}
process.exitCode = failed === 0 ? 0 : 1
