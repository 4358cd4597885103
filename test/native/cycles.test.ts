/** Objects leave nothing behind, however often they come and go. CYCLES says how often. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it, vi } from 'vitest'
import { open } from '../../lib/open.js'
import { KernelCensus, type KernelIds } from '../support/kernel-ids.js'
import { objectPath } from '../support/kernels.js'
import { code } from '../support/errors.js'
import { patience } from '../support/patience.js'
import { describeSince } from '../support/require-kernel.js'
import { isSanitized, isVirtual } from '../support/this-machine.js'

/** With sanitizers each takes three times as long, on an emulated processor twenty times. */
const USUAL = isVirtual ? 50 : isSanitized ? 40 : 1000
const CYCLES = Number(process.env['CYCLES'] ?? USUAL)
const WARM_UP = Math.ceil(CYCLES / 4)
/** How often memory is looked at. */
const SAMPLES = 10
/** What the resident set may grow by over all cycles, noise of V8 included: a leaked object is many times more than 16 KiB a cycle. */
const GROWTH_BYTES = CYCLES * 16 * 1024
/** Few cycles are noise. */
const memoryCounts = !isSanitized && CYCLES >= 1000

const image = readFileSync(objectPath('test/contract'))

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Opens, loads, attaches, reads and closes. @returns what it had in the kernel */
function cycle(): KernelIds {
  using object = open(image, { kernel: 'native' }).load()
  using links = object.attach()
  const ring = object.map('ring').ringBuffer({ type: 'sample' })
  let records = 0
  ring.pause()
  ring.on('event', () => records++)
  object.program('produce').run({ ctx: new Uint8Array(Uint32Array.of(1, 3).buffer) })
  if (ring.consume() !== 3 || records !== 3) throw new Error('3 records should have come')
  object.bss['runs'] = 1n
  object.map<number, bigint>('counters').set(1, 2n)
  ring.close()
  if (links.attached.length !== 1) throw new Error('on_exec should be attached')
  return {
    maps: Object.values(object.maps).map(({ id }) => id),
    programs: [object.program('produce').id, object.program('on_exec').id],
    links: links.attached.map(({ id }) => id),
  }
}

const openFiles = (): number => readdirSync('/proc/self/fd').length

/** Descriptors of maps, programs and links: what keeps these in the kernel. */
function heldObjects(): readonly string[] {
  return readdirSync('/proc/self/fdinfo').flatMap((fd) => {
    try {
      return /^(?:map_id|prog_id|link_id):\s*\d+/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? []
    } catch {
      return [] // that of the directory itself is gone
    }
  })
}

/** Runs cycles. @returns what they had in the kernel, and the resident set every now and then, without garbage */
async function run(cycles: number): Promise<{ readonly ids: KernelIds; readonly memory: readonly number[] }> {
  const ids = { maps: [] as number[], programs: [] as number[], links: [] as number[] }
  const memory: number[] = []
  for (let i = 1; i <= cycles; i++) {
    const { maps, programs, links } = cycle()
    ids.maps.push(...maps)
    ids.programs.push(...programs)
    ids.links.push(...links)
    // Files of readers are closed by libuv, in its turn.
    if (i % 20 === 0) await sleep(0)
    if (i % Math.ceil(cycles / SAMPLES) === 0) {
      collectGarbage()
      memory.push(process.memoryUsage.rss())
    }
  }
  await sleep(50)
  return { ids, memory }
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

/** The object holds `syscall` programs: Linux 5.14. */
const describeNative = describeSince('5.14')

const timeout = patience(60_000 + CYCLES * 500)

describeNative('objects that were opened, loaded, attached, read and closed', { timeout }, () => {
  it('leave file descriptors, maps, programs, links and memory where they were', async () => {
    using census = new KernelCensus()
    await run(WARM_UP)
    const before = { files: openFiles(), held: heldObjects().length }
    const { ids, memory } = await run(CYCLES)
    expect(openFiles()).toBe(before.files)
    expect(heldObjects()).toHaveLength(before.held)
    const third = Math.floor(memory.length / 3)
    const growth = median(memory.slice(-third)) - median(memory.slice(0, third))
    expect(growth).toBeLessThan(memoryCounts ? GROWTH_BYTES : Infinity)
    expect(ids.links).toHaveLength(CYCLES)
    // Linux frees maps and programs a grace period after their last user is gone.
    await vi.waitFor(() => expect(census.remaining(ids)).toEqual({ maps: [], programs: [], links: [] }), {
      timeout: patience(10_000),
      interval: 100,
    })
  })

  it('leave no types of the kernel in memory if they were never loaded', () => {
    const types = statSync('/sys/kernel/btf/vmlinux').size
    const openOnly = (): void => {
      using spec = open(objectPath('test/native_settings'), { kernel: 'native' })
      expect(code(() => spec.programs['traced']?.setAttachTarget('no_such_function'))).toBe('ESRCH')
    }
    // What allocators keep for the next time has grown by then.
    for (let i = 0; i < 20; i++) openOnly()
    collectGarbage()
    const before = process.memoryUsage.rss()
    for (let i = 0; i < 40; i++) openOnly()
    collectGarbage()
    expect(process.memoryUsage.rss() - before).toBeLessThan(isSanitized ? Infinity : 20 * types)
  })
})
