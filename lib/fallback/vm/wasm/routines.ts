/** Functions of a module that stand for helpers, made where a program first needs them: all take i32 and give an i32. */
import type { CodeBuffer } from './code-buffer.js'

interface Routine {
  readonly key: string
  readonly parameters: number
  readonly emit: (out: CodeBuffer) => void
}

export class Routines {
  readonly #first: number
  readonly #list: Routine[] = []

  /** @param first index of the first such function in the module */
  constructor(first: number) {
    this.#first = first
  }

  /** Counts of parameters, function by function. */
  get parameters(): readonly number[] {
    return this.#list.map(({ parameters }) => parameters)
  }

  /** Index in the module. @param key what it does, and with what; @param emit writes its body */
  indexFor(key: string, parameters: number, emit: (out: CodeBuffer) => void): number {
    let at = this.#list.findIndex((known) => known.key === key)
    if (at < 0) at = this.#list.push({ key, parameters, emit }) - 1
    return this.#first + at
  }

  emit(out: CodeBuffer): void {
    for (const { emit } of this.#list) emit(out)
  }
}
