/** The simulated clock. Nanoseconds since boot, as two 32-bit halves where programs read it: no bigint on their way. */
import { BpfError } from '../../errors.js'
import { KERNEL_WORD } from '../kernel-words.js'
import type { Memory } from '../memory.js'

/** `manual`: stands still until it is advanced. `real`: goes on with the host's clock. */
export type ClockMode = 'manual' | 'real'

/** A machine that has been up for 1,000 seconds: not 0, so that programs which take 0 for "never" are wrong here too. */
const BASE_NS = 1_000_000_000_000n
/** CLOCK_TAI at boot of a manual clock: 2026-01-01T00:00:37Z. */
const BOOT_TAI_NS = 1_767_225_637_000_000_000n
/** CLOCK_TAI is ahead of UTC by the leap seconds. */
const TAI_OFFSET_NS = 37_000_000_000n
const TWO_32 = 2 ** 32
/** CONFIG_HZ of the simulated kernel. */
export const HZ = 250
const NS_PER_JIFFY = 1e9 / HZ
/** Jiffies start five minutes before they leave 32 bits, as in Linux. */
const INITIAL_JIFFIES = TWO_32 - 300 * HZ

export class Clock {
  readonly mode: ClockMode
  readonly #memory: Memory
  #low = 0
  #high = 0
  /** Host time at which a real clock began, in ms. */
  readonly #origin: number
  /** Nanoseconds by which `advance` moved it, added to the base. */
  #offset = BASE_NS
  readonly #bootTai: bigint

  /** @param memory where a manual clock's time is kept too: compiled programs read it there */
  constructor(mode: ClockMode, memory: Memory) {
    this.mode = mode
    this.#memory = memory
    this.#origin = performance.now()
    this.#bootTai =
      mode === 'manual' ? BOOT_TAI_NS : BigInt(Date.now()) * 1_000_000n + TAI_OFFSET_NS - BASE_NS
    this.#split()
  }

  /** Nanoseconds since boot: CLOCK_MONOTONIC, and CLOCK_BOOTTIME, as the machine never sleeps. */
  now(): bigint {
    return this.mode === 'manual' ? this.#offset : this.#offset + BigInt(Math.round(this.#elapsed()))
  }

  /**
   * Moves time forward.
   *
   * @param ns nanoseconds, 0 or more
   * @throws BpfError `BAD_VALUE` for a step back: time is monotonic
   */
  advance(ns: bigint): void {
    if (typeof ns !== 'bigint' || ns < 0n) {
      throw new BpfError(
        'BAD_VALUE',
        `clock.advance() takes nanoseconds as a bigint, 0 or more, not ${String(ns)}`,
      )
    }
    if (this.#offset + ns >= 1n << 63n) throw new BpfError('BAD_VALUE', 'the clock would leave 63 bits')
    this.#offset += ns
    this.#split()
  }

  /** Writes the time into the halves of a register. */
  read(low: Int32Array, high: Int32Array, register: number): void {
    if (this.mode === 'manual') {
      low[register] = this.#low
      high[register] = this.#high
      return
    }
    const sum = this.#low + this.#elapsed()
    low[register] = sum % TWO_32
    high[register] = this.#high + Math.floor(sum / TWO_32)
  }

  /** CLOCK_TAI in nanoseconds. */
  tai(): bigint {
    return this.#bootTai + this.now()
  }

  jiffies(): bigint {
    return BigInt(INITIAL_JIFFIES) + this.now() / BigInt(NS_PER_JIFFY)
  }

  #elapsed(): number {
    return Math.floor((performance.now() - this.#origin) * 1e6)
  }

  #split(): void {
    this.#low = Number(this.#offset & 0xffffffffn)
    this.#high = Number(this.#offset >> 32n)
    const { i32 } = this.#memory
    i32[KERNEL_WORD.CLOCK >> 2] = this.#low
    i32[(KERNEL_WORD.CLOCK >> 2) + 1] = this.#high
  }
}
