/**
 * Objects leave nothing behind. CI runs a thousand: `CYCLES=1000 npx vitest run test/native/cycles.test.ts`; each takes a few grace periods of
 * the kernel, which is a tenth of a second on a busy machine.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { nativeKernel } from '../../lib/native/kernel.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { describeSince } from '../support/require-kernel.js'

const CYCLES = Number(process.env['CYCLES'] ?? 100)
/** What the heap may have grown by, garbage that waits for its collection included. */
const GROWTH_BYTES = 48 << 20

const image = readFileSync(objectPath('test/contract'))

/** Opens, loads, attaches, reads and closes. @returns ids of its maps */
function cycle(): readonly number[] {
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
  return [object.map('counters').id, object.map('ring').id]
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

/** The object holds `syscall` programs: Linux 5.14. */
const describeNative = describeSince('5.14')

describeNative('objects that were opened, loaded, attached, read and closed', { timeout: 60_000 + CYCLES * 1000 }, () => {
  it('leave file descriptors, maps, programs, links and memory where they were', async () => {
    for (let i = 0; i < CYCLES / 5; i++) cycle()
    await sleep(50)
    const before = { files: openFiles(), held: heldObjects().length, rss: process.memoryUsage().rss }
    let ids: readonly number[] = []
    for (let i = 0; i < CYCLES; i++) {
      ids = cycle()
      // Files of readers are closed by libuv, in its turn.
      if (i % 20 === 0) await sleep(0)
    }
    await sleep(50)
    expect(openFiles()).toBe(before.files)
    expect(heldObjects()).toHaveLength(before.held)
    expect(process.memoryUsage().rss - before.rss).toBeLessThan(GROWTH_BYTES)
    // Linux frees a map when its last program is gone, a grace period later.
    for (let tries = 0; tries < 100 && ids.some(mapExists); tries++) await sleep(50)
    expect(ids.filter(mapExists)).toEqual([])
  })
})

function mapExists(id: number): boolean {
  return code(() => nativeKernel().openMap({ id }).close()) === undefined
}
