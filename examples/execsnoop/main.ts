#!/usr/bin/env node
/** Shows every process that starts and exits, live. The program in the kernel is bpf/execsnoop.bpf.c. */
import { fileURLToPath } from 'node:url'
import { BpfError, open, type BpfObject, type OpenObject } from 'libbpf-node'
import { linux, simulation, type Host } from './host.js'
import { parseOptions } from './options.js'
import { JsonLines, Table } from './output.js'
import { KINDS, toProcessEvent, type ProcessEvent, type RawEvent } from './process-event.js'

const OBJECT = fileURLToPath(new URL('../../../bpf/execsnoop.bpf.o', import.meta.url))

const options = parseOptions(process.argv.slice(2))

try {
  await main()
} catch (error) {
  if (!(error instanceof BpfError)) throw error
  process.stderr.write(`execsnoop: ${error.message}\n`)
  if (error.verifier !== undefined) process.stderr.write(`${error.verifier.log}\n`)
  process.exitCode = 1
}

async function main(): Promise<void> {
  const stop = stopSignal()
  const { spec, host } = openOnBestHost()
  configure(spec)
  using object = spec.load()

  const output = options.json ? new JsonLines(process.stdout) : new Table(process.stdout)
  const counts = { fork: 0, exec: 0, exit: 0 }
  using events = object.map('events').ringBuffer<RawEvent>({
    type: 'event',
    int64: 'number',
    dropped: () => object.bss['lost_events'] as bigint,
  })
  events.on('event', (raw) => {
    const event = toProcessEvent(raw, host.epochMs)
    if (!isNamed(event)) return
    counts[event.event]++
    output.show(event)
  })

  if (options.tree !== undefined) follow(object, [options.tree])
  const links = object.attach()
  // From here on forks follow by themselves: now the descendants that were there before.
  if (options.tree !== undefined) follow(object, host.descendants(options.tree))

  // Everything is in place: the first line says so. No event can come before it, they wait for the event loop.
  const { name, description } = object.kernel
  output.begin({ name, description, ...(host.reason !== undefined && { reason: host.reason }) })

  await host.play(stop)

  links.close()
  while (events.consume() > 0);
  events.close()
  const totals = KINDS.map((kind) => `${counts[kind]} ${kind}s`).join(', ')
  process.stderr.write(`${totals}, ${events.drops} events lost\n`)
}

function openOnBestHost(): { readonly spec: OpenObject; readonly host: Host } {
  if (options.kernel !== 'fallback') {
    const host = linux()
    try {
      return { host, spec: open(OBJECT, { kernel: host.kernel }) }
    } catch (error) {
      const unavailable = error instanceof BpfError && error.code === 'NO_NATIVE_KERNEL'
      if (options.kernel === 'native' || !unavailable) throw error
      return openOn(simulation(`simulated processes, because ${error.message}`, options.seed))
    }
  }
  return openOn(simulation('simulated processes, as asked for', options.seed))
}

function openOn(host: Host): { readonly spec: OpenObject; readonly host: Host } {
  return { host, spec: open(OBJECT, { kernel: host.kernel }) }
}

/** Constants of the BPF program: what they rule out, the verifier removes. */
function configure({ rodata }: OpenObject): void {
  rodata['min_duration_ns'] = BigInt(options.minDuration) * 1_000_000n
  rodata['filter_tree'] = options.tree !== undefined
  if (options.pid !== undefined) rodata['target_pid'] = options.pid
  if (options.uid !== undefined) rodata['target_uid'] = options.uid
}

function follow(object: BpfObject, pids: readonly number[]): void {
  const tree = object.map<number, number>('tree')
  for (const pid of pids) tree.set(pid, 1)
}

function isNamed({ comm, filename }: ProcessEvent): boolean {
  return (
    options.name === undefined || comm.includes(options.name) || (filename?.includes(options.name) ?? false)
  )
}

/** Aborted by Ctrl-C, by SIGTERM, at the end of the duration, or when nobody reads the output any more. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    stop.abort()
  })
  if (options.duration !== undefined) setTimeout(() => stop.abort(), options.duration * 1000).unref()
  return stop.signal
}
