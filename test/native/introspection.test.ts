/** What the kernel knows of programs, maps, links and types, against what was put into it, and against bpftool where there is one. */
import { execFileSync, spawnSync } from 'node:child_process'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { introspect, open, type BpfObject } from '../../lib/index.js'
import { TestCgroup } from '../support/cgroup.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { u32 } from '../support/native.js'
import { TestNetwork } from '../support/network.js'
import { addNetkit } from '../support/network-attachments.js'
import { probeTarget, removeProbeTarget } from '../support/probe-target.js'
import { loadOnly } from '../support/programs.js'
import { plainEnvironment } from '../support/plain-environment.js'
import { describeSince, requires, SYSCALL_PROGRAMS } from '../support/require-kernel.js'

const kernel = introspect()
const hasBpftool = spawnSync('bpftool', ['version'], { env: plainEnvironment() }).status === 0

function bpftool(...args: readonly string[]): unknown {
  return JSON.parse(execFileSync('bpftool', ['-j', ...args], { encoding: 'utf8', env: plainEnvironment() }))
}

/** `bytesXlated` as bpftool spells it. */
const bpftoolName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

let object: BpfObject
beforeEach(() => {
  object = open(objectPath('test/native_maps'), { kernel: 'native' }).load()
})
afterEach(() => object.close())
afterAll(removeProbeTarget)

describeSince(SYSCALL_PROGRAMS)('introspection of programs', () => {
  it('lists what is loaded, and nothing that was closed', () => {
    const { id } = object.program('count')
    expect(kernel.programs().map((program) => program.id)).toContain(id)
    object.close()
    expect(kernel.programs().map((program) => program.id)).not.toContain(id)
    expect(code(() => kernel.program(id))).toBe('ENOENT')
  })

  it('tells the same by handle and by id', () => {
    const program = object.program('packet')
    const facts = kernel.program(program)
    const { loadedAt = 0, ...byId } = kernel.program(program.id)
    expect({ ...byId, loadedAt: facts.loadedAt }).toEqual(facts)
    // Seconds, of a clock that may be set meanwhile.
    expect(Math.abs(loadedAt - Date.now() / 1000)).toBeLessThan(60)
    expect(facts).toMatchObject({ type: 'xdp', name: 'packet', tag: program.tag, gplCompatible: true, uid: 0 })
    expect(facts.bytesXlated % 8).toBe(0)
    expect(facts.verifiedInsns).toBeGreaterThan(0)
  })

  it.runIf(hasBpftool)("tells what bpftool tells, under bpftool's names", () => {
    const { id } = object.program('count')
    const shown = bpftool('prog', 'show', 'id', String(id)) as Record<string, unknown>
    const facts = kernel.program(id)
    const ours = new Map(Object.entries(facts).map(([name, value]) => [bpftoolName(name), value]))
    for (const name of ['id', 'type', 'name', 'tag', 'gpl_compatible', 'uid', 'bytes_xlated', 'jited', 'bytes_jited', 'bytes_memlock', 'btf_id']) {
      expect([name, ours.get(name)]).toEqual([name, shown[name]])
    }
    expect(new Set(facts.mapIds)).toEqual(new Set(shown['map_ids'] as readonly number[]))
  })

  it.runIf(hasBpftool)('shows instructions, functions and source lines as bpftool does', () => {
    const { id } = object.program('count')
    const shown = bpftool('prog', 'dump', 'xlated', 'id', String(id)) as readonly Record<string, string>[]
    const listed = kernel.code(id).xlated ?? []
    // bpftool leaves a blank behind an instruction or two.
    expect(listed.map(({ disasm }) => disasm)).toEqual(shown.map(({ disasm }) => disasm?.trim()))
    expect(listed.map(({ source }) => source?.text ?? '')).toEqual(shown.map(({ src }) => (src ?? '').trim()))
    expect(listed[0]?.function).toMatchObject({ name: 'count', insn: 0 })
  })

  it('shows machine code by function, with source lines in it', () => {
    const [main] = kernel.code(object.program('count')).jited ?? []
    expect(main?.function?.name).toBe('count')
    expect(main?.bytes.length).toBe(kernel.program(object.program('count')).bytesJited)
    expect(main?.lines.length).toBeGreaterThan(0)
    expect(main?.lines.every(({ offset }) => offset < (main.bytes.length || 0))).toBe(true)
  })

  it('counts runs while it is asked to', () => {
    const program = object.program('count')
    const run = () => program.run({ ctx: u32(0) })
    run()
    expect(kernel.program(program).runCnt).toBe(0n)
    const counter = kernel.countRunTime()
    run()
    run()
    counter.close()
    counter.close()
    run()
    const { runCnt, runTimeNs } = kernel.program(program)
    expect(runCnt).toBe(2n)
    expect(runTimeNs).toBeGreaterThan(0n)
  })

  it('refuses what is no id', () => {
    expect(code(() => kernel.program(0))).toBe('BAD_VALUE')
    expect(code(() => kernel.map(-1))).toBe('BAD_VALUE')
    expect(code(() => kernel.link(0xffffffff))).toBe('ENOENT')
  })
})

describeSince(SYSCALL_PROGRAMS)('introspection of maps', () => {
  it('tells sizes, types and memory', () => {
    const map = object.map('mapped')
    const facts = kernel.map(map)
    expect(kernel.map(map.id)).toEqual(facts)
    expect(facts).toMatchObject({ name: 'mapped', type: map.type, bytesKey: 4, maxEntries: map.maxEntries, frozen: false })
    expect(facts.bytesMemlock).toBeGreaterThan(0)
    expect(facts.btfId).toBe(kernel.program(object.program('count')).btfId)
  })

  it('finds the programs and processes that use one', () => {
    const { programs, processes } = kernel.mapUsers(object.map('.bss'))
    expect(programs).toContain(object.program('count').id)
    expect(processes.map(({ pid }) => pid)).toContain(process.pid)
    expect(kernel.holders('program').some(({ id, pid }) => id === object.program('count').id && pid === process.pid)).toBe(true)
  })

  it('knows the types in the kernel', () => {
    const btfs = kernel.btfs()
    expect(btfs.find(({ name }) => name === 'vmlinux')).toMatchObject({ kernel: true })
    const { btfId } = kernel.program(object.program('count'))
    expect(btfs.find(({ id }) => id === btfId)).toMatchObject({ kernel: false, name: '' })
    const bytes = kernel.btfBytes(btfId)
    expect(bytes.length).toBe(kernel.btf(btfId).size)
    expect([...bytes.subarray(0, 2)]).toEqual([0x9f, 0xeb])
  })

  it('lists struct_ops by the struct of the kernel', () => {
    using algorithms = open(objectPath('test/struct_ops'), { kernel: 'native' }).load()
    const names = kernel.structOps().map(({ kernelStruct }) => kernelStruct)
    expect(algorithms.name).toBe('struct_ops')
    expect(names).toContain('tcp_congestion_ops')
  })
})

describeSince('5.14')('introspection of attachments', () => {
  it('lists links, with what they are attached to', () => {
    const spec = open(objectPath('test/native_maps'), { kernel: 'native' })
    spec.programs['count']!.autoload = false // the object has it
    spec.programs['spare']!.autoload = true // as above
    using spare = spec.load()
    using link = spare.program('spare').attach()
    const found = kernel.links().find(({ id }) => id === link.id)
    expect(found).toMatchObject({ type: 'raw_tracepoint', name: 'sys_enter' })
    expect(kernel.link(link.id)).toEqual(found)
    link.close()
    expect(kernel.links().map(({ id }) => id)).not.toContain(link.id)
  })

  it('tells what the perf events of a process run', () => {
    using programs = loadOnly('tracing', 'on_uprobe')
    const { id } = programs.program('on_uprobe')
    using link = programs.program('on_uprobe').attachUprobe(probeTarget(), { function: 'traced_0' })
    const found = kernel.taskFiles(process.pid).filter(({ programId }) => programId === id)
    expect(found).toMatchObject([{ pid: process.pid, kind: 'uprobe', name: probeTarget() }])
    link.close()
    expect(kernel.taskFiles(process.pid).filter(({ programId }) => programId === id)).toEqual([])
    expect(code(() => kernel.taskFiles(0x7fffffff))).toBe('ENOENT')
  })

  it('shows what is attached to a cgroup, and what takes effect below it', async () => {
    await using above = new TestCgroup()
    await using below = new TestCgroup(above.path)
    using programs = loadOnly('cgroup', 'on_egress')
    const { id } = programs.program('on_egress')
    using link = programs.program('on_egress').attachCgroup(above.path)
    const own = { id, attachType: 'cgroup_inet_egress', attachFlags: 'multi' }
    expect(kernel.cgroup(above.path)).toEqual([own])
    expect(kernel.cgroup(below.path)).toEqual([])
    expect(kernel.cgroup(below.path, { effective: true })).toContainEqual({ ...own, attachFlags: '' })
    link.close()
    expect(kernel.cgroup(above.path)).toEqual([])
    expect(code(() => kernel.cgroup(`${above.path}/none`))).toBe('ENOENT')
    expect(code(() => kernel.cgroup('/tmp'))).toBe('BAD_VALUE')
  })

  describe('to a network', () => {
    let network: TestNetwork
    beforeEach(async () => {
      network = await TestNetwork.create()
    })
    afterEach(() => network[Symbol.dispose]())

    it('shows what is attached to the network namespace itself', () => {
      const netns = network.near.path
      using programs = loadOnly('network', 'on_sk_lookup', 'on_flow_dissector')
      using _lookup = programs.program('on_sk_lookup').attachNetns(netns)
      using _dissector = programs.program('on_flow_dissector').attachNetns(netns)
      expect(kernel.network({ netns }).netns).toEqual([
        { attachType: 'flow_dissector', id: programs.program('on_flow_dissector').id },
        { attachType: 'sk_lookup', id: programs.program('on_sk_lookup').id },
      ])
      expect(code(() => kernel.network({ netns: '/proc/0/ns/net' }))).toBe('ENOENT')
    })

    requires({ since: '6.7', config: ['NETKIT'] })('of netkit', () => {
      it('shows the programs of both ends', () => {
        const netns = network.near.path
        addNetkit(network)
        try {
          using programs = loadOnly('network', 'on_netkit', 'on_netkit_peer')
          using primary = programs.program('on_netkit').attachTc('kit', { netns, direction: 'primary' })
          using peer = programs.program('on_netkit_peer').attachTc('kit', { netns, direction: 'peer' })
          expect(kernel.network({ netns }).tc).toEqual([
            expect.objectContaining({ kind: 'netkit/primary', devname: 'kit', id: programs.program('on_netkit').id, linkId: primary.id }),
            expect.objectContaining({ kind: 'netkit/peer', devname: 'kit', id: programs.program('on_netkit_peer').id, linkId: peer.id }),
          ])
        } finally {
          network.near.ip('link del kit')
        }
      })
    })

    it('shows XDP, tcx and clsact programs by interface', () => {
      const netns = network.near.path
      using programs = loadOnly('network', 'on_xdp', 'on_tc', 'on_tc_other')
      const ids = (name: string): number => programs.program(name).id
      expect(kernel.network({ netns })).toEqual({ xdp: [], tc: [], netns: [] })
      {
        using _xdp = programs.program('on_xdp').attachXdp('near', { netns, mode: 'generic' })
        using _egress = programs.program('on_tc').attachTc('near', { netns, direction: 'egress' })
        using _ingress = programs.program('on_tc_other').attachTc('near', { netns, direction: 'ingress', via: 'clsact' })
        const { xdp, tc } = kernel.network({ netns })
        expect(xdp).toMatchObject([{ devname: 'near', mode: 'generic', id: ids('on_xdp') }])
        expect(tc).toContainEqual(expect.objectContaining({ kind: 'clsact/ingress', devname: 'near', id: ids('on_tc_other'), directAction: true }))
        expect(tc.map(({ id }) => id)).toContain(ids('on_tc'))
      }
      expect(kernel.network({ netns })).toEqual({ xdp: [], tc: [], netns: [] })
    })
  })
})
