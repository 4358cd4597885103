/** `npm run soak`: sets up, then reads at full rate for a while (`-- --seconds 20`), and looks whether all adds up. */
import { setUp } from './setup.mjs'
import { runMain } from './setup/run-main.mjs'

if (await setUp()) await runMain('dist/bench/soak.js')
else process.exitCode = 1
