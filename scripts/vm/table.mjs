/** The tables of docs/kernels.md, from what is remembered of the last runs on each kernel. */
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { DebianError } from '../setup/debian.mjs'
import { root } from '../setup/project.mjs'
import { ATTACH_TYPES } from './attach-types.mjs'
import { say } from './cache.mjs'
import { CHECK_GROUPS, checksOf, passedOf } from './checks.mjs'
import { kernelSuites } from './kernels.mjs'
import { HOST } from './options.mjs'
import { count } from '../setup/test-results.mjs'
import { recall } from './results.mjs'

const document = join(root, 'docs/kernels.md')
const checkList = join(root, 'docs/checks.md')

/** Why a suite was skipped stands at the end of its title: `kprobe [needs CONFIG_KPROBES]`. */
/** Contract tests run on both kernels: the suite's title says on which. */
const FALLBACK = / \(fallback[^)]*\)$/

const NOTE = / \[((?:needs|runs) [^\]]*)\]$/

/**
 * Writes the tables between the marks in the document, `<!-- runs -->`, `<!-- attach types -->` and `<!-- checks -->`, each up to `<!-- end -->`; and
 * docs/checks.md, which has a row for each check.
 *
 * @throws {DebianError} if nothing has been run
 */
export async function writeTables() {
  const runs = [...kernelSuites.keys(), HOST].flatMap((name) => {
    const run = recall(name)
    return run === undefined ? [] : [{ name, ...run, tests: namedTests(run.files) }]
  })
  if (runs.length === 0) throw new DebianError('there are no results yet: npm run test:vm')
  let text = readFileSync(document, 'utf8')
  text = replaceBlock(text, 'runs', runsTable(runs))
  text = replaceBlock(text, 'attach types', attachTable(runs))
  const checked = runs.map((run) => checksOf(run.tests))
  text = replaceBlock(text, 'checks', checksTable(runs, checked))
  writeFileSync(document, await format(text, { ...(await resolveConfig(document)), filepath: document }))
  const list = replaceBlock(readFileSync(checkList, 'utf8'), 'checks', checksByName(runs, checked))
  writeFileSync(checkList, await format(list, { ...(await resolveConfig(checkList)), filepath: checkList }))
  say(`docs/kernels.md: ${ATTACH_TYPES.size} attach types, ${runs.length} kernels`)
  for (const [index, run] of runs.entries()) say(`${run.name}: ${totalOf(checked[index])} checks passed`)
  const untested = [...ATTACH_TYPES].filter(([, patterns]) =>
    runs.every(({ tests }) => matching(tests, patterns).length === 0),
  )
  if (untested.length > 0) say(`no test of ${untested.map(([type]) => type).join(', ')}`)
}

/** The tests, by the names that {@link ATTACH_TYPES} knows them by, with their states and why they were skipped. Those of the fallback aren't a kernel's. */
function namedTests(files) {
  return Object.entries(files).flatMap(([file, { tests }]) =>
    tests
      .filter((titles) => !titles.some((title) => FALLBACK.test(title)))
      .map(([state, ...titles]) => ({
        state,
        name: [basename(file, '.test.ts'), ...titles.map((title) => title.replace(NOTE, ''))].join(' > '),
        reason: titles.map((title) => NOTE.exec(title)?.[1]).find((note) => note !== undefined),
      })),
  )
}

function runsTable(runs) {
  const rows = runs.map(({ name, release, version, files }) => {
    const { passed, failed, skipped } = count(testsByFile(files))
    const oldest = Object.values(files).reduce((day, file) => (file.day < day ? file.day : day), '9999')
    return [name, name === HOST ? numberOf(release) : release, version, passed, failed, skipped, oldest]
  })
  return table(['`--kernel`', 'Linux', 'package', 'passed', 'failed', 'skipped', 'run since'], rows)
}

/** `6.12.95` of `6.12.95-1~bpo12+1`. Debian's kernels call themselves `6.1.0`, whatever they are. */
const numberOf = (release) => /^[\d.]+/.exec(release)?.[0] ?? release

const testsByFile = (files) =>
  Object.fromEntries(Object.entries(files).map(([file, { tests }]) => [file, tests]))

/** How kernels are named at the heads of columns. */
const headsOf = (runs) =>
  runs.map(({ name, release, version }) =>
    name === HOST ? `${numberOf(release)} (host)` : numberOf(version),
  )

const totalOf = (groups) => [...groups.values()].reduce((sum, states) => sum + passedOf(states), 0)

function checksTable(runs, checked) {
  const rows = [...CHECK_GROUPS].map(([group, { unit }]) => [
    group,
    unit,
    ...checked.map((groups) => {
      const states = groups.get(group)
      const failed = [...states.values()].filter((state) => state === 'failed').length
      return failed > 0 ? `${passedOf(states)}, **${failed} failed**` : passedOf(states)
    }),
  ])
  const sums = ['**all**', '', ...checked.map((groups) => `**${totalOf(groups)}**`)]
  return table(['checks', 'one of them is', ...headsOf(runs)], [...rows, sums])
}

const SIGNS = { passed: 'yes', failed: '**failed**', skipped: '–' }

/** A table for each group: its checks, by name. */
function checksByName(runs, checked) {
  const parts = [...CHECK_GROUPS.keys()].map((group) => {
    const names = [...new Set(checked.flatMap((groups) => [...groups.get(group).keys()]))].toSorted((a, b) =>
      a.localeCompare(b),
    )
    const rows = names.map((name) => [
      name.replaceAll('|', '\\|'),
      ...checked.map((groups) => SIGNS[groups.get(group).get(name)] ?? ''),
    ])
    return `## ${group}\n\n${table(['check', ...headsOf(runs)], rows)}`
  })
  return parts.join('\n\n')
}

function attachTable(runs) {
  const heads = headsOf(runs)
  const rows = [...ATTACH_TYPES].map(([type, patterns]) => {
    const cells = runs.map(({ tests }) => cell(matching(tests, patterns)))
    // Of a test that there is, a run of other files alone tells nothing.
    const isTested = cells.some((one) => one !== NO_TEST)
    return [type, ...cells.map((one) => (one === NO_TEST && isTested ? 'not run' : one))]
  })
  return table(['attach type', ...heads], rows)
}

const matching = (tests, patterns) => tests.filter(({ name }) => patterns.some((one) => one.test(name)))

const NO_TEST = 'no test'

/** What the tests of an attach type say of it on a kernel. */
export function cell(tests) {
  const numbers = { passed: 0, failed: 0, skipped: 0 }
  for (const { state } of tests) numbers[state]++
  if (tests.length === 0) return NO_TEST
  if (numbers.failed > 0) return `**${numbers.failed} failed**`
  if (numbers.passed > 0) return `yes (${numbers.passed})`
  const reasons = new Set(tests.flatMap(({ reason }) => reason ?? []))
  return (
    [...reasons].map((reason) => reason.replace(/^runs in virtual machines.*/, 'in VMs only')).join(', ') ||
    'skipped'
  )
}

function table(heads, rows) {
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function replaceBlock(text, name, content) {
  const start = `<!-- ${name} -->`
  const from = text.indexOf(start)
  const to = text.indexOf('<!-- end -->', from)
  if (from < 0 || to < 0) throw new DebianError(`docs/kernels.md has no place for its table of ${name}`)
  return `${text.slice(0, from + start.length)}\n\n${content}\n\n${text.slice(to)}`
}
