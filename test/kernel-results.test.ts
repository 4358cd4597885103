/** What scripts/test-vm.mjs makes of vitest's reports: numbers, and cells of the table in docs/kernels.md. */
import { describe, expect, it } from 'vitest'

type Tests = readonly (readonly string[])[]
interface Results {
  condense(report: object | undefined, base: string): Readonly<Record<string, Tests>>
  count(files: Readonly<Record<string, Tests>>): object
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
const { condense, count } = (await script('results')) as Results
const { checksOf } = (await script('checks')) as Checks
const { cell } = (await script('table')) as Table

const file = (name: string, status: string, ...states: readonly string[]): object => ({
  name: `/checkout/test/${name}`,
  status,
  assertionResults: states.map((state) => ({ status: state, ancestorTitles: ['a map'], title: 'is read' })),
})

describe('numbers of a run', () => {
  it('count tests by what became of them', () => {
    const testResults = [
      file('a.test.ts', 'failed', 'passed', 'failed'),
      file('b.test.ts', 'passed', 'pending', 'todo'),
    ]
    const files = condense({ testResults }, '/checkout')
    expect(files['test/a.test.ts']).toEqual([
      ['passed', 'a map', 'is read'],
      ['failed', 'a map', 'is read'],
    ])
    expect(count(files)).toEqual({ passed: 1, failed: 1, skipped: 2 })
  })

  it('take a file that breaks, and a report that is missing, for a failed test', () => {
    expect(count(condense({ testResults: [file('a.test.ts', 'failed')] }, '/checkout'))).toMatchObject({
      failed: 1,
    })
    expect(count(condense(undefined, '/checkout'))).toEqual({ passed: 0, failed: 1, skipped: 0 })
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
