/** What a link is on both kernels: a tp_btf program on sched_process_exec. Every other place: test/native/links.test.ts. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BpfObject, Link, OpenLinkOptions } from '../../lib/index.js'
import { linkById, linkFromFd, openPinnedLink } from '../../lib/open-link.js'
import { code } from '../support/errors.js'
import { describeContract, openContract, type TestKernel } from '../support/kernels.js'

interface Scene extends Disposable {
  readonly kernel: TestKernel
  readonly options: OpenLinkOptions
  readonly object: BpfObject
  readonly link: Link
  /** Whether the program sees a process that executes something. */
  runs(): Promise<boolean>
}

describeContract('a link', (tested) => {
  let holder: ChildProcess | undefined
  let folder = '/sys/fs/bpf'
  beforeAll(async () => {
    if (tested.name !== 'native') return
    // A BPF file system that nobody else sees, reached through the process that mounted it.
    holder = spawn('unshare', [
      '-m',
      '--propagation',
      'private',
      'sh',
      '-c',
      'mount -t bpf bpf /mnt && echo ready && exec sleep 60',
    ])
    if (holder.stdout !== null) await once(holder.stdout, 'data')
    folder = `/proc/${holder.pid ?? 0}/root/mnt`
  })
  afterAll(() => void holder?.kill())

  function attach(): Scene {
    const kernel = tested.make()
    const object = openContract(kernel).load()
    object.bss['tree_root'] = kernel.root
    const link = object.program('on_exec').attach()
    return {
      kernel,
      options: { kernel: kernel.choice },
      object,
      link,
      async runs() {
        object.bss['seen_pid'] = 0
        const pid = await kernel.runProcess()
        return object.bss['seen_pid'] === pid
      },
      [Symbol.dispose]() {
        link.close()
        object.close()
      },
    }
  }

  it('tells what it is', () => {
    using scene = attach()
    const { link, object } = scene
    expect(link.target).toBe('tp_btf/sched_process_exec')
    expect(link.info()).toMatchObject({
      type: 'raw_tracepoint',
      id: link.id,
      programId: object.program('on_exec').id,
      name: 'sched_process_exec',
    })
    link.close()
    expect(code(() => link.info())).toBe('CLOSED')
    expect(code(() => link.pin(`${folder}/closed`))).toBe('CLOSED')
  })

  it('is held by a pin, and opened by it and by its id', async () => {
    using scene = attach()
    const { link, options } = scene
    const path = `${folder}/held`
    link.pin(path)
    expect(code(() => link.pin(path))).toBe('EEXIST')
    link.close()
    expect(await scene.runs()).toBe(true)
    const again = openPinnedLink(path, options)
    expect(again.id).toBe(link.id)
    expect(again.program).toBe('on_exec')
    const byId = linkById(link.id, options)
    again.unpin(path)
    expect(code(() => again.unpin(path))).toBe('ENOENT')
    again.close()
    expect(await scene.runs()).toBe(true)
    byId.close()
    expect(await scene.runs()).toBe(false)
    expect(code(() => linkById(link.id, options))).toBe('ENOENT')
    expect(code(() => openPinnedLink(path, options))).toBe('ENOENT')
  })

  it('is left behind by disown()', async () => {
    using scene = attach()
    const path = `${folder}/left`
    scene.link.pin(path)
    scene.link.disown()
    expect(scene.link.closed).toBe(true)
    expect(await scene.runs()).toBe(true)
    using again = openPinnedLink(path, scene.options)
    again.unpin(path).close()
    expect(await scene.runs()).toBe(false)
  })

  it('keeps its program, and is not detached by force', () => {
    using scene = attach()
    const { link, object } = scene
    expect(code(() => link.update(object.program('on_exec')))).toBe('EINVAL')
    expect(code(() => link.update({} as never))).toBe('BAD_VALUE')
    expect(code(() => link.detach())).toBe('EOPNOTSUPP')
  })

  it('refuses what is no name, number or descriptor of a link', () => {
    using scene = attach()
    const { link, options, object } = scene
    expect(code(() => link.pin(''))).toBe('BAD_VALUE')
    expect(code(() => link.pin('a\0b'))).toBe('BAD_VALUE')
    expect(code(() => linkById(-1, options))).toBe('BAD_VALUE')
    expect(code(() => linkFromFd(1.5, options))).toBe('BAD_VALUE')
    expect(code(() => openPinnedLink(7 as never, options))).toBe('BAD_VALUE')
    expect(code(() => object.program('on_exec').attachTracepoint('sched', 'sched_switch'))).toBe('BAD_VALUE')
    expect(code(() => object.program('on_exec').attachRawTracepoint('sched_switch'))).toBe('BAD_VALUE')
  })

  it('is made by attachTrace() too', async () => {
    using scene = attach()
    scene.link.close()
    expect(await scene.runs()).toBe(false)
    using link = scene.object.program('on_exec').attachTrace()
    expect(link.id).toBeGreaterThan(scene.link.id)
    expect(await scene.runs()).toBe(true)
  })
})
