/**
 * `npm run check:package`: packs the package and looks at it as its users will: publint, attw, what is in it, and
 * whether it can be imported from where it is unpacked.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { root } from './setup/project.mjs'
import { npmCommand } from './setup/run.mjs'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const scratch = mkdtempSync(join(tmpdir(), 'package-check-'))
const problems = []

function run(command, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options })
  return { ok: status === 0, output: `${stdout ?? ''}${stderr ?? ''}`, stdout: stdout ?? '' }
}

function check(name, { ok, output }) {
  console.log(`${ok ? 'ok' : 'FAILED'}  ${name}`)
  if (ok) return
  problems.push(name)
  console.log(output)
}

/** Paths that may be in the package, and none besides. */
const allowed = [
  /^package\.json$/,
  /^README\.md$/,
  /^LICENSE$/,
  /^THIRD_PARTY_NOTICES\.md$/,
  /^CMakeLists\.txt$/,
  /^scripts\/[\w-]+\.mjs$/,
  /^native\/[\w./-]+\.(cc|h)$/,
  /^bpf\/include\/libbpf_node\/[\w-]+\.h$/,
  /^prebuilds\/[\w-]+\/[\w.@+-]+\.node$/,
  /^dist\/bundle\/[\w./-]+\.js(\.map)?$/,
  /^dist\/lib\/[\w./-]+\.d\.ts$/,
]

function checkContents(files) {
  const strangers = files.filter((file) => !allowed.some((pattern) => pattern.test(file)))
  check('contents', {
    ok: strangers.length === 0,
    output: `not meant to be published:\n${strangers.join('\n')}`,
  })
  const entries = [
    ...Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry),
    ),
    ...Object.values(manifest.bin ?? {}),
  ].map((path) => path.replace(/^\.\//, ''))
  const missing = entries.filter((path) => !files.includes(path))
  check('entry points', {
    ok: missing.length === 0,
    output: `named in package.json, not in the package:\n${missing.join('\n')}`,
  })
}

/** Unpacked into a node_modules of its own, with the checkout's dependencies beside it. */
function checkImport(tarball) {
  const modules = join(scratch, 'app/node_modules')
  const home = join(modules, manifest.name)
  mkdirSync(home, { recursive: true })
  const unpacked = run('tar', ['-xzf', tarball, '-C', home, '--strip-components=1'])
  if (!unpacked.ok) return check('unpacking', unpacked)
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    const link = join(modules, name)
    mkdirSync(dirname(link), { recursive: true })
    if (existsSync(join(root, 'node_modules', name))) symlinkSync(join(root, 'node_modules', name), link)
  }
  for (const entry of Object.keys(manifest.exports)) {
    if (entry.endsWith('.json') || entry.includes('*')) continue
    const specifier = manifest.name + entry.slice(1)
    // What needs a tool that users bring along (vitest) can only be imported inside of it.
    if (Object.keys(manifest.peerDependencies ?? {}).length > 0 && entry.startsWith('./testing')) continue
    const code = `const m = await import(${JSON.stringify(specifier)}); if (Object.keys(m).length === 0) throw new Error('nothing exported')`
    const result = run(process.execPath, ['--input-type=module', '-e', code], { cwd: join(scratch, 'app') })
    check(`import '${specifier}'`, result)
  }
  const help = run(process.execPath, [join(home, Object.values(manifest.bin)[0]), '--help'], { cwd: scratch })
  check(`${Object.keys(manifest.bin)[0]} --help`, help)
}

try {
  const npm = npmCommand()
  const packed = run(npm.command, [
    ...npm.args,
    'pack',
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    scratch,
  ])
  check('npm pack', packed)
  if (packed.ok) {
    const description = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('[')))[0]
    const tarball = join(scratch, description.filename)
    console.log(
      `    ${description.filename}: ${description.files.length} files, ${Math.round(description.size / 1024)} KiB`,
    )
    checkContents(description.files.map((file) => file.path.replaceAll('\\', '/')))
    const bin = (name) => join(root, 'node_modules/.bin', name)
    check('publint', run(bin('publint'), [tarball, '--strict']))
    check('attw', run(bin('attw'), [tarball, '--profile', 'esm-only', '--no-emoji']))
    checkImport(tarball)
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
console.log(`package: ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
