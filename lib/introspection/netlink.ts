/**
 * rtnetlink: questions and answers about interfaces and traffic control filters.
 *
 * Source: rtnetlink(7), netlink(7), linux/if_link.h, linux/pkt_cls.h.
 */

/** Of a request that is answered with all there is. */
const NLM_F_REQUEST_DUMP = 0x301
const HEADER = 16
const ATTRIBUTE_HEADER = 4

export interface NetlinkMessage {
  readonly type: number
  /** What follows the header: a struct, then attributes. */
  readonly body: Uint8Array
}

/** A request that asks for everything of a kind. @param body the struct that the type wants */
export function dumpRequest(type: number, body: Uint8Array): Uint8Array {
  const request = new Uint8Array(HEADER + body.length)
  const view = new DataView(request.buffer)
  view.setUint32(0, request.length, true)
  view.setUint16(4, type, true)
  view.setUint16(6, NLM_F_REQUEST_DUMP, true)
  view.setUint32(8, 1, true)
  request.set(body, HEADER)
  return request
}

export function* messages(answer: Uint8Array): Generator<NetlinkMessage, void, undefined> {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength)
  for (let at = 0; at + HEADER <= answer.length;) {
    const length = view.getUint32(at, true)
    if (length < HEADER || at + length > answer.length) return
    yield { type: view.getUint16(at + 4, true), body: answer.subarray(at + HEADER, at + length) }
    at += aligned(length)
  }
}

/** Attributes by type; of several, the last one. */
export function attributes(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = new Map<number, Uint8Array>()
  for (let at = 0; at + ATTRIBUTE_HEADER <= bytes.length;) {
    const length = view.getUint16(at, true)
    if (length < ATTRIBUTE_HEADER || at + length > bytes.length) break
    // The upper two bits say "nested" and "big-endian".
    found.set(view.getUint16(at + 2, true) & 0x3fff, bytes.subarray(at + ATTRIBUTE_HEADER, at + length))
    at += aligned(length)
  }
  return found
}

function aligned(length: number): number {
  return (length + 3) & ~3
}
