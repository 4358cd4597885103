/**
 * `npm run test:prebuild`: the tests of the native kernel with the prebuilt addon, which has a newer libbpf than the one that is compiled
 * from the system's. What needs libbpf 1.2 to 1.6 is tested here alone. Arguments go to vitest; without a path among them: test/contract and
 * test/native. First: npm run build:prebuilds.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { filesUnder, root } from './setup/project.mjs'

const DEFAULT_TESTS = ['test/contract', 'test/native']
const folder = `prebuilds/${process.platform}-${process.arch}`

const [addon] = filesUnder(folder, (name) => name.endsWith('.node'))
const args = process.argv.slice(2)
if (addon === undefined) {
  console.error(`${folder} has no addon: run npm run build:static-libs, then npm run build:prebuilds`)
  process.exitCode = 1
} else {
  const paths = args.some((argument) => argument.startsWith('test/')) ? [] : DEFAULT_TESTS
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const child = spawn(process.execPath, [vitest, 'run', ...paths, ...args], {
    cwd: root,
    env: { ...process.env, LIBBPF_NODE_ADDON: addon },
    stdio: 'inherit',
  })
  child.on('exit', (code) => (process.exitCode = code ?? 1))
}
