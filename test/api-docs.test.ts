/** docs/api has a place for every public name. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const folder = new URL('../docs/api/', import.meta.url)
const page = (name: string): string => readFileSync(new URL(name, folder), 'utf8')

/** What lib/index.ts exports by name. */
function exportedNames(): readonly string[] {
  const source = readFileSync(new URL('../lib/index.ts', import.meta.url), 'utf8')
  return [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
    .flatMap(([, list = '']) => list.split(','))
    .map((entry) => entry.trim().split(' as ').at(-1) ?? '')
    .filter((name) => name !== '')
}

describe('docs/api', () => {
  it('lists every public name', () => {
    const names = exportedNames()
    expect(names.length).toBeGreaterThan(100)
    const known = new Set(page('README.md').match(/\w+/g))
    expect(names.filter((name) => !known.has(name))).toEqual([])
  })

  it('links to its pages, each of which has an example', () => {
    const pages = readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md')
    const index = page('README.md')
    expect(pages.filter((name) => !index.includes(`(${name})`))).toEqual([])
    expect(pages.filter((name) => !page(name).includes('```ts'))).toEqual([])
  })
})
