/**
 * Attaches a program, floods itself, and prints as JSON what it holds in the kernel; then ends in the way that its argument names, or waits
 * for a signal. Started by flood-end.test.ts; TRACEFS says where tracefs is mounted.
 */
import { readdirSync } from 'node:fs'
import { TracePipe } from '../../dist/lib/index.js'
import { attachOnExec, held, load, streams } from './streams.mjs'

const ways = {
  signal() {},
  handler: () => process.on('SIGTERM', () => process.exit(3)),
  uncaught: () => process.on('SIGUSR2', () => (isDoomed = true)),
}
let isDoomed = false
ways[process.argv[2]]()

attachOnExec()
const pipe = new TracePipe({ tracefs: process.env.TRACEFS, kernel: 'native' })
const readers = load('readers')
pipe.on('event', () => {})
streams((batches) => {
  if (isDoomed) throw new Error('on purpose')
  readers.program('print').run({ ctx: new Uint8Array(Uint32Array.of(batches, 1).buffer) })
  if (batches !== 50) return
  const instances = readdirSync(`${process.env.TRACEFS}/instances`)
  console.log(
    JSON.stringify({
      maps: held('map_id'),
      programs: held('prog_id'),
      links: held('link_id'),
      instances: instances.filter((name) => name.includes(`-${process.pid}-`)),
    }),
  )
})
