/**
 * `npm run soak`: ring-buffer readers at full rate. Memory must stay flat, and every record must be accounted for:
 * produced = delivered + counted drops.
 *
 * Runs of 16-byte records as batches, of 64-byte records decoded to objects, and of a stream that is too slow on purpose.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { open, type BpfObject } from 'libbpf-node'
import { compileRing, FLOOD_OBJECT, type RingProgram } from './native/c-reference.js'

interface Run {
  readonly name: string
  readonly program: 'flood' | 'flood16'
  /** Starts reading. @returns how many records were delivered, once the ring is empty */
  read(object: BpfObject): () => Promise<{ readonly delivered: number; readonly drops: number }>
}

/** Growth of the resident set, after the warm-up, that is called flat. MiB. */
const FLAT_MIB = 24

const lost = (object: BpfObject) => (): bigint => object.bss['lost'] as bigint

const runs: readonly Run[] = [
  {
    name: '16-byte records, batches',
    program: 'flood16',
    read(object) {
      const reader = object.map('ring').ringBuffer({ dropped: lost(object) })
      let delivered = 0
      reader.on('batch', ({ count }) => (delivered += count))
      return async () => {
        reader.flush()
        reader.close()
        return { delivered, drops: reader.drops }
      }
    },
  },
  {
    name: '64-byte records, decoded',
    program: 'flood',
    read(object) {
      const reader = object.map('ring').ringBuffer({ type: 'record64', dropped: lost(object) })
      let delivered = 0
      reader.on('event', () => delivered++)
      return async () => {
        reader.flush()
        reader.close()
        return { delivered, drops: reader.drops }
      }
    },
  },
  {
    name: '64-byte records, a slow stream',
    program: 'flood',
    read(object) {
      const reader = object.map('ring').ringBuffer({ dropped: lost(object) })
      const stream = reader.readable({ raw: true })
      let delivered = 0
      stream.on('data', () => {
        // Every 100,000 records a pause: the ring runs over meanwhile.
        if (++delivered % 100_000 === 0) {
          stream.pause()
          setTimeout(() => stream.resume(), 50)
        }
      })
      return async () => {
        while ((reader.available ?? 0) > 0 || stream.isPaused()) await sleep(5)
        for (let before = -1; before !== delivered; await sleep(100)) before = delivered
        reader.close()
        return { delivered, drops: reader.drops }
      }
    },
  },
]

async function soak(run: Run, ring: RingProgram, seconds: number): Promise<boolean> {
  using object = open(FLOOD_OBJECT, { kernel: 'native' }).load()
  const finish = run.read(object)
  const memory: number[] = []
  const sampler = setInterval(() => memory.push(process.memoryUsage().rss / 2 ** 20), 100)
  const produced = await ring.count(object.program(run.program).id, seconds * 1000)
  const { delivered, drops } = await finish()
  clearInterval(sampler)
  const warm = memory.slice(Math.floor(memory.length / 3))
  const half = warm.length / 2
  const growth = Math.max(...warm.slice(half)) - Math.max(...warm.slice(0, half))
  const adds = produced === delivered + drops
  const flat = growth <= FLAT_MIB
  const say = (count: number): string => count.toLocaleString('en')
  console.log(
    `${run.name}: ${say(produced)} produced = ${say(delivered)} delivered + ${say(drops)} dropped: ${adds ? 'yes' : 'NO'}; ` +
      `${say(Math.round(delivered / seconds))} a second; memory grew by ${growth.toFixed(1)} MiB: ${flat ? 'flat' : 'NOT FLAT'}`,
  )
  return adds && flat
}

function positive(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value <= 3600) return value
  throw new InvalidArgumentError('It must be a number of seconds, up to 3600.')
}

const { seconds } = new Command('npm run soak --')
  .option('--seconds <n>', 'how long in all', positive, 20)
  .parse()
  .opts<{ seconds: number }>()
const ring = await compileRing()
let passed = true
for (const run of runs) passed = (await soak(run, ring, Math.max(1, seconds / runs.length))) && passed
process.exitCode = passed ? 0 : 1
