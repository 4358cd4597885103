/** How `libbpf-node verify` prints verdicts. */
import { isAbsolute, normalize, relative } from 'node:path'
import { errnoName } from '../linux/errno.js'
import { explanationText } from '../verifier-explanation.js'
import type { ProgramVerdict } from '../verify.js'
import { section } from './table.js'

export type FormatName = 'text' | 'json' | 'github'

/** @param withLog a person asked for the log */
type Format = (verdicts: readonly ProgramVerdict[], withLog: boolean) => string

export const FORMATS: Readonly<Record<FormatName, Format>> = {
  text: asText,
  json: (verdicts) => `${JSON.stringify(verdicts, null, 2)}\n`,
  github: (verdicts) => verdicts.map(annotation).join(''),
}

function asText(verdicts: readonly ProgramVerdict[], withLog: boolean): string {
  const table = section(
    'Programs',
    ['name', 'type', 'verdict', 'errno', 'insns', 'peak states', 'ms', 'reason'],
    verdicts.map((verdict) => [
      verdict.program,
      verdict.type,
      verdict.accepted ? 'accepted' : 'refused',
      verdict.accepted ? '-' : errnoName(verdict.errno),
      verdict.insnsProcessed ?? '-',
      verdict.peakStates ?? '-',
      verdict.milliseconds?.toFixed(2) ?? '-',
      verdict.reason ?? '',
    ]),
  )
  return [table, ...verdicts.map((verdict) => details(verdict, withLog))].filter(Boolean).join('\n')
}

function details({ program, explanation, log }: ProgramVerdict, withLog: boolean): string {
  const why = explanation === undefined ? '' : `${program}: ${explanationText(explanation)}`
  return log === '' || !withLog ? why : `${why}${why === '' ? '' : '\n'}Log of ${program}\n${log}`
}

/** A line that GitHub Actions shows at the line of the source. */
function annotation({ program, accepted, reason = '', explanation }: ProgramVerdict): string {
  if (accepted) return ''
  const { source, hint } = explanation ?? {}
  const properties = [
    ...(source === undefined || source.line === 0
      ? []
      : [`file=${escapeProperty(fromHere(source.file))}`, `line=${source.line}`]),
    ...(source === undefined || source.column === 0 ? [] : [`col=${source.column}`]),
    `title=${escapeProperty(`BPF program ${program} is refused`)}`,
  ]
  const message = hint === undefined ? reason : `${reason}\n${hint}`
  return `::error ${properties.join(',')}::${escapeData(message)}\n`
}

/** GitHub knows files by their paths in the repository, in which the command runs. */
function fromHere(file: string): string {
  return isAbsolute(file) ? relative(process.cwd(), file) : normalize(file)
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
