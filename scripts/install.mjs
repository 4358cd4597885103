#!/usr/bin/env node
/**
 * npm's install script: sees that there is a native addon, if there can be one. Node built-ins only.
 *
 * 1. An addon that loads (a prebuild, or an earlier build) is kept.
 * 2. Else it is compiled here, which takes cmake, a C++17 compiler and libbpf-dev 1.1 or newer.
 * 3. Else the library works with its fallback kernel: no reason to fail an installation.
 *
 * `npm install --build-from-source` skips the first and fails where the second does.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const fromSource = process.env.npm_config_build_from_source === 'true'

function say(text) {
  console.warn(`libbpf-node: ${text}`)
}

/** Undefined if the addon loads, else why not. In a process of its own, which a broken addon may take down. */
function whyNotLoadable() {
  const script = 'require("node-gyp-build")(process.argv[1])'
  const result = spawnSync(process.execPath, ['-e', script, root], { cwd: root, encoding: 'utf8' })
  if (result.status === 0) return undefined
  return /^\w*Error: (.*)$/m.exec(result.stderr)?.[1] ?? `Node ended with ${result.signal ?? result.status}`
}

/** Undefined if it worked, else why not. */
function compile() {
  let tool
  try {
    tool = require.resolve('cmake-js/bin/cmake-js')
  } catch {
    return 'cmake-js is not installed (npm install --include=optional)'
  }
  // From the start: a build folder that came with a copied or moved checkout names another place, and cmake refuses it.
  const result = spawnSync(process.execPath, [tool, 'rebuild', '--CDBPF_STATIC_PREFIX=OFF'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (result.status === 0) return undefined
  const output = `${result.stdout}\n${result.stderr}`
  if (fromSource) console.error(output)
  if (/CMake executable is not found|spawn cmake ENOENT/.test(output)) return 'there is no cmake'
  if (/No CMAKE_CXX_COMPILER|CMAKE_C_COMPILER|Compiler toolset is not available/.test(output))
    return 'there is no C++ compiler'
  if (/libbpf>=1\.1|No package 'libbpf'|PkgConfig/.test(output) && !/error:/.test(output)) {
    return 'libbpf-dev 1.1 or newer is not installed, or pkg-config is not'
  }
  return /^(.*error: .*)$/m.exec(output)?.[1] ?? `cmake-js ended with ${result.signal ?? result.status}`
}

function main() {
  if (process.platform !== 'linux') {
    say(`the native kernel is for Linux: on ${process.platform}, programs run in the fallback kernel`)
    return 0
  }
  let reason = fromSource ? 'asked to build from source' : whyNotLoadable()
  if (reason === undefined) return 0
  say(`no prebuilt addon (${reason}): compiling it`)
  reason = compile() ?? whyNotLoadable()
  if (reason === undefined) return 0
  say(
    `no native addon: ${reason}. Programs run in the fallback kernel until \`npm rebuild libbpf-node\` succeeds`,
  )
  return fromSource ? 1 : 0
}

process.exitCode = main()
