/**
 * Reads verifier logs: those of Linux from 5.8 on, and those of the fallback kernel, which have the same format.
 *
 * Two things changed over the years. Until 5.17 the state stands on a line of its own, `5: R1_w=inv(id=0) R10=fp0`, before the instruction;
 * since then behind it, `5: (bf) r6 = r1 ; R1=ctx()`. Source lines have their place, `; text @ file.c:42`, since 6.10.
 */

/** A line of the source, as far as the log tells it. */
export interface LogSource {
  readonly text: string
  /** Without folders. */
  readonly file: string | undefined
  readonly line: number | undefined
}

/** Registers (`R0` … `R10`) and stack slots (`fp-8`), with what they hold in the kernel's words: `scalar(smin=0,smax=umax=255)`. */
export type LogState = Readonly<Record<string, string>>

/** An instruction on the path. */
export interface LogStep {
  /** Its index, in 8-byte slots. */
  readonly insn: number
  /** `r1 = *(u32 *)(r6 +0)`. */
  readonly text: string
  readonly source: LogSource | undefined
  /** What was known before it, as far as the log tells. */
  readonly state: LogState
}

/** What the last line says. */
export interface LogStatistics {
  readonly insnsProcessed: number
  readonly maxStatesPerInsn: number
  readonly totalStates: number
  readonly peakStates: number
}

export interface VerifierLogReport {
  /** The path that the verifier took last: for a refused program, the one that led there. */
  readonly steps: readonly LogStep[]
  /** The deciding line; undefined: the program was accepted, or the log is cut off. */
  readonly reason: string | undefined
  /** The line before the deciding one, where that says what the matter is too: `invalid access to packet, off=12 size=1, R2(id=0,off=12,r=12)`. */
  readonly detail: string | undefined
  /** Registers and stack at the end of the path. */
  readonly state: LogState
  readonly statistics: LogStatistics | undefined
}

/** `BUG_db`: an opcode that Linux can't write down. */
const INSTRUCTION = /^(\d+): (?:\([0-9a-f]{2}\) |(?=BUG_))(.*)$/
/** Where Linux forgets a line's end: the state at the target of a jump, or what is wrong there, behind the jump. */
const JUMP_AND_MORE = /^(if .+ goto pc[+-]\d+) ((?!;)\S.*)$/
/** Linux 7.2 has the source of what comes next, behind a jump that tells no state. */
const JUMP_AND_SOURCE = /^((?:if .+ )?goto pc[+-]\d+) (; .* @ .+:\d+)$/
const STATE_LINE = /^(?:\d+|from \d+ to (\d+)[^:]*):((?: frame\d+:)? *(?:R\d+|fp-\d+).*)$/
const BRANCH = /^from (\d+) to \d+[^:]*:/
const FRAME_LINE = /^ ?(?:frame\d+: )?(?:R\d+|fp-\d+)(?:_[A-Za-z]+)?=/
const SOURCE_WITH_PLACE = /^; (.*) @ (.+):(\d+)$/
/** Linux forgets the end of some lines, so this may come behind a reason. */
const STATISTICS =
  /processed (\d+) insns \(limit \d+\) max_states_per_insn (\d+) total_states (\d+) peak_states (\d+)/
const ENTRY = /(R\d+|fp-\d+)(?:_[A-Za-z]+)?=/y

/** What is neither a step nor a reason. */
const REMARKS: readonly RegExp[] = [
  /: safe$/,
  /^(?:cur|old) state:/,
  /^(?:verification time|stack depth|(?:insns )?processed|mark_precise:|func#|Live regs before|caller:|callee:)/,
  /^(?:returning from callee:|to caller at|parent |last_idx|regs=|Func#|Validating |SCC (?:enter|exit|backedge) )/,
  /^(?:frame \d+: )?propagating /,
  /^frame\d+ bpf_loop iteration limit reached$/,
  /^\(\d+(?:,\d+)*\) (?:frame|live)/,
  // Live registers, with the number of the loop in front.
  /^\s*(?:\d+\s+)?\d+: [0-9.]{10,11} /,
  /^-- (?:BEGIN|END) PROG LOAD LOG --$/,
]

/** @param log as the kernel wrote it; what libbpf prints around it is passed over */
export function parseVerifierLog(log: string): VerifierLogReport {
  const reader = new LogReader()
  for (const line of log.split('\n')) reader.read(line.trimEnd())
  return reader.report
}

class LogReader {
  #steps: LogStep[] = []
  #state: Record<string, string> = {}
  #source: LogSource | undefined
  #reason: string | undefined
  #detail: string | undefined
  #statistics: LogStatistics | undefined

  get report(): VerifierLogReport {
    return {
      steps: this.#steps,
      reason: this.#reason,
      detail: this.#detail,
      state: this.#state,
      statistics: this.#statistics,
    }
  }

  read(line: string): void {
    if (line === '') return
    const statistics = STATISTICS.exec(line)
    if (statistics !== null) {
      const [insnsProcessed = 0, maxStatesPerInsn = 0, totalStates = 0, peakStates = 0] = statistics
        .slice(1)
        .map(Number)
      this.#statistics = { insnsProcessed, maxStatesPerInsn, totalStates, peakStates }
      return this.read(line.slice(0, statistics.index).trimEnd())
    }
    if (line.startsWith('; ')) return this.#readSource(line)
    const branch = BRANCH.exec(line)
    if (branch !== null) this.#goBackTo(Number(branch[1]))
    const instruction = INSTRUCTION.exec(line)
    if (instruction !== null) return this.#readInstruction(Number(instruction[1]), instruction[2] ?? '')
    const state = STATE_LINE.exec(line)
    if (state !== null || FRAME_LINE.test(line)) {
      this.#state = readState(state?.[2] ?? line)
      return
    }
    if (REMARKS.some((remark) => remark.test(line))) return
    this.#detail = this.#reason
    this.#reason = line.trim()
  }

  #readSource(line: string): void {
    const [, text, file, number] = SOURCE_WITH_PLACE.exec(line) ?? []
    this.#source =
      text === undefined
        ? { text: line.slice(2).trim(), file: undefined, line: undefined }
        : { text: text.trim(), file, line: Number(number) }
  }

  #readInstruction(insn: number, rest: string): void {
    this.#reason = this.#detail = undefined
    const joined = JUMP_AND_MORE.exec(rest) ?? JUMP_AND_SOURCE.exec(rest)
    if (joined !== null) {
      this.#readInstruction(insn, joined[1] ?? '')
      return this.read(joined[2] ?? '')
    }
    const split = /^(.*?)\s+; ((?:frame\d+: )?(?:R\d+|fp-\d+).*)$/.exec(rest)
    this.#steps.push({ insn, text: split?.[1] ?? rest, source: this.#source, state: this.#state })
    const changed = split?.[2]
    if (changed === undefined) return
    // Calls and returns show all of the frame that they come to.
    const isOtherFrame = /^(?:call pc|exit$)/.test(split?.[1] ?? '')
    this.#state = { ...(isOtherFrame ? {} : this.#state), ...readState(changed) }
  }

  /** Another branch is followed: what came after the fork is another path. */
  #goBackTo(insn: number): void {
    const fork = this.#steps.findLastIndex((step) => step.insn === insn)
    if (fork >= 0) this.#steps.length = fork + 1
    this.#source = undefined
    this.#reason = this.#detail = undefined
  }
}

/** `R1=ctx() R2=scalar(var_off=(0x0; 0xff)) fp-8=mmmm????` as an object. */
function readState(text: string): Record<string, string> {
  const state: Record<string, string> = {}
  let at = 0
  while (at < text.length) {
    ENTRY.lastIndex = at
    const entry = ENTRY.exec(text)
    if (entry === null) {
      at++
      continue
    }
    const start = ENTRY.lastIndex
    at = endOfValue(text, start)
    state[entry[1] ?? ''] = text.slice(start, at)
  }
  return state
}

/** Values end at a blank outside of parentheses. */
function endOfValue(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === '(') depth++
    else if (character === ')') depth--
    else if (character === ' ' && depth === 0) return at
  }
  return text.length
}
