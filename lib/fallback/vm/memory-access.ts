/**
 * Memory operations off the hot path: unaligned ones, ones near the edge of an object, and atomics. They answer with
 * where it went wrong, and the engine makes a trap of it.
 */
import { ATOMIC } from '../../isa/opcodes.js'
import { Access, KERNEL_HI } from '../memory.js'
import type { Memory } from '../memory.js'
import type { Registers } from './types.js'

/** An address that may not be accessed. */
export interface BadAddress {
  readonly hi: number
  /** Low half, unsigned. */
  readonly address: number
  readonly access: Access
}

const TWO_32 = 4294967296

/** Checks base register + offset. @returns the unsigned low half, or what is wrong with it */
function check(
  memory: Memory,
  registers: Registers,
  base: number,
  offset: number,
  size: number,
  access: Access,
): number | BadAddress {
  let address = ((registers.lo[base] ?? 0) >>> 0) + offset
  let hi = registers.hi[base] ?? 0
  if (address < 0) {
    address += TWO_32
    hi = (hi - 1) | 0
  } else if (address >= TWO_32) {
    address -= TWO_32
    hi = (hi + 1) | 0
  }
  if (hi === KERNEL_HI && memory.firstForbidden(address, size, access) < 0) return address
  return { hi, address, access }
}

/** The load at word `pc`. */
export function loadChecked(
  memory: Memory,
  registers: Registers,
  words: Int32Array,
  pc: number,
  size: number,
  signed: boolean,
): BadAddress | undefined {
  const at = check(memory, registers, words[pc + 2] ?? 0, words[pc + 3] ?? 0, size, Access.read)
  if (typeof at !== 'number') return at
  read(memory, registers, words[pc + 1] ?? 0, at, size, signed)
  return undefined
}

/** The store at word `pc`. */
export function storeChecked(
  memory: Memory,
  registers: Registers,
  words: Int32Array,
  pc: number,
  size: number,
): BadAddress | undefined {
  const at = check(memory, registers, words[pc + 1] ?? 0, words[pc + 3] ?? 0, size, Access.write)
  if (typeof at !== 'number') return at
  write(memory, registers, words[pc + 2] ?? 0, at, size)
  return undefined
}

/**
 * The atomic operation at word `pc`. The kernel is single-threaded, so each is a plain read, change and write.
 * @param imm which operation: one of ATOMIC
 * @returns 'operation' where there is no such operation of this size
 */
export function atomicAccess(
  memory: Memory,
  registers: Registers,
  words: Int32Array,
  pc: number,
  size: number,
  imm: number,
): BadAddress | 'operation' | undefined {
  const { lo, hi } = registers
  const dst = words[pc + 1] ?? 0
  const src = words[pc + 2] ?? 0
  const offset = words[pc + 3] ?? 0
  const acquire = imm === ATOMIC.LOAD_ACQUIRE
  const release = imm === ATOMIC.STORE_RELEASE
  if (size < 4 && !acquire && !release) return 'operation'
  const access = acquire ? Access.read : release ? Access.write : Access.readWrite
  const at = check(memory, registers, acquire ? src : dst, offset, size, access)
  if (typeof at !== 'number') return at
  if (at % size !== 0) return { hi: KERNEL_HI, address: at, access }
  if (acquire) {
    read(memory, registers, dst, at, size, false)
    return undefined
  }
  if (release) {
    write(memory, registers, src, at, size)
    return undefined
  }

  const { i32 } = memory
  const word = at >>> 2
  const oldLo = i32[word] ?? 0
  const oldHi = size === 8 ? (i32[word + 1] ?? 0) : 0
  const srcLo = lo[src] ?? 0
  const srcHi = hi[src] ?? 0
  let newLo: number
  let newHi: number
  switch (imm & ~ATOMIC.FETCH) {
    case ATOMIC.ADD:
      newLo = (oldLo + srcLo) | 0
      newHi = oldHi + srcHi + (newLo >>> 0 < oldLo >>> 0 ? 1 : 0)
      break
    case ATOMIC.OR:
      newLo = oldLo | srcLo
      newHi = oldHi | srcHi
      break
    case ATOMIC.AND:
      newLo = oldLo & srcLo
      newHi = oldHi & srcHi
      break
    case ATOMIC.XOR:
      newLo = oldLo ^ srcLo
      newHi = oldHi ^ srcHi
      break
    case ATOMIC.XCHG & ~ATOMIC.FETCH:
      if (imm !== ATOMIC.XCHG) return 'operation'
      newLo = srcLo
      newHi = srcHi
      break
    case ATOMIC.CMPXCHG & ~ATOMIC.FETCH: {
      if (imm !== ATOMIC.CMPXCHG) return 'operation'
      const equal = oldLo === lo[0] && (size === 4 || oldHi === hi[0])
      newLo = equal ? srcLo : oldLo
      newHi = equal ? srcHi : oldHi
      break
    }
    default:
      return 'operation'
  }
  i32[word] = newLo
  if (size === 8) i32[word + 1] = newHi
  if ((imm & ATOMIC.FETCH) !== 0) {
    const result = imm === ATOMIC.CMPXCHG ? 0 : src
    lo[result] = oldLo
    hi[result] = oldHi
  }
  return undefined
}

/**
 * The packet load at word `pc`: LD_ABS and LD_IND, in network byte order, from the packet behind the context in r6.
 * @returns false, with r0 = 0, where the packet has no such bytes; undefined: r6 is no context of a packet
 */
export function loadPacket(
  memory: Memory,
  { lo, hi }: Registers,
  words: Int32Array,
  pc: number,
  size: number,
  packetAt: (context: number, offset: number, size: number) => number | undefined,
): boolean | undefined {
  const offset = ((lo[words[pc + 2] ?? 0] ?? 0) + (words[pc + 3] ?? 0)) | 0
  const at = hi[6] === KERNEL_HI ? packetAt((lo[6] ?? 0) >>> 0, offset, size) : undefined
  if (at === undefined) return undefined
  lo[0] = hi[0] = 0
  if (at < 0) return false
  for (let i = 0; i < size; i++) lo[0] = (lo[0] << 8) | (memory.u8[at + i] ?? 0)
  return true
}

/** Loads from where it is allowed. */
export function read(
  memory: Memory,
  { lo, hi }: Registers,
  dst: number,
  at: number,
  size: number,
  signed: boolean,
): void {
  const { view } = memory
  switch (size) {
    case 1:
      lo[dst] = signed ? view.getInt8(at) : view.getUint8(at)
      break
    case 2:
      lo[dst] = signed ? view.getInt16(at, true) : view.getUint16(at, true)
      break
    default:
      lo[dst] = view.getInt32(at, true)
  }
  if (size === 8) hi[dst] = view.getInt32(at + 4, true)
  else hi[dst] = signed ? (lo[dst] ?? 0) >> 31 : 0
}

/** Stores to where it is allowed. */
export function write(memory: Memory, { lo, hi }: Registers, src: number, at: number, size: number): void {
  const { view } = memory
  const low = lo[src] ?? 0
  switch (size) {
    case 1:
      view.setUint8(at, low)
      break
    case 2:
      view.setUint16(at, low, true)
      break
    case 4:
      view.setInt32(at, low, true)
      break
    default:
      view.setInt32(at, low, true)
      view.setInt32(at + 4, hi[src] ?? 0, true)
  }
}
