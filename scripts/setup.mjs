#!/usr/bin/env node
/**
 * Makes a fresh checkout ready to run, and a ready one readier in no time: npm packages, the native addon (with the
 * system packages that it needs, when root on a Debian-like Linux), the TypeScript build, the command line.
 *
 * Node built-ins only: it runs before there is a node_modules. Everything it says goes to stderr. When there is nothing
 * to do it says nothing and takes a few milliseconds.
 *
 * Environment: LIBBPF_NODE_APT=0 never installs system packages; LIBBPF_NODE_KERNEL=fallback leaves the addon out;
 * LIBBPF_NODE_SETUP=0 does nothing at all.
 */
import { pathToFileURL } from 'node:url'
import { addon } from './setup/addon.mjs'
import { build, commandLine } from './setup/build.mjs'
import { withLock } from './setup/lock.mjs'
import { nodeModules } from './setup/node-modules.mjs'
import { readStamp, root, writeStamp } from './setup/project.mjs'
import { npmCommand, say, seconds } from './setup/run.mjs'

/** In this order: the addon is compiled with tools from node_modules. */
const steps = { nodeModules, addon, build, commandLine }

const allSteps = Object.keys(steps)

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  say(`Node ${process.versions.node} is too old: libbpf-node needs 20.19 or newer`)
  process.exit(1)
}

function explain(step, error) {
  if (error.code === 'EACCES' || error.code === 'EROFS') {
    say(
      `${step}: ${error.path ?? root} can't be written to. Run \`npm run setup\` once as the folder's owner`,
    )
  } else {
    say(`${steps[step]?.name ?? step}: ${error.message}`)
    if (error.output) process.stderr.write(`${error.output}\n`)
  }
  if (steps[step]?.help !== undefined) say(steps[step].help)
}

/**
 * Does what is left to do. Safe to call from several processes at once.
 *
 * @param options.need   names of the steps needed; all by default
 * @param options.retry  whether a failed compilation is tried again although nothing changed
 * @returns whether everything is ready; if not, it has been said why
 */
export async function setUp({ need = allSteps, retry = false } = {}) {
  checkNode()
  if (process.env.LIBBPF_NODE_SETUP === '0') return true
  const needed = need.map((name) => steps[name])
  const isReady = () => {
    const stamp = readStamp()
    const open = needed.filter((step) => !step.isDone(stamp, { retry }))
    for (const step of needed) {
      const note = open.length === 0 ? step.note?.(stamp) : undefined
      if (note !== undefined) say(note)
    }
    return open.length === 0
  }
  if (isReady()) return true
  let current = 'set-up'
  try {
    return await withLock(async () => {
      const start = performance.now()
      const stamp = readStamp()
      let didSomething = false
      for (const name of need) {
        current = name
        const step = steps[name]
        if (step.isDone(stamp, { retry })) continue
        didSomething = true
        await step.run(stamp, { npm: npmCommand() })
        writeStamp(stamp)
      }
      // Another process may have done it all while this one waited.
      if (didSomething) say(`ready in ${seconds(start)}`)
      return true
    })
  } catch (error) {
    explain(current, error)
    return false
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = (await setUp({ retry: true })) ? 0 : 1
}
