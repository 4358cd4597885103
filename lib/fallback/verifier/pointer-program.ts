/** A program, and what the pointer rules must know of its surroundings. */
import type { MapAttributes } from '../maps/types.js'
import type { ContextRules } from './context-rules.js'
import type { VerifiedProgram } from './reject.js'

/** What a 64-bit immediate stands for: a map, or a place in the value of one. */
export interface MapReference {
  readonly map: MapAttributes
  /** In its value; undefined: the map itself. */
  readonly offset: number | undefined
}

export interface PointerProgram extends VerifiedProgram {
  readonly sleepable: boolean
  /** One byte a slot: 1 if it can be reached. */
  readonly reached: Uint8Array
  /** undefined: a context that isn't looked at here. */
  readonly context: ContextRules | undefined
  /** @param low low half of an LDDW's immediate, @param high the other half */
  readonly resolve: (low: number, high: number) => MapReference | undefined
}
