/** Every BPF link of networks, cgroups and sockets, through the same contract: fires, tells, is updated, pinned, opened again, detached. */
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BpfObject, Link } from '../../lib/index.js'
import { linkById, linkFromFd, openPinnedLink } from '../../lib/open-link.js'
import { TestBpffs } from '../support/bpffs.js'
import { TestCgroup } from '../support/cgroup.js'
import { code } from '../support/errors.js'
import { missingHere } from '../support/kernel-needs.js'
import {
  addNetkit,
  NETKIT_ATTACHMENTS,
  NETWORK_ATTACHMENTS,
  type NetworkAttachment,
  type NetworkScene,
} from '../support/network-attachments.js'
import { TestNetwork } from '../support/network.js'
import { hits, loadOnly } from '../support/programs.js'
import { describeNative } from '../support/require-kernel.js'

const NATIVE = { kernel: 'native' } as const

let scene: NetworkScene
let bpffs: TestBpffs

describeNative('links', () => {
  beforeAll(async () => {
    bpffs = await TestBpffs.mount()
    scene = { network: await TestNetwork.create(), cgroup: new TestCgroup() }
  })
  afterAll(async () => {
    bpffs[Symbol.dispose]()
    scene.network[Symbol.dispose]()
    await scene.cgroup[Symbol.asyncDispose]()
  })

  for (const attachment of NETWORK_ATTACHMENTS) suite(attachment, () => contract(attachment))
  describe('of a netkit pair', () => {
    for (const attachment of NETKIT_ATTACHMENTS) {
      suite(attachment, () => {
        beforeAll(() => addNetkit(scene.network))
        afterAll(() => scene.network.near.ip('link del kit'))
        contract(attachment)
      })
    }
  })
})

function suite({ name, needs }: NetworkAttachment, tests: () => void): void {
  const missing = missingHere(needs)
  const note = missing === undefined ? '' : ` [${missing}]`
  describe.skipIf(missing !== undefined)(`${name}${note}`, tests)
}

function contract(attachment: NetworkAttachment): void {
  const { object: file, program: name, other, type } = attachment

  function load(): BpfObject {
    return loadOnly(file, ...[name, other].flatMap((one) => (one === undefined ? [] : [`on_${one}`])))
  }
  const attach = (object: BpfObject): Link => attachment.attach(object.program(`on_${name}`), scene, object)
  /** Whether a program runs when it should. */
  async function fires(object: BpfObject, program = name): Promise<boolean> {
    const before = hits(object, program)
    await attachment.fire(scene, object)
    return hits(object, program) > before
  }

  it('fires until it is closed', async () => {
    using object = load()
    const link = attach(object)
    expect(await fires(object)).toBe(true)
    link.close()
    link.close()
    expect(await fires(object)).toBe(false)
  })

  it('tells what it is', () => {
    using object = load()
    using link = attach(object)
    expect(link.id).toBeGreaterThan(0)
    expect(link.info()).toMatchObject({ type, id: link.id, programId: object.program(`on_${name}`).id })
    expect(link.target.length).toBeGreaterThan(3)
  })

  it.runIf(other === undefined)('keeps its program', async () => {
    using object = load()
    using link = attach(object)
    // Some take the same program again, most take none.
    expect([undefined, 'EINVAL', 'EOPNOTSUPP', 'EPERM']).toContain(code(() => link.update(object.program(`on_${name}`))))
    expect(await fires(object)).toBe(true)
  })

  it.runIf(other !== undefined)('is updated', async () => {
    using object = load()
    using link = attach(object)
    const [program, next] = [object.program(`on_${name}`), object.program(`on_${other ?? ''}`)]
    expect(['EPERM', 'ENOENT', 'EINVAL']).toContain(code(() => link.update(next, next)))
    link.update(next, program)
    expect(await fires(object, other)).toBe(true)
    expect(await fires(object)).toBe(false)
    expect(link.info().programId).toBe(next.id)
  })

  it('is pinned, opened again by pin, id and descriptor, and unpinned', async () => {
    using object = load()
    const link = attach(object)
    const path = `${bpffs.path}/link`
    link.pin(path)
    const { id, fd } = link
    using byFd = linkFromFd(fd ?? -1, NATIVE)
    expect(byFd.id).toBe(id)
    byFd.close()
    link.close()
    expect(await fires(object)).toBe(true)

    using again = openPinnedLink(path, NATIVE)
    expect(again.info()).toMatchObject({ type, id })
    using byId = linkById(id, NATIVE)
    expect(byId.id).toBe(id)
    byId.close()
    again.unpin(path)
    again.close()
    expect(await fires(object)).toBe(false)
    expect(code(() => linkById(id, NATIVE))).toBe('ENOENT')
  })

  it('is detached by force, though it is pinned', async () => {
    using object = load()
    using link = attach(object)
    const path = `${bpffs.path}/forced`
    link.pin(path)
    link.detach()
    expect(await fires(object)).toBe(false)
    expect(link.info().id).toBe(link.id)
    link.unpin(path)
  })

  it('is disowned to its pin', async () => {
    using object = load()
    const path = `${bpffs.path}/disowned`
    attach(object).pin(path).disown()
    expect(await fires(object)).toBe(true)
    using again = openPinnedLink(path, NATIVE)
    again.unpin(path)
    again.close()
    expect(await fires(object)).toBe(false)
  })

  it('leaves nothing behind', () => {
    using object = load()
    attach(object).close()
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 20; i++) attach(object).close()
    expect(readdirSync('/proc/self/fd').length).toBe(before)
  })
}
