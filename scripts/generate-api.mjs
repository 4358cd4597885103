/**
 * The public API as one file, docs/api/public-api.txt: every declaration that the package's entries give, and every one that these
 * name. A change of surface shows in the diff, and is a deliberate act.
 *
 *   node scripts/generate-api.mjs           writes it
 *   node scripts/generate-api.mjs --check   fails if it isn't what the sources say
 *
 * Comments, private members and what is marked @internal are left out.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { parseAst } from 'vite'
import { root } from './setup/project.mjs'

const GOLDEN = join(root, 'docs/api/public-api.txt')
const ENTRIES = [
  ['libbpf-node', 'lib/index.d.ts'],
  ['libbpf-node/fallback', 'lib/fallback/index.d.ts'],
  ['libbpf-node/isa', 'lib/isa/index.d.ts'],
]

const isNode = (value) => typeof value === 'object' && value !== null && typeof value.type === 'string'

function* walk(node) {
  yield node
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* walk(child)
  }
}

/** Files by path: what they declare, what they import under which name, and what they export from elsewhere. */
const files = new Map()

function fileAt(path) {
  let file = files.get(path)
  if (file === undefined) files.set(path, (file = readFile(path)))
  return file
}

function readFile(path) {
  const text = readFileSync(path, 'utf8')
  const tree = parseAst(text, { lang: 'dts' }, path)
  const file = { path, text, declared: new Map(), imported: new Map(), exported: new Map() }
  const at = (specifier) => resolve(dirname(path), specifier.replace(/\.js$/, '.d.ts'))
  for (const statement of tree.body) {
    const { type, source, declaration } = statement
    if (type === 'ImportDeclaration' && source.value.startsWith('.')) {
      for (const { imported, local } of statement.specifiers)
        file.imported.set(local.name, [at(source.value), imported?.name ?? 'default'])
    } else if (type === 'ExportNamedDeclaration' && source !== null) {
      for (const { local, exported } of statement.specifiers)
        file.exported.set(exported.name, [at(source.value), local.name])
    } else if (type === 'ExportAllDeclaration') {
      for (const [name, from] of fileAt(at(source.value)).exported) file.exported.set(name, from)
    } else if (type === 'ExportNamedDeclaration' && isNode(declaration)) {
      for (const name of namesOf(declaration)) {
        file.declared.set(name, [...(file.declared.get(name) ?? []), statement])
        file.exported.set(name, [path, name])
      }
    } else if (type !== 'ExportNamedDeclaration') {
      for (const name of namesOf(statement))
        file.declared.set(name, [...(file.declared.get(name) ?? []), statement])
    }
  }
  return file
}

function namesOf(declaration) {
  if (declaration.type === 'VariableDeclaration') return declaration.declarations.map(({ id }) => id.name)
  return declaration.id?.name === undefined ? [] : [declaration.id.name]
}

/** Where a name that a file uses or exports is declared; undefined for what isn't ours. */
function find(path, name, how) {
  const file = fileAt(path)
  if (how === 'used' && file.declared.has(name)) return { file, name }
  const from = how === 'used' ? file.imported.get(name) : file.exported.get(name)
  if (from === undefined) return file.declared.has(name) ? { file, name } : undefined
  return from[0] === path ? { file, name: from[1] } : find(from[0], from[1], 'exported')
}

/** Spans of a declaration that aren't public: comments, private members, and members behind an @internal comment. */
function hidden(text, start, end, statement) {
  const spans = []
  for (const match of text.slice(start, end).matchAll(/[ \t]*\/\*[^]*?\*\/[ \t]*\n?|[ \t]*\/\/[^\n]*\n?/g))
    spans.push([start + match.index, start + match.index + match[0].length])
  for (const node of walk(statement)) {
    for (const member of Array.isArray(node.body) ? node.body : []) {
      const before = text.slice(start, member.start)
      const comment = /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*$/.exec(before)?.[1] ?? ''
      const isPrivate =
        member.accessibility === 'private' ||
        member.key?.type === 'PrivateIdentifier' ||
        comment.includes('@internal')
      if (isPrivate) spans.push([member.start, member.end])
    }
  }
  return spans
}

/** The text without the spans, and without the lines that this leaves empty. */
function without(text, start, end, spans) {
  let result = ''
  let at = start
  for (const [from, to] of spans.sort((a, b) => a[0] - b[0])) {
    if (from > at) result += text.slice(at, from)
    at = Math.max(at, to)
  }
  result += text.slice(at, end)
  return result
    .split('\n')
    .filter((line) => line.trim() !== '')
    .join('\n')
}

/** A declaration as text, and the names that it uses. */
function describe({ file, name }) {
  const used = new Set()
  const parts = []
  for (const statement of file.declared.get(name) ?? []) {
    const spans = hidden(file.text, statement.start, statement.end, statement)
    parts.push(
      without(file.text, statement.start, statement.end, spans).replace(/^export (declare )?|^declare /, ''),
    )
    for (const node of walk(statement)) {
      const isHidden = spans.some(([from, to]) => node.start >= from && node.end <= to)
      if (node.type === 'Identifier' && !isHidden) used.add(node.name)
    }
  }
  return { text: parts.join('\n'), used }
}

const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

function flatten(folder) {
  const sections = []
  const seen = new Set()
  const behind = new Map()
  const collect = (found) => {
    const { text, used } = describe(found)
    for (const name of used) {
      const target = find(found.file.path, name, 'used')
      if (target === undefined) continue
      const key = `${relative(folder, target.file.path)}#${target.name}`
      if (seen.has(key)) continue
      seen.add(key)
      behind.set(key, target)
    }
    return text
  }
  for (const [entry, path] of ENTRIES) {
    const file = fileAt(join(folder, path))
    const exported = [...file.exported.keys()].sort(byText).map((name) => {
      const found = find(file.path, name, 'exported')
      if (found === undefined) throw new Error(`${path} exports '${name}', which nothing declares`)
      seen.add(`${relative(folder, found.file.path)}#${found.name}`)
      return found
    })
    sections.push(`# ${entry}\n`, ...exported.map((found) => `${collect(found)}\n`))
  }
  // What they name, and what that names in turn: types without a name of their own outside.
  const named = []
  for (const [key, target] of behind) named.push([key, collect(target)])
  named.sort(([a], [b]) => byText(a, b))
  sections.push('# named by these, and not exported\n', ...named.map(([, text]) => `${text}\n`))
  return sections.join('\n')
}

const isCheck = process.argv.includes('--check')
const folder = mkdtempSync(join(tmpdir(), 'api-'))
try {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const args = [
    '-p',
    'tsconfig.build.json',
    '--emitDeclarationOnly',
    '--incremental',
    'false',
    '--tsBuildInfoFile',
    'null',
    '--outDir',
    folder,
  ]
  const { status } = spawnSync(process.execPath, [tsc, ...args], { cwd: root, stdio: 'inherit' })
  if (status !== 0) throw new Error('the declarations could not be made')
  const text = flatten(folder)
  if (!isCheck) writeFileSync(GOLDEN, text)
  else if (read(GOLDEN) !== text) {
    console.error(
      'docs/api/public-api.txt is not the public API. If the change is meant: node scripts/generate-api.mjs',
    )
    process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true })
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
