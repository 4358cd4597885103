/**
 * Producers of ring buffers, as routines of a module: they do what maps/ring-buffer.ts and reservations.ts do, on the same words. What wakes a consumer, and what
 * is out of the ordinary, is left to JavaScript: nothing was changed then.
 */
import { KERNEL_WORD, MOST_RESERVED } from '../../kernel-words.js'
import {
  RING_BUSY,
  RING_CONTROL as CONTROL,
  RING_DISCARD,
  RING_HEADER,
  RING_LENGTH,
} from '../../maps/ring-control.js'
import { RB_FORCE_WAKEUP, RB_NO_WAKEUP } from '../../maps/ring-buffer.js'
import { SHADOW_READ_WRITE } from '../../shadow.js'
import type { CodeBuffer } from './code-buffer.js'
import { TYPE, WASM } from './opcodes.js'
import type { Routines } from './routines.js'

/** What reserving answers where JavaScript must do it: no record lies there. */
export const ASK_JAVASCRIPT = 1
const RECORD_BYTES = 8

/** Index of (ring, size) -> address of the record, 0: no room, or ASK_JAVASCRIPT. */
export function reserveRoutine(routines: Routines): number {
  return routines.indexFor('ring reserve', 2, emitReserve)
}

/** Index of (record, flags, bits for the header) -> 1: done, 0: JavaScript must do it. */
export function commitRoutine(routines: Routines): number {
  return routines.indexFor('ring commit', 3, emitCommit)
}

/** Index of (ring, flags) -> 1: a record that is written now wakes the consumer, which JavaScript must do. */
export function wakesRoutine(routines: Routines): number {
  return routines.indexFor('ring wakes', 2, emitWakes)
}

/** Bits of a header that a commit adds. */
export const COMMIT_BITS = { SUBMIT: 0, DISCARD: RING_DISCARD } as const

function emitReserve(out: CodeBuffer): void {
  const [ring, size, length, record, count, producer, pending, mask] = [0, 1, 2, 3, 4, 5, 6, 7]
  const body = out.openSized()
  out.unsigned(2)
  out.unsigned(3)
  out.byte(TYPE.I32)
  out.unsigned(3)
  out.byte(TYPE.I64)
  const give = (value: number): void => {
    out.open(WASM.IF, TYPE.EMPTY)
    out.i32(value)
    out.op(WASM.RETURN)
    out.op(WASM.END)
  }
  out.i32(0)
  out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.RESERVED)
  out.tee(count)
  out.i32(MOST_RESERVED)
  out.op(WASM.I32_EQ)
  give(ASK_JAVASCRIPT)
  out.get(size)
  out.i32(RING_LENGTH)
  out.op(WASM.I32_GT_U)
  give(0)
  out.get(size)
  roundUp(out)
  out.set(length)
  out.get(ring)
  out.memory(WASM.I64_LOAD32_U, 2, CONTROL.MASK)
  out.set(mask)
  out.get(length)
  out.op(WASM.I64_EXTEND_I32_U)
  out.get(mask)
  out.i64(1)
  out.op(WASM.I64_ADD)
  out.op(WASM.I64_GT_U)
  give(0)
  for (const [local, offset] of [
    [producer, CONTROL.PRODUCER],
    [pending, CONTROL.PENDING],
  ] as const) {
    out.get(ring)
    out.memory(WASM.I64_LOAD, 3, offset)
    out.set(local)
  }
  const addressAt = (position: number): void => {
    out.get(position)
    out.get(mask)
    out.op(WASM.I64_AND)
    out.op(WASM.I32_WRAP_I64)
    out.get(ring)
    out.memory(WASM.I32_LOAD, 2, CONTROL.DATA)
    out.op(WASM.I32_ADD)
  }
  // Over records that were committed, up to the first one that wasn't.
  out.open(WASM.BLOCK, TYPE.EMPTY)
  out.open(WASM.LOOP, TYPE.EMPTY)
  out.get(pending)
  out.get(producer)
  out.op(WASM.I64_GE_U)
  out.opIndex(WASM.BR_IF, 1)
  addressAt(pending)
  out.memory(WASM.I32_LOAD, 2, 0)
  out.tee(record)
  out.i32(0)
  out.op(WASM.I32_LT_S)
  out.opIndex(WASM.BR_IF, 1)
  out.get(record)
  out.i32(RING_LENGTH)
  out.op(WASM.I32_AND)
  roundUp(out)
  out.op(WASM.I64_EXTEND_I32_U)
  out.get(pending)
  out.op(WASM.I64_ADD)
  out.set(pending)
  out.opIndex(WASM.BR, 0)
  out.op(WASM.END)
  out.op(WASM.END)
  out.get(ring)
  out.get(pending)
  out.memory(WASM.I64_STORE, 3, CONTROL.PENDING)
  addressAt(producer)
  out.set(record)
  out.get(producer)
  out.get(length)
  out.op(WASM.I64_EXTEND_I32_U)
  out.op(WASM.I64_ADD)
  out.set(producer)
  const isTooFarFrom = (leave: () => void): void => {
    out.get(producer)
    leave()
    out.op(WASM.I64_SUB)
    out.get(mask)
    out.op(WASM.I64_GT_U)
    give(0)
  }
  isTooFarFrom(() => {
    out.get(ring)
    out.memory(WASM.I64_LOAD, 3, CONTROL.CONSUMER)
  })
  isTooFarFrom(() => out.get(pending))
  out.get(record)
  out.get(size)
  out.i32(RING_BUSY | 0)
  out.op(WASM.I32_OR)
  out.memory(WASM.I32_STORE, 2, 0)
  out.get(record)
  out.i32(0)
  out.memory(WASM.I32_STORE, 2, 4)
  out.get(ring)
  out.get(producer)
  out.memory(WASM.I64_STORE, 3, CONTROL.PRODUCER)
  out.get(record)
  out.i32(RING_HEADER)
  out.op(WASM.I32_ADD)
  out.set(record)
  for (const [offset, local] of [
    [KERNEL_WORD.RECORDS, record],
    [KERNEL_WORD.RECORDS + 4, ring],
  ] as const) {
    out.get(count)
    out.i32(RECORD_BYTES)
    out.op(WASM.I32_MUL)
    out.get(local)
    out.memory(WASM.I32_STORE, 2, offset)
  }
  out.i32(0)
  out.get(count)
  out.i32(1)
  out.op(WASM.I32_ADD)
  out.memory(WASM.I32_STORE, 2, KERNEL_WORD.RESERVED)
  // From here on `length` is what is left, and `count` the place in the shadow.
  out.get(size)
  out.set(length)
  fillShadow(out, record, length, count, SHADOW_READ_WRITE)
  // Of the last granule, as many bytes as the record has there: the count in a shadow byte is its lower half.
  out.get(length)
  out.open(WASM.IF, TYPE.EMPTY)
  out.get(count)
  out.get(length)
  out.i32(SHADOW_READ_WRITE & 0xf0)
  out.op(WASM.I32_OR)
  out.memory(WASM.I32_STORE8, 0, 0)
  out.op(WASM.END)
  out.get(record)
  out.op(WASM.END)
  out.closeSized(body)
}

function emitCommit(out: CodeBuffer): void {
  const [record, flags, bits, entry, ring, size] = [0, 1, 2, 3, 4, 5]
  const body = out.openSized()
  out.unsigned(1)
  out.unsigned(3)
  out.byte(TYPE.I32)
  const leaveIf = (): void => {
    out.open(WASM.IF, TYPE.EMPTY)
    out.i32(0)
    out.op(WASM.RETURN)
    out.op(WASM.END)
  }
  out.i32(0)
  out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.RESERVED)
  out.tee(size)
  out.op(WASM.I32_EQZ)
  leaveIf()
  out.get(size)
  out.i32(1)
  out.op(WASM.I32_SUB)
  out.i32(RECORD_BYTES)
  out.op(WASM.I32_MUL)
  out.tee(entry)
  out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.RECORDS)
  out.get(record)
  out.op(WASM.I32_NE)
  leaveIf()
  out.get(entry)
  out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.RECORDS + 4)
  out.set(ring)
  wakes(out, ring, flags, () => {
    out.get(record)
    out.i32(RING_HEADER)
    out.op(WASM.I32_SUB)
    out.get(ring)
    out.memory(WASM.I32_LOAD, 2, CONTROL.DATA)
    out.op(WASM.I32_SUB)
  })
  leaveIf()
  out.i32(0)
  out.get(size)
  out.i32(1)
  out.op(WASM.I32_SUB)
  out.memory(WASM.I32_STORE, 2, KERNEL_WORD.RESERVED)
  out.get(record)
  out.i32(RING_HEADER)
  out.op(WASM.I32_SUB)
  out.tee(entry)
  out.get(entry)
  out.memory(WASM.I32_LOAD, 2, 0)
  out.i32(RING_LENGTH)
  out.op(WASM.I32_AND)
  out.tee(size)
  out.get(bits)
  out.op(WASM.I32_OR)
  out.memory(WASM.I32_STORE, 2, 0)
  // Whole granules: what the last one has behind the record was never accessible.
  out.get(size)
  out.i32(7)
  out.op(WASM.I32_ADD)
  out.set(size)
  fillShadow(out, record, size, entry, 0)
  out.i32(1)
  out.op(WASM.END)
  out.closeSized(body)
}

function emitWakes(out: CodeBuffer): void {
  const [ring, flags] = [0, 1]
  const body = out.openSized()
  out.unsigned(0)
  wakes(out, ring, flags, () => {
    out.get(ring)
    out.memory(WASM.I32_LOAD, 2, CONTROL.PRODUCER)
    out.get(ring)
    out.memory(WASM.I32_LOAD, 2, CONTROL.MASK)
    out.op(WASM.I32_AND)
  })
  out.op(WASM.END)
  out.closeSized(body)
}

/** Leaves whether somebody is to be woken by the commit of the record at an offset of the ring, which `push` leaves. */
function wakes(out: CodeBuffer, ring: number, flags: number, push: () => void): void {
  out.get(ring)
  out.memory(WASM.I32_LOAD, 2, CONTROL.WAITERS)
  out.open(WASM.IF, TYPE.I32)
  out.get(flags)
  out.i32(RB_FORCE_WAKEUP)
  out.op(WASM.I32_AND)
  out.open(WASM.IF, TYPE.I32)
  out.i32(1)
  out.op(WASM.ELSE)
  out.get(flags)
  out.i32(RB_NO_WAKEUP)
  out.op(WASM.I32_AND)
  out.op(WASM.I32_EQZ)
  out.get(ring)
  out.memory(WASM.I32_LOAD, 2, CONTROL.CONSUMER)
  out.get(ring)
  out.memory(WASM.I32_LOAD, 2, CONTROL.MASK)
  out.op(WASM.I32_AND)
  push()
  out.op(WASM.I32_EQ)
  out.op(WASM.I32_AND)
  out.op(WASM.END)
  out.op(WASM.ELSE)
  out.i32(0)
  out.op(WASM.END)
}

/** Makes a size in bytes what a record of that size takes: with its header, a multiple of 8. */
function roundUp(out: CodeBuffer): void {
  out.i32(RING_HEADER + 7)
  out.op(WASM.I32_ADD)
  out.i32(-8)
  out.op(WASM.I32_AND)
}

/** Sets the shadow of the whole granules of a record. Uses up `left`, the bytes; leaves in `at` the place behind. */
function fillShadow(out: CodeBuffer, record: number, left: number, at: number, byte: number): void {
  const step = (granules: number, store: () => void): void => {
    out.open(WASM.BLOCK, TYPE.EMPTY)
    out.open(WASM.LOOP, TYPE.EMPTY)
    out.get(left)
    out.i32(8 * granules)
    out.op(WASM.I32_LT_U)
    out.opIndex(WASM.BR_IF, 1)
    out.get(at)
    store()
    out.get(at)
    out.i32(granules)
    out.op(WASM.I32_ADD)
    out.set(at)
    out.get(left)
    out.i32(8 * granules)
    out.op(WASM.I32_SUB)
    out.set(left)
    out.opIndex(WASM.BR, 0)
    out.op(WASM.END)
    out.op(WASM.END)
  }
  out.get(record)
  out.i32(3)
  out.op(WASM.I32_SHR_U)
  out.i32(0)
  out.memory(WASM.I32_LOAD, 2, KERNEL_WORD.SHADOW)
  out.op(WASM.I32_ADD)
  out.set(at)
  const word = byte * 0x01010101
  step(8, () => {
    out.i64Halves(word, word)
    out.memory(WASM.I64_STORE, 0, 0)
  })
  step(1, () => {
    out.i32(byte)
    out.memory(WASM.I32_STORE8, 0, 0)
  })
}
