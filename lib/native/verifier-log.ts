/** What the kernel's verifier said of a refused program, out of what libbpf printed: it prints the log between two marker lines. */
import type { SourcePosition, VerifierReport } from '../errors.js'
import { parseVerifierLog, type LogSource } from '../verifier-log.js'

/**
 * The report on a refused program.
 *
 * @param printed what libbpf printed during bpf_object__load
 * @returns undefined if there is no verifier log in it
 */
export function parseVerifierReport(printed: string): VerifierReport | undefined {
  const found = /prog '([^']*)': -- BEGIN PROG LOAD LOG --\n([\s\S]*?)-- END PROG LOAD LOG --/.exec(printed)
  if (found === null) return undefined
  const [, program, log = ''] = found
  const { reason, steps } = parseVerifierLog(log)
  const last = steps.at(-1)
  const source = steps.findLast((step) => step.source?.line !== undefined)?.source
  return {
    summary: reason ?? 'the kernel gave no reason',
    log,
    ...(program === undefined ? {} : { program }),
    ...(last === undefined ? {} : { insn: last.insn }),
    ...(source === undefined ? {} : { source: position(source) }),
  }
}

/** The kernel tells no column: 0. */
function position({ text, file = '', line = 0 }: LogSource): SourcePosition {
  return { file, line, column: 0, text }
}
