/** What scripts/test-vm.mjs makes of vitest's reports: numbers, and cells of the table in docs/kernels.md. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { patience } from './support/patience.js'
import { plainEnvironment } from './support/plain-environment.js'

type Files = Readonly<Record<string, readonly (readonly string[])[]>>
interface TestResults {
  parseResults(text: string): Files
  readResults(path: string): Files
  count(files: Files): object
}
interface Results {
  isLater(run: object, than: object | undefined): boolean
}
interface Checks {
  checksOf(
    tests: readonly { readonly state: string; readonly name: string }[],
  ): ReadonlyMap<string, ReadonlyMap<string, string>>
}
interface Table {
  cell(tests: readonly { readonly state: string; readonly reason?: string }[]): string
}

const script = (name: string): Promise<unknown> =>
  import(new URL(`../scripts/vm/${name}.mjs`, import.meta.url).href)
const { parseResults, readResults, count } = (await script('../setup/test-results')) as TestResults
const { isLater } = (await script('results')) as Results
const { checksOf } = (await script('checks')) as Checks
const { cell } = (await script('table')) as Table

const END = '{"end":"passed","errors":0}'

describe('numbers of a run', () => {
  it('count tests by what became of them', () => {
    const tests = [
      ['passed', 'a map', 'is read'],
      ['failed', 'a map', 'is written'],
      ['skipped', 'a ring'],
    ]
    const files = parseResults(`${JSON.stringify({ file: 'test/a.test.ts', tests })}\n${END}\n`)
    expect(files).toEqual({ 'test/a.test.ts': tests })
    expect(count(files)).toEqual({ passed: 1, failed: 1, skipped: 1 })
  })

  it('take a run without an end, and errors outside of tests, for a failed test', () => {
    const line = JSON.stringify({ file: 'test/a.test.ts', tests: [['passed', 'a map']] })
    expect(count(parseResults(`${line}\n${line.slice(0, 10)}`))).toEqual({ passed: 1, failed: 1, skipped: 0 })
    expect(count(parseResults(`${line}\n{"end":"failed","errors":2}`))).toEqual({
      passed: 1,
      failed: 1,
      skipped: 0,
    })
    expect(count(readResults('/no/such/file'))).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })

  it(
    'have a failure for each suite whose hooks fail, and for a file that does not load',
    { timeout: patience(60_000) },
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'results-'))
      try {
        const vitest = "import { afterAll, beforeAll, describe, expect, it } from 'vitest'\n"
        const failing = "() => { throw new Error('on purpose') }"
        writeFileSync(
          join(folder, 'hooks.test.mjs'),
          `${vitest}
         describe('before', () => { beforeAll(${failing}); it('a', () => {}); describe('inner', () => it('b', () => {})) })
         describe('after', () => { afterAll(${failing}); it('c', () => {}); it('d', ${failing}) })
         describe('outer', () => { it('e', () => {}); it('f', ${failing}) })
         it.skip('g', () => {})`,
        )
        writeFileSync(join(folder, 'all.test.mjs'), `${vitest} beforeAll(${failing}); it('a', () => {})`)
        writeFileSync(join(folder, 'broken.test.mjs'), `${vitest} throw new Error('on purpose')`)
        const results = join(folder, 'results')
        const reporter = fileURLToPath(new URL('../scripts/setup/file-reporter.mjs', import.meta.url))
        const main = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
        const { status } = spawnSync(
          process.execPath,
          [main, 'run', '--root', folder, '--reporter', reporter],
          {
            env: { ...plainEnvironment(), TEST_RESULTS: results },
          },
        )
        const files = readResults(results)
        const of = (name: string) => Object.entries(files).find(([file]) => file.endsWith(name))?.[1]
        expect(status).toBe(1)
        expect(of('hooks.test.mjs')).toEqual([
          ['skipped', 'before', 'a'],
          ['skipped', 'before', 'inner', 'b'],
          ['passed', 'after', 'c'],
          ['failed', 'after', 'd'],
          ['passed', 'outer', 'e'],
          ['failed', 'outer', 'f'],
          ['skipped', 'g'],
          ['failed', 'before', '(before or after its tests)'],
          ['failed', 'after', '(before or after its tests)'],
        ])
        expect(of('all.test.mjs')).toEqual([
          ['skipped', 'a'],
          ['failed', '(the file)'],
        ])
        expect(of('broken.test.mjs')).toEqual([['failed', '(the file)']])
        expect(count(files)).toEqual({ passed: 2, failed: 6, skipped: 4 })
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )

  it('are merged: the later run of a file counts', () => {
    const [morning, noon] = [
      { at: '2026-01-02T08:00:00.000Z', day: '2026-01-02' },
      { at: '2026-01-02T12:00:00.000Z', day: '2026-01-02' },
    ]
    expect([
      isLater(noon, morning),
      isLater(morning, noon),
      isLater(noon, undefined),
      isLater(morning, { day: '2026-01-02' }),
    ]).toEqual([true, false, true, true])
    expect(isLater({ day: '2026-01-02' }, morning)).toBe(false)
    expect(isLater({ day: '2026-01-03' }, morning)).toBe(true)
  })
})

describe('a check', () => {
  const check = (...tests: readonly (readonly [state: string, name: string])[]) =>
    Object.fromEntries(
      checksOf(tests.map(([state, name]) => ({ state, name }))).get('kinds of attachments') ?? [],
    )

  it('is all tests of a kind of attachment together', () => {
    const kprobe = 'links > attachments > kprobe'
    expect(check(['passed', `${kprobe} > fires`], ['skipped', `${kprobe} > is updated`])).toEqual({
      kprobe: 'passed',
    })
    expect(check(['passed', `${kprobe} > fires`], ['failed', `${kprobe} > is pinned`])).toEqual({
      kprobe: 'failed',
    })
    expect(check(['skipped', `${kprobe} > fires`])).toEqual({ kprobe: 'skipped' })
    expect(check(['passed', 'network-links > links > of a netkit pair > netkit, peer > fires'])).toEqual({
      'netkit, peer': 'passed',
    })
  })

  it('is no test of another group', () => {
    expect(check(['passed', 'links > a link (native) > tells what it is'])).toEqual({})
  })
})

describe('a cell of the table', () => {
  it('says whether an attach type works, fails, or why it was not tried', () => {
    expect(cell([])).toBe('no test')
    expect(cell([{ state: 'passed' }, { state: 'passed' }, { state: 'skipped' }])).toBe('yes (2)')
    expect(cell([{ state: 'passed' }, { state: 'failed' }])).toBe('**1 failed**')
    expect(
      cell([
        { state: 'skipped', reason: 'needs Linux 6.6' },
        { state: 'skipped', reason: 'needs Linux 6.6' },
      ]),
    ).toBe('needs Linux 6.6')
    expect(cell([{ state: 'skipped', reason: 'runs in virtual machines: npm run test:vm' }])).toBe(
      'in VMs only',
    )
  })
})
