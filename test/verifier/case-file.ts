/**
 * Cases for verifiers as text: programs, what they are loaded as, and what Linux says of them. test/verifier/cases/README.md describes the format.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A map of a case: as it is written. */
export interface CaseMap {
  readonly name: string
  /** bpftool's name: `hash`. */
  readonly type: string
  readonly options: ReadonlyMap<string, string>
}

/** What is expected, as it is written. */
export interface Expectation {
  readonly accepted: boolean
  /** Slot of the instruction at fault; undefined: refused as a whole. */
  readonly insn: number | undefined
  readonly reason: string | undefined
}

/** What is loaded. */
export interface CaseBody {
  /** `type`, `attach`, `license` … by name. */
  readonly settings: ReadonlyMap<string, string>
  readonly maps: readonly CaseMap[]
  readonly structures: readonly string[]
  /** Declarations of functions that the kernel has. */
  readonly kernel: readonly string[]
  /** Declarations of functions by the label that they start at; `main` is the program. */
  readonly functions: ReadonlyMap<string, string>
  /** Assembly, without fragments and holes. */
  readonly code: string
  /** Of an extension: the function whose place it takes, and the program that the function is of. */
  readonly replaces?: { readonly program: CaseBody; readonly name: string }
}

/** One program. */
export interface Case extends CaseBody {
  /** File, rule and variant. */
  readonly topic: string
  readonly rule: string
  /** What stands in the rule's place of `$`. */
  readonly variant: string | undefined
  readonly expected: Expectation
  /** Line of the file with the expectation. */
  readonly line: number
}

const FOLDER = join(import.meta.dirname, 'cases')
const EXTENSION = '.cases'
const PRELUDE = 'prelude'
/** Names of settings: lines that start with one of them are no code. */
const SETTINGS = ['type', 'attach', 'license', 'flags', 'since', 'only', 'target', 'capabilities'] as const
const EXPECTATION = /^(accepted|rejected)\b:?(?:[ \t]+(?!=>)(.*?))?(?:[ \t]*=>[ \t]*(?:(\d+|-): )?(.*))?$/
const HOLE = '$'

interface Scope {
  readonly maps: CaseMap[]
  readonly structures: string[]
  readonly kernel: string[]
  readonly fragments: Map<string, string>
  readonly defines: Map<string, string>
  /** Programs that extensions extend, as lines. */
  readonly programs: Map<string, readonly string[]>
}

/** Topics: the names of the files. */
export function topics(): readonly string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(EXTENSION) && name !== PRELUDE + EXTENSION)
    .map((name) => name.slice(0, -EXTENSION.length))
    .sort()
}

export const pathOf = (topic: string): string => join(FOLDER, topic + EXTENSION)

export function casesOf(topic: string): readonly Case[] {
  const prelude = readFileSync(pathOf(PRELUDE), 'utf8')
  return parseCases(topic, readFileSync(pathOf(topic), 'utf8'), prelude)
}

export function parseCases(topic: string, text: string, prelude = ''): readonly Case[] {
  const scope: Scope = {
    maps: [],
    structures: [],
    kernel: [],
    fragments: new Map(),
    defines: new Map(),
    programs: new Map(),
  }
  readScope(prelude.split('\n'), scope)
  const lines = text.split('\n')
  const starts = lines.flatMap((line, i) => (line.startsWith('## ') ? [i] : []))
  readScope(lines.slice(0, starts[0]), scope)
  return starts.flatMap((start, i) => {
    const rule = (lines[start] ?? '').slice(3).trim()
    try {
      return casesOfRule({
        topic,
        rule,
        scope,
        lines: lines.slice(start + 1, starts[i + 1]),
        first: start + 2,
      })
    } catch (error) {
      throw new Error(`${topic}: ${rule}: ${(error as Error).message}`, { cause: error })
    }
  })
}

/** Maps, structures, fragments, definitions and programs. */
function readScope(lines: readonly string[], scope: Scope): void {
  let fragment: string | undefined
  let program: string[] | undefined
  for (const line of lines) {
    const [, name] = /^program (\w+)$/.exec(line) ?? []
    if (name !== undefined) scope.programs.set(name, (program = []))
    else if (line === 'end') program = undefined
    else program?.push(line)
    if (name !== undefined || line === 'end' || program !== undefined) continue
    if (line.startsWith(' ') || line.startsWith('\t') || /^\w+:$/.test(line)) {
      if (fragment === undefined) throw new Error(`code outside of a fragment: ${line}`)
      scope.fragments.set(fragment, `${scope.fragments.get(fragment) ?? ''}${line}\n`)
      continue
    }
    const [, word = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
    fragment = word === 'fragment' ? rest.trim() : undefined
    if (fragment !== undefined) scope.fragments.set(fragment, '')
    else if (word === 'define') {
      const [name = '', ...value] = rest.split(/\s+/)
      scope.defines.set(name, value.join(' '))
    } else if (!isComment(line)) readDeclaration(line, scope)
  }
}

type Declarations = Pick<Scope, 'maps' | 'structures' | 'kernel'>

const isComment = (line: string): boolean =>
  line.trim() === '' || line.startsWith('//') || line.startsWith('# ')

function readDeclaration(line: string, { maps, structures, kernel }: Declarations): void {
  if (line.startsWith('kernel ')) {
    kernel.push(line.slice('kernel '.length))
    return
  }
  if (line.startsWith('struct ')) {
    structures.push(line)
    return
  }
  const [, name = '', type = '', rest = ''] = /^map (\w+) = (\w+)\s*(.*)$/.exec(line) ?? []
  if (name === '') throw new Error(`neither a map nor a structure: ${line}`)
  const options = new Map<string, string>()
  for (const [, key = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g)) options.set(key, value)
  maps.push({ name, type, options })
}

interface RuleText {
  readonly topic: string
  readonly rule: string
  readonly scope: Scope
  readonly lines: readonly string[]
  readonly first: number
}

function casesOfRule({ topic, rule, scope, lines, first }: RuleText): readonly Case[] {
  const body: string[] = []
  const cases: Case[] = []
  lines.forEach((line, i) => {
    const found = /^(accepted|rejected)\b/.test(line) ? EXPECTATION.exec(line.trimEnd()) : null
    if (found === null) {
      if (cases.length > 0 && !isComment(line)) throw new Error(`after what is expected: ${line}`)
      body.push(line)
      return
    }
    const [, verdict, filling, insn, reason] = found
    const hole = body.join('\n').includes(HOLE)
    if (hole !== (filling !== undefined)) throw new Error(`$ and what fills it: ${line}`)
    const variant = filling === '(nothing)' ? '' : filling
    const filled = body.map((each) => fill(each, variant ?? ''))
    cases.push({
      topic,
      rule,
      variant: filling,
      line: first + i,
      expected: {
        accepted: verdict === 'accepted',
        insn: insn === undefined || insn === '-' ? undefined : Number(insn),
        reason: reason === '' ? undefined : reason,
      },
      ...readBody(filled.join('\n').split('\n'), scope),
    })
  })
  if (cases.length === 0) throw new Error('nothing is expected')
  return cases
}

/** Statements of a filling are parted by `;`. Offsets may be negative: `(r1 +-4)`. */
function fill(line: string, filling: string): string {
  if (!line.includes(HOLE)) return line
  return line.replaceAll(HOLE, () => filling.replaceAll(/;\s*/g, '\n ')).replaceAll(/\+\s*-/g, '-')
}

function readBody(lines: readonly string[], scope: Scope): CaseBody {
  const settings = new Map<string, string>()
  const functions = new Map<string, string>()
  const own = { maps: [...scope.maps], structures: [...scope.structures], kernel: [...scope.kernel] }
  const code: string[] = []
  for (const line of lines) {
    if (isComment(line)) continue
    if (line.startsWith(' ') || line.startsWith('\t') || /^\w+:\s*$/.test(line)) {
      code.push(...expand(line, scope))
      continue
    }
    const [, word = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
    if ((SETTINGS as readonly string[]).includes(word)) settings.set(word, rest.trim())
    else if (word === 'func') {
      const [, label = '', declaration = ''] = /^(\w+)\s*=\s*(.*)$/.exec(rest) ?? []
      functions.set(label, declaration)
    } else readDeclaration(line, own)
  }
  const body = { settings, functions, ...own, code: code.join('\n') }
  if (settings.get('type') !== 'ext') return body
  const [program = '', name = ''] = settings.get('target')?.split(' ') ?? []
  const extended = scope.programs.get(program)
  return extended === undefined ? body : { ...body, replaces: { program: readBody(extended, scope), name } }
}

/** Puts fragments and definitions in: ` @lookup values`. */
function expand(line: string, scope: Scope, depth = 0): readonly string[] {
  const [, name, argument = ''] = /^\s*@(\w+)\s*(.*)$/.exec(line) ?? []
  if (name === undefined)
    return [line.replaceAll(/\b[A-Z][A-Z_0-9]+\b/g, (word) => scope.defines.get(word) ?? word)]
  const fragment = scope.fragments.get(name)
  if (fragment === undefined || depth > 8) throw new Error(`no fragment '${name}'`)
  return fragment
    .replaceAll(/\bARG\b/g, () => argument.trim())
    .split('\n')
    .flatMap((each) => expand(each, scope, depth + 1))
}

/** Name of a case: unique in its topic. */
export function titleOf({ rule, variant }: Case): string {
  return variant === undefined ? rule : `${rule}: ${variant}`
}

/** `accepted`, or the instruction and reason. */
export function expectationText({ accepted, insn, reason }: Expectation): string {
  return accepted ? 'accepted' : `${insn ?? '-'}: ${reason ?? ''}`
}
