/**
 * What every attachment goes through, whatever it is attached to: it fires, tells what it is, is updated, pinned, opened again, detached,
 * disowned, and leaves nothing behind.
 */
import { readdirSync } from 'node:fs'
import { afterAll, expect, it, vi } from 'vitest'
import type { BpfMap, BpfObject, Link, LinkInfo, Program } from '../../lib/index.js'
import { linkById, linkFromFd, openPinnedLink } from '../../lib/open-link.js'
import { code } from './errors.js'
import { patience } from './patience.js'
import { requires } from './require-kernel.js'
import type { KernelNeeds } from './kernel-needs.js'
import { isVirtual } from './this-machine.js'

/** One kind of attachment. */
export interface LinkSubject {
  readonly name: string
  readonly needs: KernelNeeds
  /** Of the link's info. `'none'`: what is attached is no BPF link, as before the Linux that brought it. */
  readonly type: LinkInfo['type']
  /** Loads what is attached; once for all tests of the subject. */
  readonly load: () => BpfObject
  readonly attach: (object: BpfObject) => Link
  /** Makes the event happen, once. @returns what the program, or the one that took its place, did of it: 0 if it didn't run */
  readonly fire: (object: BpfObject) => number | Promise<number>
  /** What a firing amounts to; without, anything more than 0. */
  readonly fires?: number
  /** What the program saw of its event, as it left it. */
  readonly saw?: (object: BpfObject) => unknown
  readonly seen?: unknown
  /** What is attached: Linux tells its id. undefined: of these links it tells none. */
  readonly attached: (object: BpfObject) => Program | undefined
  readonly update?: LinkUpdate
  /** Whether Linux detaches it by force. */
  readonly detaches: boolean
  /** Whether Linux attaches the same program again after it was detached; undefined: it does. */
  readonly reattaches?: boolean
}

/** Where Linux lets another program, or map, take the place. */
export interface LinkUpdate {
  readonly from: (object: BpfObject) => Program | BpfMap
  readonly to: (object: BpfObject) => Program | BpfMap
  /** As {@link LinkSubject.fire}, of what took the place. */
  readonly fire: (object: BpfObject) => number | Promise<number>
}

const NATIVE = { kernel: 'native' } as const
/** Attachments are made so often to see whether one leaves something behind: an emulated processor needs a second for some. */
const CYCLES = isVirtual ? 2 : 6

let pins = 0
const openFiles = (): number => readdirSync('/proc/self/fd').length

/** @param folder in a BPF file system */
export function linkContract(subject: LinkSubject, folder: () => string): void {
  requires(subject.needs)(subject.name, () => tests(subject, () => `${folder()}/link-${++pins}`))
}

function tests(subject: LinkSubject, newPath: () => string): void {
  const { type, attached, fires, update, detaches } = subject
  const isLink = type !== 'none'
  let loaded: BpfObject | undefined
  /** Loaded by the first test that wants it: one that can't be loaded fails tests, and skips none. */
  const object = (): BpfObject => (loaded ??= subject.load())
  afterAll(() => loaded?.close())
  let isUsed = false
  function attach(): Link {
    if (isUsed && subject.reattaches === false) {
      loaded?.close()
      loaded = undefined
    }
    isUsed = true
    return subject.attach(object())
  }
  const fire = async (): Promise<number> => subject.fire(object())
  async function expectToFire(): Promise<void> {
    const times = await fire()
    expect(fires === undefined ? times > 0 : times).toBe(fires ?? true)
  }

  /** What a pin held is let go a moment after it: with the next grace period of RCU. */
  async function expectToBeGone(): Promise<void> {
    await vi.waitFor(async () => expect(await fire()).toBe(0), { timeout: patience(2000) })
  }

  it('fires until it is closed', async () => {
    const link = attach()
    await expectToFire()
    expect(subject.saw?.(object())).toEqual(subject.seen)
    link.close()
    link.close()
    expect(await fire()).toBe(0)
  })

  it('outlives its object', async () => {
    const other = subject.load()
    using link = subject.attach(other)
    other.close()
    expect(link.closed).toBe(false)
    expect(link.info().type).toBe(type)
  })

  it.skipIf(isLink)('is no BPF link: it has no id and no pin', () => {
    using link = attach()
    expect(link.id).toBe(0)
    expect(link.info()).toMatchObject({ type: 'none', id: 0, programId: 0 })
    expect(code(() => link.pin(newPath()))).toBe('UNSUPPORTED')
  })

  it('tells what it is', () => {
    using link = attach()
    expect(link.target.length).toBeGreaterThan(3)
    if (!isLink) return
    expect(link.id).toBeGreaterThan(0)
    expect(link.info()).toMatchObject({ type, id: link.id })
    const { programId } = link.info()
    expect(programId).toBe(attached(object())?.id ?? programId)
  })

  it.runIf(update === undefined)('keeps its program', async () => {
    using link = attach()
    const program = attached(object())
    if (program === undefined) return
    // Some take the same program again, most take none.
    expect([undefined, 'EINVAL', 'EOPNOTSUPP', 'EPERM', 'UNSUPPORTED']).toContain(
      code(() => link.update(program)),
    )
    await expectToFire()
  })

  it.runIf(update !== undefined)('is updated', async () => {
    if (update === undefined) return
    using link = attach()
    const [from, to] = [update.from(object()), update.to(object())]
    expect(['EPERM', 'ENOENT', 'EINVAL']).toContain(code(() => link.update(to, to)))
    link.update(to, from)
    expect(await update.fire(object())).toBeGreaterThan(0)
    expect(await fire()).toBe(0)
    const info = link.info()
    expect(info.type === 'struct_ops' ? info.mapId : info.programId).toBe(to.id)
  })

  it.runIf(isLink)('is pinned, opened again by pin, id and descriptor, and unpinned', async () => {
    const link = attach()
    const path = newPath()
    link.pin(path)
    expect(code(() => link.pin(path))).toBe('EEXIST')
    const { id, fd } = link
    using byFd = linkFromFd(fd ?? -1, NATIVE)
    expect(byFd.id).toBe(id)
    byFd.close()
    link.close()
    await expectToFire()

    using again = openPinnedLink(path, NATIVE)
    expect(again.info()).toMatchObject({ type, id })
    using byId = linkById(id, NATIVE)
    expect(byId.id).toBe(id)
    byId.close()
    again.unpin(path)
    expect(code(() => again.unpin(path))).toBe('ENOENT')
    again.close()
    await expectToBeGone()
    expect(code(() => linkById(id, NATIVE))).toBe('ENOENT')
  })

  it.runIf(detaches)('is detached by force, though it is pinned', async () => {
    using link = attach()
    const path = newPath()
    link.pin(path)
    link.detach()
    expect(await fire()).toBe(0)
    expect(link.info().id).toBe(link.id)
    link.unpin(path)
  })

  it.skipIf(detaches)('is not detached by force', async () => {
    using link = attach()
    expect(['EINVAL', 'EOPNOTSUPP', 'UNSUPPORTED']).toContain(code(() => link.detach()))
    await expectToFire()
  })

  it.runIf(isLink)('is disowned to its pin', async () => {
    const before = openFiles()
    const link = attach()
    const path = newPath()
    link.pin(path).disown()
    // What else the process had open may have been closed meanwhile.
    expect(openFiles()).toBeLessThanOrEqual(before)
    expect(code(() => link.info())).toBe('CLOSED')
    await expectToFire()
    using again = openPinnedLink(path, NATIVE)
    again.unpin(path)
    again.close()
    await expectToBeGone()
  })

  it('leaves no file descriptor behind', () => {
    const cycle = (): void => {
      using link = attach()
      link.info()
    }
    cycle()
    const before = openFiles()
    for (let i = 0; i < CYCLES; i++) cycle()
    expect(openFiles()).toBe(before)
  })
}
