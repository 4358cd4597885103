/**
 * What the kernel's verifier said, out of what libbpf printed.
 *
 * libbpf prints the log of a refused program between two marker lines. In it, instructions are `12: (85) call …`; since
 * 6.10 the source is `; text @ file.c:42`, before that only `; text`.
 */
import type { SourcePosition, VerifierReport } from '../errors.js'

/** The kernel's statistics, which follow the deciding line. */
const STATISTICS =
  /^(processed \d+ insns|verification time|stack depth|insns processed|max_states|total_states|peak_states|mark_read)/
const INSTRUCTION = /^(\d+): \([0-9a-f]{2}\) /
const SOURCE = /^; (.*) @ (.+):(\d+)$/

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
  const lines = log.split('\n').filter((line) => line.trim() !== '')
  const decided = lines.findLastIndex((line) => !STATISTICS.test(line))
  const before = lines.slice(0, decided + 1)
  const insn = lastMatch(before, INSTRUCTION)?.[1]
  const source = lastMatch(before, SOURCE)
  return {
    summary: (lines[decided] ?? 'the kernel gave no reason').trim(),
    log,
    ...(program === undefined ? {} : { program }),
    ...(insn === undefined ? {} : { insn: Number(insn) }),
    ...(source === undefined ? {} : { source: position(source) }),
  }
}

/** The kernel tells no column: 0. */
function position([, text = '', file = '', line = '0']: RegExpExecArray): SourcePosition {
  return { file, line: Number(line), column: 0, text: text.trim() }
}

function lastMatch(lines: readonly string[], pattern: RegExp): RegExpExecArray | undefined {
  for (let i = lines.length - 1; i >= 0; i--) {
    const found = pattern.exec(lines[i] ?? '')
    if (found !== null) return found
  }
  return undefined
}
