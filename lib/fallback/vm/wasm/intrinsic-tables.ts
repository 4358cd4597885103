/** What a compiler knows of the machine that a program is compiled for. */
import type { MapLayout } from '../../maps/layout.js'
import type { Access } from '../../memory.js'

/** What a machine offers to compiled programs. */
export interface IntrinsicTables {
  /** The words of kernel-words.ts are kept up to date. */
  readonly keepsWords: boolean
  /** Time stands still while a program runs, so that its word is the time. */
  readonly keepsClock: boolean
  /** By the low half of a map's address; undefined: only its own code can look into it. */
  mapAt(address: number): MapLayout | undefined
  /** Memory around an address that stays as it is for as long as the program is there: the value of a map. */
  regionAt(address: number): Region | undefined
}

/** Bytes to which a program has the same rights. */
export interface Region {
  readonly address: number
  readonly size: number
  readonly access: Access
}
