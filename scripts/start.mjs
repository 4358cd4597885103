/** `npm start`: sets up, then becomes examples/execsnoop. The same process, so that signals and exit codes are its own. */
import { setUp } from './setup.mjs'
import { runMain } from './setup/run-main.mjs'

if (await setUp()) await runMain('dist/examples/execsnoop/main.js')
else process.exitCode = 1
