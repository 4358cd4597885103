/**
 * `npm run test:sanitized`: the tests of the native kernel with an addon that was compiled with AddressSanitizer (and LeakSanitizer) and
 * UndefinedBehaviorSanitizer. Arguments go to vitest; without a path among them: what depends on the addon, and test/fuzz/objects.test.ts.
 *
 * It fails if a test fails, or if any process (children and workers included) reports something that isn't Node's own. What the kernel writes
 * into our buffers no sanitizer sees: system calls other than libc's wrappers are opaque to it.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sanitizedEnvironment } from './sanitized/environment.mjs'
import { readReports } from './sanitized/reports.mjs'
import { setUp } from './setup.mjs'
import { cacheFolder, root } from './setup/project.mjs'
import { runVitest, withAddonTests } from './setup/run-vitest.mjs'
import { checkUsage } from './setup/usage.mjs'

const buildFolder = join(cacheFolder, 'sanitized')
const reportFolder = join(cacheFolder, 'sanitizer-reports')

/** Beside build/, where another process may be using the addon meanwhile. @returns the addon's path, or undefined if it doesn't compile */
function buildAddon() {
  const cmake = join(root, 'node_modules/.bin/cmake-js')
  const definitions = ['--CDBPF_STATIC_PREFIX=OFF', '--CDBPF_SANITIZE=address,undefined']
  const { status, stdout, stderr } = spawnSync(cmake, ['compile', '-O', buildFolder, ...definitions], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status === 0) return join(buildFolder, 'Release/libbpf_node.node')
  process.stderr.write(`${stdout}${stderr}\n`)
  return undefined
}

async function main(args) {
  if (!(await setUp())) return false
  const addon = buildAddon()
  if (addon === undefined) return false
  rmSync(reportFolder, { recursive: true, force: true })
  mkdirSync(reportFolder, { recursive: true })
  // Some tests drop their privileges.
  chmodSync(reportFolder, 0o1777)
  // Two at a time: most of the time goes into waiting for the kernel. What fails is tried again: everything takes long here, and what the
  // sanitizers report counts in any case.
  const code = await runVitest(
    ['--maxWorkers=2', '--retry=1', ...withAddonTests(args, ['test/fuzz/objects.test.ts'])],
    {
      env: sanitizedEnvironment(addon, reportFolder),
    },
  )
  const { processes, complaints, crashed } = readReports(reportFolder)
  for (const complaint of complaints) console.error(`\n${complaint}`)
  if (crashed.length > 0) console.error(`\nERROR: LeakSanitizer itself crashed: ${crashed.join(', ')}`)
  console.log(`\nsanitizers: ${complaints.length} reports of ours, in ${processes} processes that had any`)
  return code === 0 && complaints.length === 0
}

if (checkUsage(import.meta.url)) process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1
