/** What processes and workers have in the kernel when tests end them: a link, and a flood that they make for themselves. Of the built library. */
import { readdirSync, readFileSync } from 'node:fs'
import { open, ringBuffers } from '../../dist/lib/index.js'

export const load = (name) =>
  open(new URL(`../../bpf/test/${name}.bpf.o`, import.meta.url), { kernel: 'native' }).load()
export const u64 = (...values) => new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer)
const u32 = (...values) => new Uint8Array(Uint32Array.from(values).buffer)

/**
 * Readers of perf buffers and rings whose streams never end: each batch makes the next one.
 *
 * @param onBatch called with the number of batches so far
 */
export function streams(onBatch = () => {}) {
  const perfObject = load('native_readers')
  const perf = perfObject.map('perf').perfBuffer({ batchRecords: 8 })
  const sendPerf = () => perfObject.program('send').run({ ctx: u64(0, 20) })
  const ringObject = load('readers')
  const rings = ringBuffers([ringObject.map('events'), ringObject.map('logs')], { batchRecords: 8 })
  const sendRings = () => {
    ringObject.program('send_events').run({ ctx: u32(0, 10) })
    ringObject.program('send_logs').run({ ctx: u32(0, 10) })
  }
  const commands = perfObject.map('commands').userRing()
  commands.reserve(8)
  let batches = 0
  perf.on('batch', () => {
    sendPerf()
    onBatch(++batches)
  })
  rings.on('batch', () => {
    sendRings()
    onBatch(++batches)
  })
  sendPerf()
  sendRings()
}

/** Attaches a program that looks at executions by children of this process. */
export function attachOnExec() {
  const object = load('contract')
  object.bss.tree_root = process.pid
  object.attach()
}

/** The ids of a kind in this process's descriptors: `map_id`, `prog_id`, `link_id`. */
export function held(kind) {
  const ids = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
      return [...info.matchAll(new RegExp(`^${kind}:\\s*(\\d+)`, 'gm'))].map(([, id]) => Number(id))
    } catch {
      return [] // the descriptor of the folder itself
    }
  })
  return [...new Set(ids)]
}
