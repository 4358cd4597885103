/** `npm run bench`: sets up, then becomes bench/main. */
import { setUp } from './setup.mjs'
import { runMain } from './setup/run-main.mjs'

if (await setUp()) await runMain('dist/bench/main.js')
else process.exitCode = 1
