/** Functions of the module that look a key up in a hash: one for each map that is looked into. */
import { HASH, NEXT_OFFSET } from '../../maps/layout.js'
import type { HashLayout } from '../../maps/layout.js'
import { LRU_LINK } from '../../maps/lru-list.js'
import type { CodeBuffer } from './code-buffer.js'
import { TYPE, WASM } from './opcodes.js'
import type { Routines } from './routines.js'

const WORD = 4

/** Index of (key's address) -> value's address, or 0. */
export function lookupRoutine(routines: Routines, layout: HashLayout): number {
  return routines.indexFor(`look-up ${layout.heads}`, 1, (out) => emitLookup(out, layout))
}

function emitLookup(out: CodeBuffer, { keySize, heads, mask, valueOffset, recent }: HashLayout): void {
  const [key, hash, element, link] = [0, 1, 2, 3]
  const body = out.openSized()
  out.unsigned(1)
  out.unsigned(recent === 0 ? 2 : 3)
  out.byte(TYPE.I32)
  const mix = (shift: number): void => {
    out.get(hash)
    out.get(hash)
    out.i32(shift)
    out.op(WASM.I32_SHR_U)
    out.op(WASM.I32_XOR)
    out.set(hash)
  }
  out.i32(HASH.SEED)
  out.set(hash)
  const words = keySize - (keySize % WORD)
  for (let i = 0; i < keySize; i += i < words ? WORD : 1) {
    out.get(hash)
    out.get(key)
    out.memory(i < words ? WASM.I32_LOAD : WASM.I32_LOAD8_U, 0, i)
    out.op(WASM.I32_XOR)
    out.i32(HASH.MULTIPLIER)
    out.op(WASM.I32_MUL)
    out.set(hash)
    mix(15)
  }
  out.get(hash)
  out.i32(HASH.FINISH)
  out.op(WASM.I32_MUL)
  out.set(hash)
  mix(13)
  out.get(hash)
  out.i32(mask)
  out.op(WASM.I32_AND)
  out.i32(2)
  out.op(WASM.I32_SHL)
  out.memory(WASM.I32_LOAD, 2, heads)
  out.set(element)
  out.open(WASM.LOOP, TYPE.EMPTY)
  out.get(element)
  out.op(WASM.I32_EQZ)
  out.open(WASM.IF, TYPE.EMPTY)
  out.i32(0)
  out.op(WASM.RETURN)
  out.op(WASM.END)
  out.open(WASM.BLOCK, TYPE.EMPTY)
  for (let i = 0; i < keySize;) {
    const size = [8, 4, 2, 1].find((bytes) => i + bytes <= keySize) ?? 1
    const load = { 8: WASM.I64_LOAD, 4: WASM.I32_LOAD, 2: WASM.I32_LOAD16_U, 1: WASM.I32_LOAD8_U }[size] ?? 0
    out.get(element)
    out.memory(load, 0, i)
    out.get(key)
    out.memory(load, 0, i)
    out.op(size === 8 ? WASM.I64_NE : WASM.I32_NE)
    out.opIndex(WASM.BR_IF, 0)
    i += size
  }
  if (recent !== 0) emitTouch(out, recent, element, link)
  out.get(element)
  out.i32(valueOffset)
  out.op(WASM.I32_ADD)
  out.op(WASM.RETURN)
  out.op(WASM.END)
  out.get(element)
  out.i32(NEXT_OFFSET)
  out.op(WASM.I32_ADD)
  out.memory(WASM.I32_LOAD, 2, 0)
  out.set(element)
  out.opIndex(WASM.BR, 0)
  out.op(WASM.END)
  out.op(WASM.UNREACHABLE)
  out.op(WASM.END)
  out.closeSized(body)
}

/** What LruList.touch() does. @param ends address of the list; @param element, link locals */
function emitTouch(out: CodeBuffer, ends: number, element: number, link: number): void {
  /** Leaves the address of a link of the element whose address `push` leaves. */
  const linkOf = (push: () => void, offset: number): void => {
    push()
    out.i32(offset)
    out.op(WASM.I32_ADD)
  }
  const load = (push: () => void, offset: number): void => {
    linkOf(push, offset)
    out.memory(WASM.I32_LOAD, 2, 0)
  }
  const store = (push: () => void, offset: number, value: () => void): void => {
    linkOf(push, offset)
    value()
    out.memory(WASM.I32_STORE, 2, 0)
  }
  const self = (): void => out.get(element)
  const other = (): void => out.get(link)
  const none = (): void => out.i32(ends)
  const { BEFORE, AFTER } = LRU_LINK
  out.open(WASM.BLOCK, TYPE.EMPTY)
  load(self, AFTER)
  out.tee(link)
  none()
  out.op(WASM.I32_EQ)
  out.opIndex(WASM.BR_IF, 0)
  store(other, BEFORE, () => load(self, BEFORE))
  store(() => load(self, BEFORE), AFTER, other)
  load(none, BEFORE)
  out.set(link)
  store(other, AFTER, self)
  store(self, BEFORE, other)
  store(self, AFTER, none)
  store(none, BEFORE, self)
  out.op(WASM.END)
}
