/** Step: TypeScript to dist/, the bundle of what is published, and the command line on node_modules/.bin. */
import { chmodSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { bundle, isBundled } from './bundle.mjs'
import { filesUnder, fingerprint, root, stat } from './project.mjs'
import { runTool, say, seconds } from './run.mjs'

const folders = ['lib', 'examples', 'bench', 'fuzz']
const configFiles = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'node_modules/typescript/package.json',
  'node_modules/rolldown/package.json',
]

const sources = () =>
  folders.flatMap((folder) => filesUnder(folder, (name) => /(?<!\.d)\.[cm]?ts$/.test(name)))

const inputs = () => [...sources(), ...configFiles.map((path) => join(root, path))]

/** `lib/x.ts` → `dist/lib/x.js` */
const outputOf = (source) => join(root, 'dist', relative(root, source).replace(/ts$/, 'js'))

const isDone = (stamp) =>
  stamp.build === fingerprint(inputs()) &&
  sources().every((source) => stat(outputOf(source)) !== undefined) &&
  isBundled()

/** What an earlier source left behind: it would be packed, and imported by mistake. */
function removeOrphans() {
  const alive = new Set(sources().map((source) => outputOf(source).replace(/\.[cm]?js$/, '')))
  for (const folder of folders) {
    for (const path of filesUnder(`dist/${folder}`)) {
      if (!alive.has(path.replace(/(\.d)?\.[cm]?[jt]s(\.map)?$/, ''))) rmSync(path)
    }
  }
}

async function run(stamp) {
  const start = performance.now()
  const before = fingerprint(inputs())
  if (sources().some((source) => stat(outputOf(source)) === undefined)) {
    // tsc believes its record, and wouldn't write again what was deleted.
    rmSync(join(root, 'dist/.tsbuildinfo'), { force: true })
  }
  const tsc = [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    'tsconfig.build.json',
    '--pretty',
    'false',
  ]
  // 2: there are type errors, and outputs were written nevertheless.
  const { code, output } = await runTool('TypeScript', process.execPath, tsc, { okCodes: [0, 1, 2] })
  const complete = sources().every((source) => stat(outputOf(source)) !== undefined)
  if (!complete) throw Object.assign(new Error('tsc wrote no complete build'), { output })
  removeOrphans()
  await bundle()
  if (code === 0) {
    stamp.build = before
    say(`TypeScript: built in ${seconds(start)}`)
  } else {
    delete stamp.build
    say(`TypeScript: built in ${seconds(start)}, with type errors:\n${output}`)
  }
}

export const build = {
  name: 'TypeScript build',
  isDone,
  run,
  help: 'Run: npm run typecheck',
}

const commandTarget = join(root, 'dist/bundle/cli/main.js')
const commandLink = join(root, 'node_modules/.bin/libbpf-node')

const isExecutable = (path) => process.platform === 'win32' || ((stat(path)?.mode ?? 0) & 0o111) !== 0

/** Step: what npm does for an installed package, `npx libbpf-node …`, also in the checkout itself. */
export const commandLine = {
  name: 'command line',
  isDone() {
    if (stat(commandTarget) === undefined) return true
    if (process.platform === 'win32') return stat(`${commandLink}.cmd`) !== undefined
    return stat(commandLink) !== undefined && isExecutable(commandTarget)
  },
  run() {
    if (stat(commandTarget) === undefined) return
    const target = relative(join(commandLink, '..'), commandTarget)
    mkdirSync(join(commandLink, '..'), { recursive: true })
    if (process.platform === 'win32') {
      writeFileSync(`${commandLink}.cmd`, `@node "%~dp0\\${target}" %*\r\n`)
      return
    }
    chmodSync(commandTarget, 0o755)
    const link = lstatSync(commandLink, { throwIfNoEntry: false })
    if (link?.isSymbolicLink() && readlinkSync(commandLink) === target) return
    rmSync(commandLink, { force: true })
    symlinkSync(target, commandLink)
  },
}
