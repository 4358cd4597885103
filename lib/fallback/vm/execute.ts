/**
 * The interpreter's loop.
 *
 * Case labels are plain numbers, because engines make a jump table of those only: an opcode in its register form, or a
 * number of VARIANT (predecode.ts).
 *
 * A `!` below is sound: predecode wrote the words, registers are 0…10 or a constant's, word indices are those of
 * checked jump targets, the last slot is a trap, and addresses were looked up in the shadow. The checks that the
 * compiler would like cost a third of the speed.
 */
import type { BpfError } from '../../errors.js'
import { KERNEL_HI, SHADOW_READABLE, SHADOW_READ_MASK, SHADOW_READ_WRITE } from '../memory.js'
import type { Memory } from '../memory.js'
import { divide, divideSigned, modulo, moduloSigned, multiply, negate, swap16, swap32 } from './arithmetic.js'
import type { Frames } from './frames.js'
import { SPARE_REGISTER, WORDS } from './predecode.js'
import type { Engine, HelperFunction, Registers } from './types.js'

/** What the loop needs of the engine around it. `pc` is a word index. */
export interface Machine extends Engine {
  readonly words: Int32Array
  readonly memory: Memory
  readonly registers: Registers
  readonly frames: Frames
  /** By id. */
  readonly helpers: readonly (HelperFunction | undefined)[]
  /** Instructions left. */
  fuel: number
  /** Frame of the function that runs, while a helper runs. */
  depth: number
  /** Word of the instruction that left the loop last: for a helper. */
  callSite: number
  /** Deepest frame that this run may use. */
  readonly deepest: number
  /** Memory operations that the loop's quick check didn't let pass. */
  load(pc: number, size: number, signed: boolean): void
  store(pc: number, size: number): void
  atomic(pc: number, size: number): void
  /** @returns whether the bytes were there; else the function ends with 0, as in Linux */
  packetLoad(pc: number, size: number): boolean
  /** @returns whether another program ran in place of the rest of this function, and left r0 */
  tailCall(): boolean
  /** A debugger looks. @returns where the instruction goes on that a probe stands for */
  probe(pc: number): number
  /** Errors to be thrown. */
  stopped(pc: number): BpfError
  tooDeep(pc: number): BpfError
  outOfFuel(pc: number): BpfError
  helperMissing(pc: number, id: number): BpfError
}

/** Runs from a word index, in the frame `bottom`, until the function there returns. */
export function execute(machine: Machine, entry: number, bottom: number): void {
  const { registers, frames, memory, deepest } = machine
  const { lo, hi } = registers
  const code = machine.words
  let { u8, i32, shadow } = memory
  let depth = bottom
  let pc = entry
  let start = entry
  let fuel = machine.fuel
  // A helper may call back for ever, and each call be too short to run dry itself.
  if (fuel < 0) throw machine.outOfFuel(entry)
  machine.depth = depth
  frames.enter(depth, registers)

  for (;;) {
    // One straight run of instructions; `break run` takes the jump at pc.
    run: for (;;) {
      const d = code[pc + 1]!
      const s = code[pc + 2]!
      switch (code[pc]) {
        case 0x0f: {
          // add64
          const a = lo[d]!
          const sum = (a + lo[s]!) | 0
          hi[d] = (hi[d]! + hi[s]! + (sum >>> 0 < a >>> 0 ? 1 : 0)) | 0
          lo[d] = sum
          break
        }
        case 0x1f: {
          // sub64
          const a = lo[d]!
          const b = lo[s]!
          hi[d] = (hi[d]! - hi[s]! - (a >>> 0 < b >>> 0 ? 1 : 0)) | 0
          lo[d] = (a - b) | 0
          break
        }
        case 0x2f: {
          // mul64
          multiply(registers, d, s)
          break
        }
        case 0x3f: {
          // div64
          divide(registers, d, s)
          break
        }
        case 0x9f: {
          // mod64
          modulo(registers, d, s)
          break
        }
        case 0x4f: {
          // or64
          lo[d] = lo[d]! | lo[s]!
          hi[d] = hi[d]! | hi[s]!
          break
        }
        case 0x5f: {
          // and64
          lo[d] = lo[d]! & lo[s]!
          hi[d] = hi[d]! & hi[s]!
          break
        }
        case 0xaf: {
          // xor64
          lo[d] = lo[d]! ^ lo[s]!
          hi[d] = hi[d]! ^ hi[s]!
          break
        }
        case 0x6f: {
          // lsh64
          const n = lo[s]! & 63
          if (n >= 32) {
            hi[d] = lo[d]! << n
            lo[d] = 0
          } else if (n > 0) {
            hi[d] = (hi[d]! << n) | (lo[d]! >>> (32 - n))
            lo[d] = lo[d]! << n
          }
          break
        }
        case 0x7f: {
          // rsh64
          const n = lo[s]! & 63
          if (n >= 32) {
            lo[d] = hi[d]! >>> n
            hi[d] = 0
          } else if (n > 0) {
            lo[d] = (lo[d]! >>> n) | (hi[d]! << (32 - n))
            hi[d] = hi[d]! >>> n
          }
          break
        }
        case 0xcf: {
          // arsh64
          const n = lo[s]! & 63
          if (n >= 32) {
            lo[d] = hi[d]! >> n
            hi[d] = hi[d]! >> 31
          } else if (n > 0) {
            lo[d] = (lo[d]! >>> n) | (hi[d]! << (32 - n))
            hi[d] = hi[d]! >> n
          }
          break
        }
        case 0x18: {
          // lddw: the second slot is skipped
          lo[d] = lo[s]!
          hi[d] = hi[s]!
          pc += 2 * WORDS
          continue run
        }
        case 0xbf: {
          // mov64
          lo[d] = lo[s]!
          hi[d] = hi[s]!
          break
        }
        case 0x87: {
          // neg64
          negate(registers, d)
          break
        }
        case 0x0c: {
          // add32
          lo[d] = (lo[d]! + lo[s]!) | 0
          hi[d] = 0
          break
        }
        case 0x1c: {
          // sub32
          lo[d] = (lo[d]! - lo[s]!) | 0
          hi[d] = 0
          break
        }
        case 0x2c: {
          // mul32
          lo[d] = Math.imul(lo[d]!, lo[s]!)
          hi[d] = 0
          break
        }
        case 0x4c: {
          // or32
          lo[d] = lo[d]! | lo[s]!
          hi[d] = 0
          break
        }
        case 0x5c: {
          // and32
          lo[d] = lo[d]! & lo[s]!
          hi[d] = 0
          break
        }
        case 0xac: {
          // xor32
          lo[d] = lo[d]! ^ lo[s]!
          hi[d] = 0
          break
        }
        case 0x6c: {
          // lsh32
          lo[d] = lo[d]! << lo[s]!
          hi[d] = 0
          break
        }
        case 0x7c: {
          // rsh32
          lo[d] = lo[d]! >>> lo[s]!
          hi[d] = 0
          break
        }
        case 0xcc: {
          // arsh32
          lo[d] = lo[d]! >> lo[s]!
          hi[d] = 0
          break
        }
        case 0xbc: {
          // mov32
          lo[d] = lo[s]!
          hi[d] = 0
          break
        }
        case 0x84: {
          // neg32
          lo[d] = -lo[d]! | 0
          hi[d] = 0
          break
        }
        case 0x3c: {
          // div32
          const b = lo[s]! >>> 0
          lo[d] = b === 0 ? 0 : ((lo[d]! >>> 0) / b) | 0
          hi[d] = 0
          break
        }
        case 0x9c: {
          // mod32
          const b = lo[s]! >>> 0
          if (b !== 0) lo[d] = (lo[d]! >>> 0) % b
          hi[d] = 0
          break
        }
        case 0x116: {
          // VARIANT.CAST: null and what is an address there already stay as they are
          const added = code[pc + 3]!
          const stays = (lo[s]! | hi[s]!) === 0 || hi[s] === hi[added]
          lo[d] = stays ? lo[s]! : (lo[s]! + lo[added]!) | 0
          hi[d] = stays ? hi[s]! : hi[added]!
          break
        }
        case 0x100: {
          // VARIANT.MOVSX64_8
          const a = (lo[s]! << 24) >> 24
          lo[d] = a
          hi[d] = a >> 31
          break
        }
        case 0x101: {
          // VARIANT.MOVSX64_16
          const a = (lo[s]! << 16) >> 16
          lo[d] = a
          hi[d] = a >> 31
          break
        }
        case 0x102: {
          // VARIANT.MOVSX64_32
          const a = lo[s]!
          lo[d] = a
          hi[d] = a >> 31
          break
        }
        case 0x103: {
          // VARIANT.MOVSX32_8
          lo[d] = (lo[s]! << 24) >> 24
          hi[d] = 0
          break
        }
        case 0x104: {
          // VARIANT.MOVSX32_16
          lo[d] = (lo[s]! << 16) >> 16
          hi[d] = 0
          break
        }
        case 0x105: {
          // VARIANT.SDIV64
          divideSigned(registers, d, s, SPARE_REGISTER)
          break
        }
        case 0x106: {
          // VARIANT.SMOD64
          moduloSigned(registers, d, s, SPARE_REGISTER)
          break
        }
        case 0x107: {
          // VARIANT.SDIV32
          const b = lo[s]!
          lo[d] = b === 0 ? 0 : (lo[d]! / b) | 0
          hi[d] = 0
          break
        }
        case 0x108: {
          // VARIANT.SMOD32
          const b = lo[s]!
          if (b !== 0) lo[d] = (lo[d]! % b) | 0
          hi[d] = 0
          break
        }
        case 0x109: {
          // VARIANT.ZERO_EXTEND16
          lo[d] = lo[d]! & 0xffff
          hi[d] = 0
          break
        }
        case 0x10a: {
          // VARIANT.SWAP16
          lo[d] = swap16(lo[d]!)
          hi[d] = 0
          break
        }
        case 0x10b: {
          // VARIANT.SWAP32
          lo[d] = swap32(lo[d]!)
          hi[d] = 0
          break
        }
        case 0x10c: {
          // VARIANT.SWAP64
          const a = swap32(lo[d]!)
          lo[d] = swap32(hi[d]!)
          hi[d] = a
          break
        }
        case 0x61: {
          // load u32
          const at = (lo[s]! + code[pc + 3]!) | 0
          if (
            hi[s] === KERNEL_HI &&
            (shadow[at >>> 3]! & SHADOW_READ_MASK) === SHADOW_READABLE &&
            (at & 3) === 0
          ) {
            lo[d] = i32[at >>> 2]!
            hi[d] = 0
          } else machine.load(pc, 4, false)
          break
        }
        case 0x69: {
          // load u16
          const at = (lo[s]! + code[pc + 3]!) | 0
          if (
            hi[s] === KERNEL_HI &&
            (shadow[at >>> 3]! & SHADOW_READ_MASK) === SHADOW_READABLE &&
            (at & 1) === 0
          ) {
            lo[d] = u8[at >>> 0]! | (u8[(at + 1) >>> 0]! << 8)
            hi[d] = 0
          } else machine.load(pc, 2, false)
          break
        }
        case 0x71: {
          // load u8
          const at = (lo[s]! + code[pc + 3]!) | 0
          if (hi[s] === KERNEL_HI && (shadow[at >>> 3]! & SHADOW_READ_MASK) === SHADOW_READABLE) {
            lo[d] = u8[at >>> 0]!
            hi[d] = 0
          } else machine.load(pc, 1, false)
          break
        }
        case 0x79: {
          // load u64
          const at = (lo[s]! + code[pc + 3]!) | 0
          if (
            hi[s] === KERNEL_HI &&
            (shadow[at >>> 3]! & SHADOW_READ_MASK) === SHADOW_READABLE &&
            (at & 7) === 0
          ) {
            lo[d] = i32[at >>> 2]!
            hi[d] = i32[(at >>> 2) + 1]!
          } else machine.load(pc, 8, false)
          break
        }
        case 0x81: {
          // load s32
          const at = (lo[s]! + code[pc + 3]!) | 0
          if (
            hi[s] === KERNEL_HI &&
            (shadow[at >>> 3]! & SHADOW_READ_MASK) === SHADOW_READABLE &&
            (at & 3) === 0
          ) {
            const a = i32[at >>> 2]!
            lo[d] = a
            hi[d] = a >> 31
          } else machine.load(pc, 4, true)
          break
        }
        case 0x89: {
          // load s16
          const at = (lo[s]! + code[pc + 3]!) | 0
          if (
            hi[s] === KERNEL_HI &&
            (shadow[at >>> 3]! & SHADOW_READ_MASK) === SHADOW_READABLE &&
            (at & 1) === 0
          ) {
            const a = ((u8[at >>> 0]! << 16) | (u8[(at + 1) >>> 0]! << 24)) >> 16
            lo[d] = a
            hi[d] = a >> 31
          } else machine.load(pc, 2, true)
          break
        }
        case 0x91: {
          // load s8
          const at = (lo[s]! + code[pc + 3]!) | 0
          if (hi[s] === KERNEL_HI && (shadow[at >>> 3]! & SHADOW_READ_MASK) === SHADOW_READABLE) {
            const a = (u8[at >>> 0]! << 24) >> 24
            lo[d] = a
            hi[d] = a >> 31
          } else machine.load(pc, 1, true)
          break
        }
        case 0x63: {
          // store u32
          const at = (lo[d]! + code[pc + 3]!) | 0
          if (hi[d] === KERNEL_HI && shadow[at >>> 3] === SHADOW_READ_WRITE && (at & 3) === 0) {
            i32[at >>> 2] = lo[s]!
          } else machine.store(pc, 4)
          break
        }
        case 0x6b: {
          // store u16
          const at = (lo[d]! + code[pc + 3]!) | 0
          if (hi[d] === KERNEL_HI && shadow[at >>> 3] === SHADOW_READ_WRITE && (at & 1) === 0) {
            u8[at >>> 0] = lo[s]!
            u8[(at + 1) >>> 0] = lo[s]! >> 8
          } else machine.store(pc, 2)
          break
        }
        case 0x73: {
          // store u8
          const at = (lo[d]! + code[pc + 3]!) | 0
          if (hi[d] === KERNEL_HI && shadow[at >>> 3] === SHADOW_READ_WRITE) {
            u8[at >>> 0] = lo[s]!
          } else machine.store(pc, 1)
          break
        }
        case 0x7b: {
          // store u64
          const at = (lo[d]! + code[pc + 3]!) | 0
          if (hi[d] === KERNEL_HI && shadow[at >>> 3] === SHADOW_READ_WRITE && (at & 7) === 0) {
            i32[at >>> 2] = lo[s]!
            i32[(at >>> 2) + 1] = hi[s]!
          } else machine.store(pc, 8)
          break
        }
        case 0xc3: {
          // atomic, 32 bits
          machine.atomic(pc, 4)
          break
        }
        case 0xdb: {
          // atomic, 64 bits
          machine.atomic(pc, 8)
          break
        }
        case 0xcb: {
          // atomic, 16 bits
          machine.atomic(pc, 2)
          break
        }
        case 0xd3: {
          // atomic, 8 bits
          machine.atomic(pc, 1)
          break
        }
        case 0x1d: {
          // jeq
          if (lo[d] === lo[s] && hi[d] === hi[s]) break run
          break
        }
        case 0x1e: {
          // jeq32
          if (lo[d] === lo[s]) break run
          break
        }
        case 0x5d: {
          // jne
          if (lo[d] !== lo[s] || hi[d] !== hi[s]) break run
          break
        }
        case 0x5e: {
          // jne32
          if (lo[d] !== lo[s]) break run
          break
        }
        case 0x2d: {
          // jgt
          if (hi[d] === hi[s] ? lo[d]! >>> 0 > lo[s]! >>> 0 : hi[d]! >>> 0 > hi[s]! >>> 0) break run
          break
        }
        case 0x2e: {
          // jgt32
          if (lo[d]! >>> 0 > lo[s]! >>> 0) break run
          break
        }
        case 0x3d: {
          // jge
          if (hi[d] === hi[s] ? lo[d]! >>> 0 >= lo[s]! >>> 0 : hi[d]! >>> 0 > hi[s]! >>> 0) break run
          break
        }
        case 0x3e: {
          // jge32
          if (lo[d]! >>> 0 >= lo[s]! >>> 0) break run
          break
        }
        case 0xad: {
          // jlt
          if (hi[d] === hi[s] ? lo[d]! >>> 0 < lo[s]! >>> 0 : hi[d]! >>> 0 < hi[s]! >>> 0) break run
          break
        }
        case 0xae: {
          // jlt32
          if (lo[d]! >>> 0 < lo[s]! >>> 0) break run
          break
        }
        case 0xbd: {
          // jle
          if (hi[d] === hi[s] ? lo[d]! >>> 0 <= lo[s]! >>> 0 : hi[d]! >>> 0 < hi[s]! >>> 0) break run
          break
        }
        case 0xbe: {
          // jle32
          if (lo[d]! >>> 0 <= lo[s]! >>> 0) break run
          break
        }
        case 0x6d: {
          // jsgt
          if (hi[d] === hi[s] ? lo[d]! >>> 0 > lo[s]! >>> 0 : hi[d]! > hi[s]!) break run
          break
        }
        case 0x6e: {
          // jsgt32
          if (lo[d]! > lo[s]!) break run
          break
        }
        case 0x7d: {
          // jsge
          if (hi[d] === hi[s] ? lo[d]! >>> 0 >= lo[s]! >>> 0 : hi[d]! > hi[s]!) break run
          break
        }
        case 0x7e: {
          // jsge32
          if (lo[d]! >= lo[s]!) break run
          break
        }
        case 0xcd: {
          // jslt
          if (hi[d] === hi[s] ? lo[d]! >>> 0 < lo[s]! >>> 0 : hi[d]! < hi[s]!) break run
          break
        }
        case 0xce: {
          // jslt32
          if (lo[d]! < lo[s]!) break run
          break
        }
        case 0xdd: {
          // jsle
          if (hi[d] === hi[s] ? lo[d]! >>> 0 <= lo[s]! >>> 0 : hi[d]! < hi[s]!) break run
          break
        }
        case 0xde: {
          // jsle32
          if (lo[d]! <= lo[s]!) break run
          break
        }
        case 0x4d: {
          // jset
          if (((lo[d]! & lo[s]!) | (hi[d]! & hi[s]!)) !== 0) break run
          break
        }
        case 0x4e: {
          // jset32
          if ((lo[d]! & lo[s]!) !== 0) break run
          break
        }
        case 0x05: // ja, gotol
          break run
        case 0xe5: {
          // may_goto
          if (frames.loopEnds(depth)) break run
          break
        }
        case 0x10e: {
          // VARIANT.CALL_LOCAL
          if (depth === deepest) throw machine.tooDeep(pc)
          frames.push(depth, registers, pc + WORDS)
          depth++
          frames.enter(depth, registers)
          break run
        }
        case 0x112: // VARIANT.TAIL_CALL
        case 0x113: // VARIANT.PACKET8, 16, 32
        case 0x114:
        case 0x115:
        case 0x95: {
          // exit, and what may end a function
          fuel -= ((pc - start) >> 2) + 1
          if (code[pc] !== 0x95) {
            const stays = goesOn(machine, pc, fuel, depth)
            fuel = machine.fuel
            ;({ u8, i32, shadow } = memory)
            start = pc + WORDS
            if (stays) break
          }
          if (depth === bottom) {
            machine.fuel = fuel
            return
          }
          depth--
          pc = start = frames.pop(depth, registers)
          continue run
        }
        case 0x10f: {
          // VARIANT.CALL_REGISTER: helpers have small positive ids
          if (hi[d] !== 0) throw machine.helperMissing(pc, -1)
          fuel -= ((pc - start) >> 2) + 1
          fuel = callHelper(machine, pc, lo[d]!, fuel, depth)
          ;({ u8, i32, shadow } = memory)
          start = pc + WORDS
          break
        }
        case 0x10d: {
          // VARIANT.CALL_HELPER
          fuel -= ((pc - start) >> 2) + 1
          fuel = callHelper(machine, pc, d, fuel, depth)
          ;({ u8, i32, shadow } = memory)
          start = pc + WORDS
          break
        }
        case 0x111: // VARIANT.PROBE: a debugger looks
          fuel -= (pc - start) >> 2
          machine.fuel = fuel
          machine.depth = depth
          machine.callSite = pc
          pc = start = machine.probe(pc)
          ;({ u8, i32, shadow } = memory)
          continue run
        default:
          throw machine.stopped(pc)
      }
      pc += WORDS
    }
    fuel -= ((pc - start) >> 2) + 1
    if (fuel < 0) throw machine.outOfFuel(pc)
    pc = start = code[pc + 3]!
  }
}

/** What ends a function unless it says otherwise. @returns whether the next instruction follows */
function goesOn(machine: Machine, pc: number, fuel: number, depth: number): boolean {
  if (fuel < 0) throw machine.outOfFuel(pc)
  machine.fuel = fuel
  machine.depth = depth
  machine.callSite = pc
  return machine.words[pc] === 0x112
    ? !machine.tailCall()
    : machine.packetLoad(pc, 1 << (machine.words[pc]! - 0x113))
}

/** @returns the fuel that is left: a helper may run other code of the program */
function callHelper(machine: Machine, pc: number, id: number, fuel: number, depth: number): number {
  const helper = machine.helpers[id]
  if (helper === undefined) throw machine.helperMissing(pc, id)
  if (fuel < 0) throw machine.outOfFuel(pc)
  machine.fuel = fuel
  machine.depth = depth
  machine.callSite = pc
  helper(machine.registers, machine)
  return machine.fuel
}
