import { defineConfig } from 'vitest/config'

/** Set by .ci/run: where the numbers go, beside the report for people. */
const jsonFile = process.env['VITEST_JSON']

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process per file: addons, kernel handles and crashes stay apart.
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    reporters: jsonFile === undefined ? ['default'] : ['default', 'json'],
    ...(jsonFile === undefined ? {} : { outputFile: { json: jsonFile } }),
  },
})
