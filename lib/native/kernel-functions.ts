/** Functions of the running kernel, by name. */
import { existsSync, readFileSync } from 'node:fs'

/** Where tracefs may be mounted; debugfs shows it too. */
const TRACEFS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] as const

/** The mounted tracefs; undefined: there is none, or it may not be read. */
export function tracefs(): string | undefined {
  return TRACEFS.find((folder) => existsSync(`${folder}/events`))
}

/** All functions, of modules too: /proc/kallsyms. */
export function kernelFunctions(): ReadonlySet<string> {
  const names = new Set<string>()
  for (const [, name = ''] of readOr('/proc/kallsyms').matchAll(/^[0-9a-f]+ [tTwW] (\S+)/gm)) names.add(name)
  return names
}

/**
 * Functions that kprobe.multi, fentry and fexit can be attached to: those that tracefs lists, or else all.
 *
 * @returns in the order of the kernel, each once
 */
export function traceableFunctions(): ReadonlySet<string> {
  const folder = tracefs()
  const text = folder === undefined ? '' : readOr(`${folder}/available_filter_functions`)
  const names = new Set<string>()
  for (const line of text.split('\n')) {
    const name = /^\S+/.exec(line)?.[0]
    // What ftrace calls a place whose function was never linked in.
    if (name !== undefined && !name.startsWith('__ftrace_invalid_address__')) names.add(name)
  }
  return names.size > 0 ? names : kernelFunctions()
}

/** There is no list of them, but functions and records that are named after them. */
export function rawTracepoints(): ReadonlySet<string> {
  const names = new Set<string>()
  for (const [, name = ''] of readOr('/proc/kallsyms').matchAll(/ __trace(?:iter|point)_(\S+)/g)) names.add(name)
  return names
}

/** All symbols, of data too. */
export function kernelSymbols(): ReadonlySet<string> {
  const names = new Set<string>()
  for (const [, name = ''] of readOr('/proc/kallsyms').matchAll(/^[0-9a-f]+ \S (\S+)/gm)) names.add(name)
  return names
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
