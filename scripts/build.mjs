/** `npm run build`: TypeScript to dist/, and what that needs. Type errors fail it, unlike `npm start`. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setUp } from './setup.mjs'
import { readStamp, root } from './setup/project.mjs'

rmSync(join(root, 'dist'), { recursive: true, force: true })
const ready = await setUp({ need: ['nodeModules', 'build', 'commandLine'] })
process.exitCode = ready && readStamp().build !== undefined ? 0 : 1
