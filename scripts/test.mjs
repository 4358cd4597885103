/** `npm test`: sets up, then runs vitest once. Arguments go to vitest: `npm test -- test/codec -t 'per-CPU'`. */
import { setUp } from './setup.mjs'
import { runVitest } from './setup/run-vitest.mjs'

process.exitCode = (await setUp()) ? await runVitest(process.argv.slice(2)) : 1
