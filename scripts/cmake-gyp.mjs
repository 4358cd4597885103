#!/usr/bin/env node
/**
 * What prebuildify runs for node-gyp: `<this> rebuild --target=… --devdir=… --arch=x64 --release`.
 *
 * It runs cmake-js instead, which must not see --target (to CMake that is something else) nor --devdir. The prebuild is
 * linked with the static libraries of build-static-libs.mjs: it must depend on libc alone.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const prefix = process.env.BPF_STATIC_PREFIX ?? path.join(root, '.cache', 'static')
const argument = (name) =>
  process.argv.find((item) => item.startsWith(`--${name}=`))?.slice(`--${name}=`.length)

if (!existsSync(path.join(prefix, 'lib', 'libbpf.a'))) {
  console.error('cmake-gyp: the static libraries are missing: run npm run build:static-libs')
  process.exit(1)
}
const result = spawnSync(
  process.execPath,
  [
    createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js'),
    'rebuild',
    '--arch',
    argument('arch') ?? process.arch,
    `--CDBPF_STATIC_PREFIX=${prefix}`,
    ...(process.argv.includes('--debug') ? ['--debug'] : []),
  ],
  { cwd: root, stdio: 'inherit' },
)
process.exit(result.status ?? 1)
