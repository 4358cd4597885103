/** The house's rules that a compiler doesn't know: which floor may import which, and what the lower ones may use. */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAst } from 'vite'
import { describe, expect, it } from 'vitest'

const lib = join(dirname(fileURLToPath(import.meta.url)), '../lib')

/** Lower may not import higher. Rooms that share a floor don't import one another, save on the ground floor. */
const floors: readonly (readonly string[])[] = [
  ['linux', 'errors.ts', 'nearest.ts', 'verifier-log.ts'],
  ['elf', 'btf', 'isa', 'cbpf'],
  ['object-file', 'codec', 'attach-request.ts', 'link-info.ts', 'kernel-introspection.ts'],
  ['kernel'],
  ['kernel.ts'],
  ['native', 'fallback'],
  ['(public classes)'],
  ['skeleton', 'testing', 'cli'],
]

/** These run anywhere that has JavaScript and WebAssembly: a browser page, one day. */
const portable = new Set([
  'linux',
  'errors.ts',
  'nearest.ts',
  'verifier-log.ts',
  'elf',
  'btf',
  'isa',
  'cbpf',
  'object-file',
  'codec',
  'attach-request.ts',
  'link-info.ts',
  'kernel',
  'kernel.ts',
  'kernel-introspection.ts',
  'fallback',
])

const nodeGlobals = new Set([
  'Buffer',
  'process',
  'global',
  'require',
  'module',
  '__dirname',
  '__filename',
  'setImmediate',
  'clearImmediate',
])

interface Node {
  readonly type: string
  readonly start: number
  readonly [key: string]: unknown
}

interface Source {
  /** Path in lib/, with slashes. */
  readonly path: string
  /** The folder in lib/, or the file's name for those that have a floor of their own. */
  readonly room: string
  readonly text: string
  readonly tree: Node
}

const rooms = new Set(floors.flat())

/** Folders of the public classes' floor: each a family of what they do. */
const families = new Set(['attach', 'features', 'introspection'])

function roomOf(path: string): string {
  const first = path.split('/')[0] ?? path
  if (families.has(first)) return '(public classes)'
  if (first !== path || rooms.has(first)) return first
  return '(public classes)'
}

function parse(path: string, text: string): Source {
  return { path, room: roomOf(path), text, tree: parseAst(text, { lang: 'ts' }) as unknown as Node }
}

const sources = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
  .map((path) => parse(path.replaceAll('\\', '/'), readFileSync(join(lib, path), 'utf8')))

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value

/** Every node of a tree, with the node and the property that it hangs on. */
function* walk(
  node: Node,
  parent?: Node,
  property?: string,
): Generator<{ node: Node; parent?: Node; property?: string }> {
  yield { node, ...(parent === undefined ? {} : { parent }), ...(property === undefined ? {} : { property }) }
  for (const [key, value] of Object.entries(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) yield* walk(child, node, key)
    }
  }
}

/** What a file imports, re-exports or names in `import('…')`. */
function importsOf(source: Source): string[] {
  const found: string[] = []
  for (const { node } of walk(source.tree)) {
    const from = node['source'] ?? (node.type === 'TSImportType' ? node['argument'] : undefined)
    if (isNode(from))
      found.push(String(from['value'] ?? (isNode(from['literal']) ? from['literal']['value'] : from.type)))
  }
  return found
}

/** The identifiers that are used as values and not defined in the file: as good as globals for the names we look for. */
function globalsOf(source: Source): string[] {
  const used = new Set<string>()
  for (const { node, parent, property } of walk(source.tree)) {
    if (node.type !== 'Identifier' || parent === undefined) continue
    const isName =
      (parent.type === 'MemberExpression' && property === 'property' && parent['computed'] !== true) ||
      (property === 'key' && parent['computed'] !== true && parent['shorthand'] !== true) ||
      parent.type === 'TSQualifiedName'
    if (!isName) used.add(String(node['name']))
  }
  for (const { node } of walk(source.tree)) {
    // A parameter or variable of that name shadows the global.
    const declared = node.type === 'VariableDeclarator' ? [node['id']] : node['params']
    for (const name of Array.isArray(declared) ? (declared as unknown[]) : []) {
      if (isNode(name) && name.type === 'Identifier') used.delete(String(name['name']))
    }
  }
  return [...used]
}

const floorOf = (room: string): number => floors.findIndex((floor) => floor.includes(room))

/** Why an import breaks the rule, or undefined. */
function breach(source: Source, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  const target = normalize(join(dirname(source.path), specifier)).replaceAll('\\', '/')
  if (target.startsWith('..')) return undefined
  const room = roomOf(target.replace(/\.js$/, '.ts'))
  if (room === source.room) return undefined
  const [from, to] = [floorOf(source.room), floorOf(room)]
  if (to < 0) return `lib/${room} has no floor: add it to the table in this test`
  return to < from || (to === 0 && from === 0)
    ? undefined
    : `lib/${source.path} imports up or sideways: ${specifier}`
}

const breaches = (source: Source): string[] =>
  importsOf(source)
    .map((specifier) => breach(source, specifier))
    .filter((text) => text !== undefined)

/** Circles of imports, types included, as `a.ts → b.ts → a.ts`; each once, from where it was entered. */
function circles(all: readonly Source[]): string[] {
  const graph = new Map(
    all.map((source) => [
      source.path,
      importsOf(source)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => normalize(join(dirname(source.path), specifier)).replaceAll('\\', '/'))
        .map((target) => target.replace(/\.js$/, '.ts')),
    ]),
  )
  const found: string[] = []
  const settled = new Set<string>()
  const way: string[] = []
  const visit = (path: string): void => {
    const start = way.indexOf(path)
    if (start >= 0) found.push([...way.slice(start), path].join(' → '))
    if (start >= 0 || settled.has(path)) return
    way.push(path)
    for (const target of graph.get(path) ?? []) visit(target)
    way.pop()
    settled.add(path)
  }
  for (const path of graph.keys()) visit(path)
  return found
}

const lineOf = (text: string, offset: number): number => text.slice(0, offset).split('\n').length

/** Lines with a `!` that says "not null" without a comment on the line, on the one above, or in the file's heading. */
function unexplainedAssertions(source: Source): string[] {
  const lines = source.text.split('\n')
  if (/^\/\*\*[^]*?\*\//.exec(source.text)?.[0].includes('`!`') === true) return []
  const found = new Set<string>()
  for (const { node } of walk(source.tree)) {
    if (node.type !== 'TSNonNullExpression') continue
    const line = lineOf(source.text, Number(node['end']))
    const near = [lines[line - 1] ?? '', lines[line - 2]?.trim() ?? '']
    if (near[0]?.includes('//') !== true && !/^(\/\/|\*|\/\*)|\*\/$/.test(near[1] ?? ''))
      found.add(`lib/${source.path}:${line}`)
  }
  return [...found]
}

describe('the house', () => {
  it('gives every folder in lib/ a floor', () => {
    expect(sources.map((source) => source.room).filter((room) => floorOf(room) < 0)).toEqual([])
  })

  it('imports point down only', () => {
    expect(sources.flatMap(breaches)).toEqual([])
  })

  it('has no circles of imports', () => {
    expect(circles(sources)).toEqual([])
  })

  it('keeps formats, codec and fallback free of Node modules and packages', () => {
    const outside = sources
      .filter((source) => portable.has(source.room))
      .flatMap((source) =>
        importsOf(source)
          .filter((specifier) => !specifier.startsWith('.'))
          .map((specifier) => `lib/${source.path}: ${specifier}`),
      )
    expect(outside).toEqual([])
  })

  it('keeps formats, codec and fallback free of Node globals', () => {
    const used = sources
      .filter((source) => portable.has(source.room))
      .flatMap((source) =>
        globalsOf(source)
          .filter((name) => nodeGlobals.has(name))
          .map((name) => `lib/${source.path}: ${name}`),
      )
    expect(used).toEqual([])
  })

  it('imports its own files with the .js extension', () => {
    const wrong = sources.flatMap((source) =>
      importsOf(source)
        .filter((specifier) => specifier.startsWith('.') && !/\.(js|json)$/.test(specifier))
        .map((specifier) => `lib/${source.path}: ${specifier}`),
    )
    expect(wrong).toEqual([])
  })

  it('states a reason for every non-null assertion', () => {
    expect(sources.flatMap(unexplainedAssertions)).toEqual([])
  })
})

describe('this test', () => {
  it('sees every kind of import', () => {
    const source = parse(
      'elf/x.ts',
      `import a from '../kernel.js'
       import type { B } from '../btf/types.js'
       export * from '../fallback/index.js'
       const c = await import('../cli/main.js')
       type D = import('../codec/index.js').D`,
    )
    expect(breaches(source)).toHaveLength(5)
  })

  it('sees a circle of imports', () => {
    const around = [
      parse('elf/x.ts', `import type { Y } from './y.js'`),
      parse('elf/y.ts', `export * from '../btf/z.js'`),
      parse('btf/z.ts', `import { x } from '../elf/x.js'`),
    ]
    expect(circles(around)).toEqual(['elf/x.ts → elf/y.ts → btf/z.ts → elf/x.ts'])
  })

  it('allows imports of the same folder and of lower floors', () => {
    expect(
      breaches(
        parse('codec/x.ts', `import './y.js'; import { z } from '../btf/z.js'; import '../errors.js'`),
      ),
    ).toEqual([])
  })

  it('tells a global from a property, a key and a local variable of the same name', () => {
    const globals = (text: string): string[] =>
      globalsOf(parse('elf/x.ts', text)).filter((name) => nodeGlobals.has(name))
    expect(globals('export const a = Buffer.from("x")')).toEqual(['Buffer'])
    expect(globals('export const a = b.process; export const c = { require: 1 }')).toEqual([])
    expect(globals('export function f(process: number) { return process }')).toEqual([])
  })

  it('sees a non-null assertion without a reason', () => {
    expect(unexplainedAssertions(parse('elf/x.ts', 'export const a = b[0]!'))).toEqual(['lib/elf/x.ts:1'])
    expect(unexplainedAssertions(parse('elf/x.ts', 'export const a = b[0]! // i < n'))).toEqual([])
  })

  it('reads the sources of the library', () => {
    expect(sources.map((source) => source.path)).toContain('kernel.ts')
  })
})
