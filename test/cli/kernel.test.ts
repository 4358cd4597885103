/** The commands that look at the kernel, as a person runs them. `npm test` has built dist/ by now. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { open } from '../../lib/index.js'
import { objectPath } from '../support/kernels.js'
import { patience } from '../support/patience.js'
import { describeSince, SYSCALL_PROGRAMS } from '../support/require-kernel.js'

const MAIN = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function run(...args: readonly string[]): Promise<Ended> {
  try {
    return {
      code: 0,
      ...(await promisify(execFile)(process.execPath, [MAIN, ...args], { maxBuffer: 1 << 26 })),
    }
  } catch (error) {
    return error as Ended
  }
}

const json = async (...args: readonly string[]): Promise<unknown> =>
  JSON.parse((await run(...args, '--json')).stdout)

describeSince(SYSCALL_PROGRAMS)('libbpf-node', { timeout: patience(60_000) }, () => {
  it('lists programs and maps as text, and as JSON under the names of bpftool', async () => {
    using object = open(objectPath('test/native_maps'), { kernel: 'native' }).load()
    const { id } = object.program('count')
    expect((await run('prog', 'list')).stdout).toMatch(new RegExp(`^ *${id} +syscall +count `, 'm'))
    expect(await json('prog', 'show', String(id))).toMatchObject({
      id,
      name: 'count',
      gpl_compatible: true,
      jited: expect.anything(),
    })
    const maps = await json('map', 'list')
    expect(maps).toContainEqual(
      expect.objectContaining({ id: object.map('mapped').id, bytes_key: 4, type: 'array' }),
    )
  })

  it('lists without being told to, and says so where there is nothing', async () => {
    using object = open(objectPath('test/native_maps'), { kernel: 'native' }).load()
    expect((await run('prog')).stdout).toContain(` ${object.program('count').id} `)
    expect((await run('map', '--json')).stdout).toContain(`"id": ${object.map('mapped').id}`)
    expect((await run('link')).stdout).toMatch(/^(?:No links$|Links$)/m)
  })

  it('shows one map with its users, and what is in it', async () => {
    using object = open(objectPath('test/native_maps'), { kernel: 'native' }).load()
    const map = object.map('mapped')
    const { stdout } = await run('map', 'show', String(object.map('.bss').id))
    expect(stdout).toMatch(new RegExp(`^Programs: (?:.*, )?${object.program('count').id}(?:,|$)`, 'm'))
    expect(stdout).toContain(`(${process.pid})`)
    expect(await json('map', 'show', String(map.id))).toMatchObject({
      id: map.id,
      users: { processes: expect.anything() },
    })
    const lines = (await run('map', 'dump', String(map.id))).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    expect(lines).toHaveLength(map.maxEntries)
    expect(lines[0]).toMatchObject({ key: 0, value: expect.anything() })
  })

  it('shows one link', async () => {
    using object = open(objectPath('execsnoop'), { kernel: 'native' }).load()
    using links = object.attach()
    const id = [...links][0]?.id
    expect(await json('link', 'show', String(id))).toMatchObject({ id, type: 'raw_tracepoint' })
    expect((await run('link', 'show', String(id))).stdout).toMatch(
      new RegExp(`^ *${id} +raw_tracepoint`, 'm'),
    )
  })

  it('shows the instructions of a program under its source lines', async () => {
    using object = open(objectPath('test/native_maps'), { kernel: 'native' }).load()
    const { stdout } = await run('prog', 'dump', String(object.program('count').id))
    expect(stdout).toMatch(/^int count\(.*\):$/m)
    expect(stdout).toMatch(/^; counter \+= step; @ native_maps\.bpf\.c:\d+$/m)
    expect(stdout).toMatch(/^ +\d+: \(95\) exit$/m)
  })

  it('tells features, with reasons in JSON', async () => {
    const report = await json('features')
    expect(report).toMatchObject({
      system: { capabilities: { effective: expect.arrayContaining(['CAP_BPF']) } },
      program_types: { xdp: { answer: 'yes' } },
      map_types: { hash: { answer: 'yes' } },
      helpers: { xdp: expect.arrayContaining(['bpf_redirect_map']) },
    })
  })

  it('lists types, links and the network, also if nothing is there', async () => {
    expect((await run('btf', 'list')).stdout).toMatch(/^ *1 +vmlinux +\d+$/m)
    for (const words of [
      ['link', 'list'],
      ['net', 'list'],
    ])
      expect(await run(...words)).toMatchObject({ code: 0, stderr: '' })
  })

  it('says what an object needs', async () => {
    const { stdout } = await run('privileges', fileURLToPath(objectPath('execsnoop')))
    expect(stdout).toMatch(/^ *handle_exec +tracing +yes +yes$/m)
    expect(stdout).toMatch(/^Needs CAP_BPF, CAP_PERFMON; nothing is missing$/m)
  })

  it('says what to grant, to a process that has nothing', async () => {
    const user = [
      '--reuid',
      '1000',
      '--regid',
      '1000',
      '--clear-groups',
      '--inh-caps',
      '-all',
      '--bounding-set',
      '-all',
    ]
    const command = [process.execPath, MAIN, 'privileges', fileURLToPath(objectPath('execsnoop'))]
    const { stdout } = await promisify(execFile)('setpriv', [...user, ...command])
    expect(stdout).toMatch(/^Needs CAP_BPF, CAP_PERFMON; missing: CAP_BPF, CAP_PERFMON$/m)
    expect(stdout).toMatch(/^setcap +setcap cap_bpf,cap_perfmon=ep \.\/node$/m)
    expect(stdout).toMatch(/^docker +--cap-add BPF --cap-add PERFMON$/m)
    expect(stdout).toMatch(/^systemd\n +AmbientCapabilities=CAP_BPF CAP_PERFMON\n +CapabilityBoundingSet=/m)
    expect(stdout).toMatch(/^Kubernetes\n +securityContext:\n +capabilities:\n +add: \[BPF, PERFMON\]$/m)
  })

  it('says what else than capabilities stands in the way, and what to do about it', async () => {
    const script = 'while mountpoint -q /sys/fs/bpf; do umount /sys/fs/bpf; done; exec "$@"'
    const command = [process.execPath, MAIN, 'privileges', fileURLToPath(objectPath('test/conditions'))]
    const { stdout } = await promisify(execFile)('unshare', ['--mount', 'sh', '-c', script, 'sh', ...command])
    expect(stdout).toMatch(
      /^ *pinned +array +no +- +array: no bpf file system is mounted at \/sys\/fs\/bpf$/m,
    )
    expect(stdout).toMatch(
      /^Besides capabilities\n(?: .*\n)*  no bpf file system is mounted at \/sys\/fs\/bpf\n    mount -t bpf bpf \/sys\/fs\/bpf$/m,
    )
  })

  it('refuses what is no id, and says which id is gone', async () => {
    expect(await run('prog', 'show', 'x')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('positive integer'),
    })
    expect(await run('prog', 'show', '4294967295')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ENOENT'),
    })
  })
})
