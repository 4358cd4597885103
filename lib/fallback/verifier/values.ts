/** What registers surely hold, as far as it decides whether Linux takes a program: contexts, maps, their values, plain numbers. */
import type { MapAttributes } from '../maps/types.js'

/** undefined: anything, or one thing on one path and another on the next. */
export type Value =
  | undefined
  /** Address of the context, and bytes behind it. */
  | { readonly kind: 'context'; readonly offset: number }
  | { readonly kind: 'map'; readonly map: MapAttributes }
  /** Address in a value of a map. `lookup`: it may be null, and the slot of the look-up that gave it; else -1. */
  | {
      readonly kind: 'element'
      readonly map: MapAttributes
      readonly offset: number
      readonly lookup: number
    }
  /** A number. `varies`: no constant, as nothing has compared it or computed with it since it was read. */
  | { readonly kind: 'scalar'; readonly varies: boolean }

export type State = Value[]

export const REGISTERS = 11
const NUMBER: Value = { kind: 'scalar', varies: false }
const VARIABLE: Value = { kind: 'scalar', varies: true }

export function scalar(varies: boolean): Value {
  return varies ? VARIABLE : NUMBER
}

/** Merges another path's state. Values only ever lose information, so that it ends. @returns whether anything changed */
export function join(known: State, other: State): boolean {
  let changed = false
  for (let i = 0; i < REGISTERS; i++) {
    const value = known[i]
    const merged = merge(value, other[i])
    if (same(value, merged)) continue
    known[i] = merged
    changed = true
  }
  return changed
}

function merge(a: Value, b: Value): Value {
  if (same(a, b)) return a
  return a?.kind === 'scalar' && b?.kind === 'scalar' ? NUMBER : undefined
}

function same(a: Value, b: Value): boolean {
  if (a === undefined || b === undefined || a.kind !== b.kind) return a === b
  switch (a.kind) {
    case 'context':
      return b.kind === 'context' && a.offset === b.offset
    case 'map':
      return b.kind === 'map' && a.map === b.map
    case 'element':
      return b.kind === 'element' && a.map === b.map && a.offset === b.offset && a.lookup === b.lookup
    case 'scalar':
      return b.kind === 'scalar' && a.varies === b.varies
  }
}

/** The pointer some bytes further on; undefined for what Linux doesn't follow so. */
export function moved(value: Value, bytes: number): Value {
  if (value?.kind === 'context' || value?.kind === 'element')
    return { ...value, offset: value.offset + bytes }
  return undefined
}

/** Behind a conditional jump every number may be a constant. */
export function compared(state: State): State {
  return state.map((value) => (value?.kind === 'scalar' ? NUMBER : value))
}

/** Where a look-up turned out to have found something, or not. */
export function nullChecked(state: State, lookup: number, found: boolean): State {
  return state.map((value) => {
    if (value?.kind !== 'element' || value.lookup !== lookup) return value
    return found ? { ...value, lookup: -1 } : undefined
  })
}
