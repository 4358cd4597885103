/** `--help` of scripts: their own first comment, which says what they do and take. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The first comment of a script, without its asterisks. @param url  `import.meta.url` of the script */
export function usageOf(url) {
  const source = readFileSync(fileURLToPath(url), 'utf8')
  const comment = /^\/\*\*([\s\S]*?)\*\//m.exec(source)?.[1] ?? ''
  return comment
    .split('\n')
    .map((line) => line.replace(/^ \* ?/, '').trimEnd())
    .join('\n')
    .trim()
}

/**
 * Answers `--help` and `-h`, and refuses options that the script doesn't have.
 *
 * @param url      `import.meta.url` of the script
 * @param options  those it has: `--check`; undefined: others are passed on to another program, which knows its own
 * @returns whether the script is to go on; if not, all is said, and the exit code set
 */
export function checkUsage(url, options, args = process.argv.slice(2)) {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(usageOf(url))
    return false
  }
  const unknown = args.find(
    (argument) => argument.startsWith('-') && !(options ?? [argument]).includes(argument.replace(/=.*/, '')),
  )
  if (unknown === undefined) return true
  console.error(
    `unknown option '${unknown}': there ${options.length === 0 ? 'is' : `are ${options.join(', ')} and`} --help`,
  )
  process.exitCode = 1
  return false
}
