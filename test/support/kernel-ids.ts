/** What there is in the kernel, whoever made it: asked from outside of the library that is tested. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { plainEnvironment } from './plain-environment.js'

export interface KernelIds {
  readonly maps: readonly number[]
  readonly programs: readonly number[]
  readonly links: readonly number[]
}

/** A program that lists the ids of the whole kernel. It takes a C compiler and libbpf's headers, as the addon does. */
export class KernelCensus implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'libbpf-node-'))
  readonly #program = join(this.#folder, 'kernel-ids')

  constructor() {
    const source = fileURLToPath(new URL('kernel-ids.c', import.meta.url))
    execFileSync('cc', ['-Wall', '-o', this.#program, source, '-lbpf'], { env: plainEnvironment() })
  }

  /** Those of `ids` that are still there. */
  remaining({ maps, programs, links }: KernelIds): KernelIds {
    const [allMaps, allPrograms, allLinks] = execFileSync(this.#program, {
      encoding: 'utf8',
      env: plainEnvironment(),
    })
      .split('\n')
      .map((line) => new Set(line.trim().split(' ').map(Number)))
    const alive = (some: readonly number[], all: ReadonlySet<number> | undefined): readonly number[] =>
      some.filter((id) => all?.has(id))
    return {
      maps: alive(maps, allMaps),
      programs: alive(programs, allPrograms),
      links: alive(links, allLinks),
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true })
  }
}
