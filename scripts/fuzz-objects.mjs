/** `npm run fuzz:objects`: sets up, then tries mutated objects; `-- --runs 100000`, `-- --help`. */
import { setUp } from './setup.mjs'
import { runMain } from './setup/run-main.mjs'

if (await setUp()) await runMain('dist/fuzz/main.js')
else process.exitCode = 1
