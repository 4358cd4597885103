/** Why a program was refused, for people: out of a verifier log, and of the object's line information. */
import type { SourcePosition } from './errors.js'
import type { LineInfo } from './object-file/types.js'
import { hintFor } from './verifier-hints.js'
import { parseVerifierLog, type LogSource, type LogState, type LogStep } from './verifier-log.js'

const PACKET = 'invalid access to packet'
const SLOT = 8

/** A fork on the path, and the way that was taken there. */
export interface PathBranch {
  /** Index of the jump, in 8-byte slots. */
  readonly insn: number
  /** `r0 == 0x0`. */
  readonly condition: string
  /** Whether the condition holds on the path: the jump was taken. */
  readonly holds: boolean
  readonly source: SourcePosition | undefined
}

export interface VerifierExplanation {
  /** The deciding line of the log, in the kernel's wording. */
  readonly reason: string
  /** Index of the failing instruction, in 8-byte slots; undefined: the program was refused as a whole. */
  readonly insn: number | undefined
  /** In the log's syntax: `r1 = *(u8 *)(r0 +0)`. */
  readonly instruction: string | undefined
  /** Line 0: the log doesn't tell where. Column 0: not known. */
  readonly source: SourcePosition | undefined
  /** The forks that led there, in order; the longest paths are cut at their start. */
  readonly path: readonly PathBranch[]
  /** What registers and stack slots held then, in the kernel's words. */
  readonly registers: LogState
  /** What to do about it, for common causes. */
  readonly hint: string | undefined
}

export interface ExplainOptions {
  /** The source line of each instruction, by offset in bytes, in order: with them, places have columns and folders. */
  readonly lines?: readonly LineInfo[]
  /** Under bpftool's name, for hints. */
  readonly programType?: string
}

const CONDITIONAL = /^if (.+) goto pc([+-]\d+)$/
/** Forks that are shown of a path. */
const MAX_BRANCHES = 64

/**
 * Explains a log of a refused program: Linux's, of any version from 5.8 on, or the fallback kernel's.
 *
 * @returns undefined if the log gives no reason: the program was accepted
 * @example
 * explainVerifierLog(error.verifier.log)?.hint
 */
export function explainVerifierLog(
  log: string,
  { lines = [], programType = 'unknown' }: ExplainOptions = {},
): VerifierExplanation | undefined {
  const { steps, reason, detail, state } = parseVerifierLog(log)
  if (reason === undefined) return undefined
  const last = steps.at(-1)
  const sourceOf = (step: LogStep): SourcePosition | undefined =>
    lineAt(lines, step.insn) ?? fromLog(step.source)
  return {
    reason,
    insn: last?.insn,
    instruction: last?.text,
    source: last && sourceOf(last),
    path: branchesOf(steps, sourceOf).slice(-MAX_BRANCHES),
    registers: inOrder(state),
    // Linux 7.2 says of all memory alike what is wrong, and which memory it is in the line before.
    hint: hintFor(detail?.startsWith(PACKET) === true ? detail : reason, programType),
  }
}

/** Registers by their numbers, then slots of the stack from its top. */
function inOrder(state: LogState): LogState {
  const place = (name: string): number =>
    (name.startsWith('fp') ? 100 : 0) + Number(/\d+/.exec(name)?.[0] ?? 0)
  return Object.fromEntries(Object.entries(state).sort(([a], [b]) => place(a) - place(b)))
}

function branchesOf(
  steps: readonly LogStep[],
  sourceOf: (step: LogStep) => SourcePosition | undefined,
): readonly PathBranch[] {
  return steps.flatMap((step, i) => {
    const [, condition, distance] = CONDITIONAL.exec(step.text) ?? []
    const next = steps[i + 1]
    if (condition === undefined || next === undefined) return []
    const holds = next.insn === step.insn + 1 + Number(distance)
    return [{ insn: step.insn, condition, holds, source: sourceOf(step) }]
  })
}

function lineAt(lines: readonly LineInfo[], insn: number): SourcePosition | undefined {
  const found = lines.findLast(({ offset }) => offset <= insn * SLOT)
  return found && { file: found.file, line: found.line, column: found.column, text: found.text.trim() }
}

function fromLog(source: LogSource | undefined): SourcePosition | undefined {
  return source && { file: source.file ?? '', line: source.line ?? 0, column: 0, text: source.text }
}

/** `probe.bpf.c:42:9`, as far as it is known. */
export function placeText({ file, line, column }: SourcePosition): string {
  if (line === 0) return ''
  return column === 0 ? `${file}:${line}` : `${file}:${line}:${column}`
}

/** An explanation as lines of text. */
export function explanationText(explanation: VerifierExplanation): string {
  const { reason, insn, instruction, source, path, registers, hint } = explanation
  const lines = [reason]
  if (source !== undefined) lines.push(`  at ${placeText(source)} ${source.text}`.trimEnd())
  if (insn !== undefined) lines.push(`  instruction ${insn}: ${instruction}`)
  const held = Object.entries(registers).map(([name, value]) => `    ${name} = ${value}`)
  if (held.length > 0) lines.push('  with', ...held)
  if (path.length > 0) lines.push('  on the path', ...path.map(branchText))
  if (hint !== undefined) lines.push(`  ${hint}`)
  return lines.map((line) => `${line}\n`).join('')
}

function branchText({ insn, condition, holds, source }: PathBranch): string {
  const place = source === undefined ? '' : `  ${placeText(source)} ${source.text}`
  return `    ${insn}: ${condition} is ${holds ? 'true' : 'false'}${place}`
}
