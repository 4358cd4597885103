import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { BpfError, type BpfObject, type Program } from '../../lib/index.js'
import { openPidfd } from '../../lib/pidfd.js'
import { cgroupRoot } from '../support/cgroup.js'
import { code } from '../support/errors.js'
import { thrownBy } from '../support/native.js'
import { loadOnly } from '../support/programs.js'
import { describeSince, linuxIsAtLeast, nativeIsAllowed } from '../support/require-kernel.js'
import { isVirtual } from '../support/this-machine.js'

const load = (program: string): BpfObject => loadOnly('iterators', program)

/** The policy of a shared machine may refuse iterators over maps to everybody: virtual machines have none. */
function mapsMayBeWalked(): boolean {
  if (isVirtual || !nativeIsAllowed()) return true
  try {
    load('dump_element').close()
    return true
  } catch (error) {
    if (error instanceof BpfError && /so the security policy refuses it/.test(error.message)) return false
    throw error
  }
}
const walksMaps = mapsMayBeWalked()
const refused = walksMaps ? '' : " [this machine's policy refuses it: npm run test:vm]"
const own = ` ${process.pid} `

describeSince('5.8')('iterators', () => {
  it('walk anew each time that they are read: lines, text, a stream, chunks', async () => {
    using object = load('dump_task')
    using tasks = object.program('dump_task').attachIterator()
    const lines: string[] = []
    for await (const line of tasks.lines()) lines.push(line)
    expect(lines.length).toBeGreaterThan(3)
    expect(lines.every((line) => /^\d+ \d+ ./.test(line))).toBe(true)
    expect(lines.filter((line) => line.startsWith(`${process.pid}${own}`))).toHaveLength(1)
    expect(tasks.text()).toContain(own)
    expect(await text(tasks.stream())).toContain(own)
    let bytes = 0
    for await (const chunk of tasks.chunks(7)) {
      expect(chunk.length).toBeLessThanOrEqual(7)
      bytes += chunk.length
    }
    expect(bytes).toBeGreaterThan(10 * lines.length)
    expect(tasks.info()).toMatchObject({ type: 'iter', name: 'task', id: tasks.id })
  })

  it.runIf(walksMaps)(`walk over the elements of a map${refused}`, () => {
    using object = load('dump_element')
    const map = object.map<number, bigint>('numbers')
    for (let i = 0; i < 4000; i++) map.set(i, BigInt(i) * 3n)
    using elements = object.program('dump_element').attachIterator({ map })
    const found = new BigUint64Array(elements.read().slice().buffer)
    const entries = new Map(Array.from({ length: found.length / 2 }, (_, i) => [found[2 * i], found[2 * i + 1]]))
    expect(entries.size).toBe(4000)
    expect(entries.get(1234n)).toBe(3702n)
    expect(elements.info()).toMatchObject({ name: 'bpf_map_elem', mapId: map.info.id })
  })

  it.runIf(walksMaps && linuxIsAtLeast('5.9'))('walk over the sockets that have something in a map', async () => {
    using object = load('dump_socket')
    const map = object.map<DatagramSocket, bigint>('per_socket')
    const sockets = [createSocket('udp4'), createSocket('udp4')]
    for (const socket of sockets) {
      socket.bind(0, '127.0.0.1')
      await once(socket, 'listening')
    }
    map.set(sockets[0] as DatagramSocket, 11n)
    map.set(sockets[1] as DatagramSocket, 22n)
    using walk = object.program('dump_socket').attachIterator({ map })
    expect(walk.text().trim().split('\n').toSorted()).toEqual(['11', '22'])
    expect(walk.info()).toMatchObject({ name: 'bpf_sk_storage_map', mapId: map.info.id })
    for (const socket of sockets) socket.close()
  })

  it('take another program', () => {
    using object = loadOnly('iterators', 'dump_task', 'dump_task_again')
    const [first, second] = [object.program('dump_task'), object.program('dump_task_again')]
    using link = first.attachIterator()
    expect(code(() => link.update(second, second))).toBe('EPERM')
    link.update(second, first)
    expect(link.text()).toContain(`again ${process.pid}\n`)
    expect(link.info().programId).toBe(second.id)
  })

  it('end a walk that is left, and go on when the link is closed', async () => {
    using object = load('dump_task')
    const link = object.program('dump_task').attachIterator()
    const before = readdirSync('/proc/self/fd').length
    for await (const line of link.lines()) {
      expect(line).not.toBe('')
      break
    }
    expect(readdirSync('/proc/self/fd').length).toBe(before)
    const chunks = link.chunks(16)
    expect((await chunks.next()).value).toHaveLength(16)
    link.close()
    expect((await chunks.next()).value).toBeInstanceOf(Uint8Array)
    await chunks.return()
    expect(readdirSync('/proc/self/fd').length).toBe(before - 1)
    expect(code(() => link.text())).toBe('CLOSED')
  })

  it.runIf(walksMaps)(`say what they walk over${refused}`, () => {
    using object = load('dump_element')
    const program = object.program('dump_element')
    expect(thrownBy(() => program.attachIterator()).message).toContain('needs the map')
    expect(code(() => program.attachIterator({ map: 5 } as never))).toBe('BAD_VALUE')
    expect(code(() => program.attachIterator({ map: object.map('numbers'), task: { tid: 1 } } as never))).toBe('BAD_VALUE')
    expect(thrownBy(() => program.attachTrace()).message).toContain('attachIterator()')
    using other = load('dump_task')
    expect(code(() => other.program('dump_task').attachIterator({ task: { tid: 0 } }))).toBe('BAD_VALUE')
    expect(code(() => other.program('dump_task').attachIterator({ map: other.map('numbers') }))).toBe('BAD_VALUE')
  })
})

describeSince('6.1')('iterators over a part', () => {
  it('walk over the threads of a process, and one thread', () => {
    using object = load('dump_task')
    const program = object.program('dump_task')
    using threads = program.attachIterator({ task: { pid: process.pid } })
    const lines = threads.text().trim().split('\n')
    expect(lines.length).toBe(readdirSync('/proc/self/task').length)
    expect(lines.every((line) => line.startsWith(`${process.pid} `))).toBe(true)
    using thread = program.attachIterator({ task: { tid: process.pid } })
    expect(thread.text()).toMatch(new RegExp(`^${process.pid} ${process.pid} .*\\n$`))
    expect(thread.info()).toMatchObject({ task: { tid: process.pid, pid: 0 } })
  })

  it('walk over the threads of the process that a descriptor stands for', () => {
    using object = load('dump_task')
    using self = openPidfd(process.pid, { kernel: 'native' })
    using threads = object.program('dump_task').attachIterator({ task: { pidFd: self.fd } })
    const lines = threads.text().trim().split('\n')
    expect(lines.length).toBe(readdirSync('/proc/self/task').length)
    expect(lines.every((line) => line.startsWith(`${process.pid} `))).toBe(true)
    // Linux keeps the process, not its descriptor.
    expect(threads.info()).toMatchObject({ task: { tid: 0, pid: process.pid } })
  })

  it('walk over cgroups in an order', () => {
    const parent = join(cgroupRoot(), `libbpf-node-iter-${process.pid}`)
    const child = join(parent, 'child')
    mkdirSync(child, { recursive: true })
    try {
      using object = load('dump_cgroup')
      const program: Program = object.program('dump_cgroup')
      const ids = [parent, child].map((path) => String(statSync(path).ino))
      using down = program.attachIterator({ cgroup: parent, order: 'descendantsPre' })
      expect(down.text().trim().split('\n')).toEqual(ids)
      using up = program.attachIterator({ cgroup: child, order: 'ancestorsUp' })
      expect(up.text().split('\n').slice(0, 2)).toEqual(ids.toReversed())
      using self = program.attachIterator({ cgroup: child })
      expect(self.text().trim()).toBe(ids[1])
      expect(thrownBy(() => program.attachIterator({ cgroup: `${parent}/chold` })).message).toMatch(/ENOENT/)
    } finally {
      rmdirSync(child)
      rmdirSync(parent)
    }
  })
})
