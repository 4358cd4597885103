/** What level 2 of the log tells of precision: how a path is walked back, and what was found to count. */
import { stateText } from './state-text.js'
import { FRAME_POINTER, SLOTS, type State } from './state.js'
import type { VerifierLog } from './log.js'

/** Registers and slots of a frame, as bits; slots 0…31 and 32…63. */
interface Followed {
  readonly registers: number
  readonly slotsLow: number
  readonly slotsHigh: number
}

/** `r1,r4` */
function registersText(registers: number): string {
  const names: string[] = []
  for (let i = 0; i <= FRAME_POINTER; i++) if ((registers & (1 << i)) !== 0) names.push(`r${i}`)
  return names.join(',')
}

/** `-8,-16` */
function slotsText({ slotsLow, slotsHigh }: Followed): string {
  const offsets: number[] = []
  for (let i = 0; i < SLOTS; i++)
    if (((i < 32 ? slotsLow : slotsHigh) & (1 << (i & 31))) !== 0) offsets.push(-8 * (i + 1))
  return offsets.join(',')
}

function followedText(followed: Followed): string {
  return `regs=${registersText(followed.registers)} stack=${slotsText(followed)}`
}

export class PrecisionRemarks {
  constructor(private readonly log: VerifierLog) {}

  private say(frame: number, text: string): void {
    this.log.remark(`mark_precise: frame${frame}: ${text}`)
  }

  /** A stretch between kept states is walked back, from its last instruction; `after`: the one behind it. */
  stretch(frame: number, last: number, first: number, after: number): void {
    this.say(frame, `last_idx ${last} first_idx ${first} subseq_idx ${after} `)
  }

  /** An instruction is about to be undone. */
  step(frame: number, followed: Followed, insn: number): void {
    this.say(frame, `${followedText(followed)} before ${insn}: ${this.log.instructionText(insn)}`)
  }

  /** The kept state that a stretch starts with: what is still followed there, and what it knows. */
  parent(state: State, frame: number, followed: Followed): void {
    this.say(frame, `parent state ${followedText(followed)}: ${stateText(state, frame)}`)
  }

  /** It can't be walked back. */
  lost(frame: number): void {
    this.say(frame, 'falling back to forcing all scalars precise')
  }

  /** What a covering state needs must be precise on the path that it covers. */
  inherited(frame: number, { registers, slotsLow, slotsHigh }: Followed): void {
    const slots = slotsText({ registers, slotsLow, slotsHigh })
    const names = [registersText(registers), slots && slots.replaceAll('-', 'fp-')].filter(
      (text) => text !== '',
    )
    if (names.length > 0) this.log.remark(`frame ${frame}: propagating ${names.join(',')}`)
  }
}
