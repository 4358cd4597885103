/**
 * What both generators share: whether code may be generated at all, how names get into it, and how much it may be.
 *
 * Names come from object files, and files are not trusted: no text of theirs enters code but through `JSON.stringify`,
 * inside quotes.
 */
import { eachStruct, type Layout } from './layout.js'

let allowed: boolean | undefined

/** False under `--disallow-code-generation-from-strings` or a content security policy without `unsafe-eval`. */
export function mayGenerateCode(): boolean {
  if (allowed === undefined) {
    try {
      allowed = compile('', 'return true', undefined) === true
    } catch {
      allowed = false
    }
  }
  return allowed
}

/** Most fields and array elements that are spelled out in the code of one codec: some 100 KB of source. */
const MAX_GENERATED_FIELDS = 4096

/** Whether the code for a layout would be of a reasonable size. Arrays are loops, structs functions that are shared. */
export function worthGenerating(layout: Layout): boolean {
  let fields = 0
  eachStruct(layout, (struct) => (fields += struct.fields.length))
  return fields <= MAX_GENERATED_FIELDS
}

/**
 * Runs `body` as a function of one parameter, an object whose properties are visible in it by name.
 *
 * @param names what `body` takes from `environment`: identifiers of ours
 */
export function compile(names: string, body: string, environment: unknown): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- the point of this folder; see the rule about names above
  const make = new Function('environment', `'use strict'\nconst {${names}} = environment ?? {}\n${body}`) as (
    environment: unknown,
  ) => unknown
  return make(environment)
}

/** `bytes[at + 3]`. */
export function byteAt(offset: number): string {
  return `bytes[${indexAt(offset)}]`
}

/** `at + 3`. */
export function indexAt(offset: number): string {
  return offset === 0 ? 'at' : `at + ${offset}`
}

/** A name as a string literal. */
export function quote(name: string): string {
  return JSON.stringify(name)
}
