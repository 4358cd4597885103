/**
 * Which stack slots may still be read: what nobody reads any more doesn't make states different.
 *
 * Paths note what instructions read and surely write; from that follows, backwards along the edges of the graph, what is alive. Everything is kept
 * by chain of calls, since a function reads its callers' stack through pointers: another caller's slots each time.
 */
import type { Code } from './code.js'
import { frameInsn, type State } from './state.js'
import type { Subprogram } from './subprograms.js'

/** Slots of one frame at each instruction of a function: bits of slots 0…31 and 32…63 in turn. */
class FrameMasks {
  readonly reads: Int32Array
  readonly writes: Int32Array
  /** Written on every way from here to the function's end. */
  readonly writesAhead: Int32Array
  readonly live: Int32Array

  constructor(length: number) {
    this.reads = new Int32Array(2 * length)
    this.writes = new Int32Array(2 * length)
    this.writesAhead = new Int32Array(2 * length)
    this.live = new Int32Array(2 * length)
  }
}

/** A function, as called along one chain. */
class Instance {
  readonly frames: (FrameMasks | undefined)[] = []
  readonly callees = new Map<number, Instance>()
  /** Instructions of which the writes of some visit are known. */
  readonly visited: Uint8Array
  dirty = false
  readonly length: number
  /** Instructions that must be looked at again. */
  readonly changed: number[] = []
  readonly queued: Uint8Array

  constructor(
    readonly caller: Instance | undefined,
    readonly callSite: number,
    readonly depth: number,
    readonly subprogram: Subprogram,
  ) {
    this.length = subprogram.end - subprogram.start
    this.visited = new Uint8Array(this.length)
    this.queued = new Uint8Array(this.length)
  }

  queue(insn: number): void {
    const at = insn - this.subprogram.start
    if (this.queued[at] === 1) return
    this.queued[at] = 1
    this.changed.push(insn)
  }

  masks(frame: number): FrameMasks {
    return (this.frames[frame] ??= new FrameMasks(this.length))
  }
}

export class StackLiveness {
  private readonly roots = new Map<number, Instance>()
  private dirty: Instance[] = []
  private current: Instance | undefined
  /** What the instruction at hand has written so far: two words a frame. */
  private readonly written = new Int32Array(16)
  private hasWritten = false

  constructor(
    private readonly code: Code,
    private readonly subprograms: readonly Subprogram[],
  ) {}

  /** Another function is verified: other chains of calls. */
  clear(): void {
    this.roots.clear()
    this.dirty = []
    this.current = undefined
  }

  /** The frames of the path have changed. */
  reset(): void {
    this.current = undefined
  }

  /** Before an instruction. */
  begin(): void {
    if (!this.hasWritten) return
    this.written.fill(0)
    this.hasWritten = false
  }

  /** An instruction read a slot of a frame. */
  read(state: State, insn: number, frame: number, slot: number): void {
    const instance = this.instanceOf(state)
    this.addRead(instance, insn, frame, slot < 32 ? 1 << slot : 0, slot < 32 ? 0 : 1 << (slot - 32))
  }

  /** The instruction at hand has written all of a slot. */
  write(frame: number, slot: number): void {
    const at = 2 * frame + (slot < 32 ? 0 : 1)
    this.hasWritten = true
    this.written[at] = (this.written[at] as number) | (1 << (slot & 31))
  }

  /** Behind an instruction that changed no frames. */
  commit(state: State, insn: number): void {
    this.commitTo(this.instanceOf(state), insn)
  }

  private commitTo(instance: Instance, insn: number): void {
    const at = insn - instance.subprogram.start
    const first = instance.visited[at] === 0
    // Of a function that touches no stack, nothing is kept.
    if (!this.hasWritten && instance.frames.length === 0) {
      instance.visited[at] = 1
      return
    }
    for (let frame = 0; frame <= instance.depth; frame++) {
      const low = this.written[2 * frame] as number
      const high = this.written[2 * frame + 1] as number
      const known = instance.frames[frame]
      if (known === undefined && (low | high) === 0) continue
      const { writes } = known ?? instance.masks(frame)
      const newLow = first ? low : low & (writes[2 * at] as number)
      const newHigh = first ? high : high & (writes[2 * at + 1] as number)
      if (newLow === writes[2 * at] && newHigh === writes[2 * at + 1]) continue
      writes[2 * at] = newLow
      writes[2 * at + 1] = newHigh
      this.touch(instance, insn)
    }
    instance.visited[at] = 1
  }

  private addRead(instance: Instance, insn: number, frame: number, low: number, high: number): void {
    const { reads } = instance.masks(frame)
    const at = 2 * (insn - instance.subprogram.start)
    const newLow = (reads[at] as number) | low
    const newHigh = (reads[at + 1] as number) | high
    if (newLow === reads[at] && newHigh === reads[at + 1]) return
    reads[at] = newLow
    reads[at + 1] = newHigh
    this.touch(instance, insn)
  }

  private touch(instance: Instance, insn: number): void {
    instance.queue(insn)
    if (instance.dirty) return
    instance.dirty = true
    this.dirty.push(instance)
  }

  private instanceOf(state: State): Instance {
    return (this.current ??= this.instanceAt(state, state.frames.length - 1))
  }

  private instanceAt(state: State, last: number): Instance {
    let instance: Instance | undefined
    for (let i = 0; i <= last; i++) {
      const frame = state.frames[i]
      if (frame === undefined) break
      const siblings: Map<number, Instance> = instance?.callees ?? this.roots
      const key = (frame.callSite + 1) * this.subprograms.length + frame.subprogram
      let found = siblings.get(key)
      if (found === undefined) {
        const subprogram = this.subprograms[frame.subprogram] as Subprogram
        found = new Instance(instance, frame.callSite, i, subprogram)
        siblings.set(key, found)
      }
      instance = found
    }
    return instance as Instance
  }

  /** Brings up to date what is alive: callees before their callers. */
  private settle(): void {
    while (this.dirty.length > 0) {
      let deepest = 0
      this.dirty.forEach((instance, i) => {
        if (instance.depth > (this.dirty[deepest]?.depth ?? 0)) deepest = i
      })
      const [instance] = this.dirty.splice(deepest, 1)
      if (instance === undefined) break
      instance.dirty = false
      this.flow(instance)
      if (instance.caller !== undefined) this.tellCaller(instance, instance.caller)
    }
  }

  /** Follows what changed backwards, until nothing does. */
  private flow(instance: Instance): void {
    const { changed, queued, subprogram } = instance
    const { start } = subprogram
    const { before, origins } = this.code.edges
    for (let insn = changed.pop(); insn !== undefined; insn = changed.pop()) {
      queued[insn - start] = 0
      let grew = false
      for (const masks of instance.frames)
        if (masks !== undefined && this.update(masks, insn, start)) grew = true
      if (!grew) continue
      for (let i = before[insn] as number; i < (before[insn + 1] as number); i++)
        instance.queue(origins[i] as number)
    }
  }

  /** Recomputes one instruction of one frame from those behind it. @returns whether anything changed */
  private update({ reads, writes, live, writesAhead }: FrameMasks, insn: number, start: number): boolean {
    const { code } = this
    if (code.isExit(insn)) return false
    const at = 2 * (insn - start)
    let next = insn + 1
    if (code.isGoto(insn)) next += code.jumpOffset(insn)
    else if (code.isWide(insn)) next++
    const first = 2 * (next - start)
    let aliveLow = live[first] as number
    let aliveHigh = live[first + 1] as number
    let aheadLow = writesAhead[first] as number
    let aheadHigh = writesAhead[first + 1] as number
    if (code.isJump(insn) && !code.isGoto(insn)) {
      const second = 2 * (insn + 1 + code.jumpOffset(insn) - start)
      aliveLow |= live[second] as number
      aliveHigh |= live[second + 1] as number
      aheadLow &= writesAhead[second] as number
      aheadHigh &= writesAhead[second + 1] as number
    }
    const writtenLow = writes[at] as number
    const writtenHigh = writes[at + 1] as number
    aliveLow = (aliveLow & ~writtenLow) | (reads[at] as number)
    aliveHigh = (aliveHigh & ~writtenHigh) | (reads[at + 1] as number)
    aheadLow |= writtenLow
    aheadHigh |= writtenHigh
    const same =
      aliveLow === live[at] &&
      aliveHigh === live[at + 1] &&
      aheadLow === writesAhead[at] &&
      aheadHigh === writesAhead[at + 1]
    if (same) return false
    live[at] = aliveLow
    live[at + 1] = aliveHigh
    writesAhead[at] = aheadLow
    writesAhead[at + 1] = aheadHigh
    return true
  }

  /** A call reads and writes of its callers' frames what the function does. */
  private tellCaller(instance: Instance, caller: Instance): void {
    const saved = this.written.slice()
    const hadWritten = this.hasWritten
    this.hasWritten = true
    this.written.fill(0)
    for (let frame = 0; frame < instance.depth; frame++) {
      const masks = instance.frames[frame]
      if (masks === undefined) continue
      this.written[2 * frame] = masks.writesAhead[0] as number
      this.written[2 * frame + 1] = masks.writesAhead[1] as number
      const low = masks.live[0] as number
      const high = masks.live[1] as number
      if ((low | high) !== 0) this.addRead(caller, instance.callSite, frame, low, high)
    }
    this.commitTo(caller, instance.callSite)
    this.written.set(saved)
    this.hasWritten = hadWritten
  }

  /** Answers whether slots of a state may still be read. */
  query(state: State): (frame: number, slot: number) => boolean {
    this.settle()
    const last = state.frames.length - 1
    const instances: Instance[] = []
    let instance: Instance | undefined = this.instanceAt(state, last)
    for (let i = last; i >= 0 && instance !== undefined; i--) {
      instances[i] = instance
      instance = instance.caller
    }
    const isLive = (at: Instance | undefined, insn: number, frame: number, slot: number): boolean => {
      const masks = at?.frames[frame]
      if (at === undefined || masks === undefined) return false
      const word = masks.live[2 * (insn - at.subprogram.start) + (slot < 32 ? 0 : 1)] ?? 0
      return (word & (1 << (slot & 31))) !== 0
    }
    return (frame, slot) => {
      if (isLive(instances[last], state.insn, frame, slot)) return true
      for (let i = frame; i < last; i++) {
        const callSite = frameInsn(state, i)
        const insn = this.code.callsCallback(callSite) ? callSite : callSite + 1
        if (isLive(instances[i], insn, frame, slot)) return true
      }
      return false
    }
  }
}
