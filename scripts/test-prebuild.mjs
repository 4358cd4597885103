/**
 * `npm run test:prebuild`: the tests of the native kernel with the prebuilt addon, which has a newer libbpf than the one that is compiled
 * from the system's. What needs libbpf 1.2 to 1.6 is tested here alone. Arguments go to vitest; without a path among them: what
 * depends on the addon. First: npm run build:prebuilds.
 */
import { filesUnder } from './setup/project.mjs'
import { runVitest, withAddonTests } from './setup/run-vitest.mjs'
import { checkUsage } from './setup/usage.mjs'

const folder = `prebuilds/${process.platform}-${process.arch}`

const [addon] = filesUnder(folder, (name) => name.endsWith('.node'))
if (!checkUsage(import.meta.url)) {
  // It is said.
} else if (addon === undefined) {
  console.error(`${folder} has no addon: run npm run build:static-libs, then npm run build:prebuilds`)
  process.exitCode = 1
} else {
  process.exitCode = await runVitest(withAddonTests(process.argv.slice(2)), {
    env: { LIBBPF_NODE_ADDON: addon },
  })
}
