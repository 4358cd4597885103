import { configDefaults, defineConfig } from 'vitest/config'

/** Set by scripts/test-vm.mjs: an emulated processor is 10 to 40 times slower. */
const isEmulated = process.env['VM'] === '1'
/** Set by scripts/test-sanitized.mjs: everything takes longer, and leaks are looked for after each file. */
const isSanitized = process.env['SANITIZED'] === '1'
/** Set by scripts/vm/run-tests.mjs and .ci/run: where the outcome of each file goes as soon as it is done. */
const tellsFiles = process.env['TEST_RESULTS'] !== undefined
const slowness = isEmulated ? 20 : isSanitized ? 4 : 1

export default defineConfig({
  test: {
    setupFiles: [
      ...(slowness > 1 ? ['test/support/patient-waits.ts'] : []),
      ...(isSanitized ? ['test/support/find-leaks.ts'] : []),
    ],
    include: ['test/**/*.test.ts'],
    // What may break a kernel stays out of this machine's.
    exclude: isEmulated ? configDefaults.exclude : [...configDefaults.exclude, 'test/vm/**'],
    // A process per file: addons, kernel handles and crashes stay apart. There, loading the library again for each file would take most of the time.
    pool: 'forks',
    isolate: !isEmulated,
    // By default one core is vitest's own; there it has little to do beside the tests.
    ...(isEmulated ? { maxWorkers: 2 } : {}),
    // Filled before the machine starts: compiling TypeScript would take it minutes.
    ...(isEmulated ? { experimental: { fsModuleCache: true, fsModuleCachePath: '.cache/vitest' } } : {}),
    testTimeout: 20_000 * slowness,
    hookTimeout: 30_000 * slowness,
    teardownTimeout: 10_000 * slowness,
    reporters: ['default', ...(tellsFiles ? ['./scripts/setup/file-reporter.mjs'] : [])],
  },
})
