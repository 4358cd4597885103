/** Every kind of attachment of tracing, through the same contract: it fires, tells, is pinned and opened again, and leaves nothing behind. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { linkById, linkFromFd, openPinnedLink } from '../../lib/open-link.js'
import { ATTACHMENTS, COOKIE, loadTracing, pass, type Attachment, type Scene } from '../support/attachments.js'
import { code } from '../support/errors.js'
import { patience } from '../support/patience.js'
import { probeTarget, removeProbeTarget, startTarget, type TargetProcess } from '../support/probe-target.js'
import { describeNative, linuxIsAtLeast, requires } from '../support/require-kernel.js'

/** A BPF file system that nobody else sees, reached through the process that mounted it. */
let holder: ChildProcess
let folder = ''
let pins = 0
let target: TargetProcess

describeNative('attachments', () => {
  beforeAll(async () => {
    holder = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', 'mount -t bpf bpf /mnt && echo ready && exec sleep 600'])
    if (holder.stdout === null) throw new Error('the child has no output')
    await once(holder.stdout, 'data')
    folder = `/proc/${holder.pid ?? 0}/root/mnt`
    target = await startTarget()
  }, patience(60_000))
  afterAll(async () => {
    holder.kill()
    await target[Symbol.asyncDispose]()
    removeProbeTarget()
  })

  for (const attachment of ATTACHMENTS) {
    requires(attachment.needs)(attachment.name, () => contract(attachment))
  }

  const namespaced = existsSync('/sys/kernel/tracing/events') || process.env['IN_MOUNT_NAMESPACE'] === '1'
  it.skipIf(namespaced)('tracepoint, in a mount namespace with tracefs', { timeout: patience(60_000) }, () => {
    const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
    const script = 'mount -t tracefs tracefs /sys/kernel/tracing && exec "$0" "$@"'
    const test = [vitest, 'run', '--pool=forks', fileURLToPath(import.meta.url), '-t', 'tracepoint']
    const { stdout, status } = spawnSync(
      'unshare',
      ['-m', '--propagation', 'private', 'sh', '-c', script, process.execPath, ...test],
      { encoding: 'utf8', env: { ...process.env, IN_MOUNT_NAMESPACE: '1', NO_COLOR: '1' } },
    )
    expect(stdout).toMatch(/Tests +[1-9]\d* passed/)
    expect(status).toBe(0)
  })
})

function contract(attachment: Attachment): void {
  const { cookies, link: type, linkSince = '5.8', runs, value } = attachment
  const cookie = cookies !== undefined && linuxIsAtLeast(cookies) ? COOKIE : undefined
  const isLink = linuxIsAtLeast(linkSince)

  /** Everything that belongs to one test, and is closed at its end. */
  function makeScene(): Scene & Disposable {
    const usesTarget = attachment.fire === pass
    const object = loadTracing(attachment.program, { tgid: usesTarget ? target.pid : process.pid, cookies })
    const program = object.program(attachment.program)
    return { object, program, target, binary: probeTarget(), [Symbol.dispose]: () => object.close() }
  }
  /** Runs of the program while it is made to fire: this library opens files, too. */
  async function fired(scene: Scene): Promise<number> {
    scene.object.bss['runs'] = 0n
    await attachment.fire(scene)
    return Number(scene.object.bss['runs'])
  }

  it('fires until it is closed, and outlives its object', async () => {
    using scene = makeScene()
    const link = attachment.attach(scene, cookie)
    const { bss } = scene.object
    expect({ runs: await fired(scene), value: value && bss['last_value'], cookie: cookie && bss['last_cookie'] }).toEqual({
      runs,
      value,
      cookie,
    })
    link.close()
    link.close()
    expect(await fired(scene)).toBe(0)
  })

  it.skipIf(isLink)('is no BPF link: it has no id and no pin', () => {
    using scene = makeScene()
    using link = attachment.attach(scene, cookie)
    expect(link.info()).toEqual({ type: 'none', id: 0, programId: 0 })
    expect(code(() => link.pin(`${folder}/never`))).toBe('UNSUPPORTED')
  })

  it.runIf(isLink)('tells what it is', () => {
    using scene = makeScene()
    using link = attachment.attach(scene, cookie)
    expect(link.program).toBe(attachment.program)
    expect(link.target.length).toBeGreaterThan(3)
    const info = link.info()
    expect(info).toMatchObject({ type, id: link.id, programId: scene.program.id })
    expect(link.id).toBeGreaterThan(0)
  })

  it('keeps its program, and is not detached by force', () => {
    using scene = makeScene()
    using link = attachment.attach(scene, cookie)
    expect(['EINVAL', 'EOPNOTSUPP', 'UNSUPPORTED']).toContain(code(() => link.update(scene.program)))
    expect(['EINVAL', 'EOPNOTSUPP', 'UNSUPPORTED']).toContain(code(() => link.detach()))
  })

  it.runIf(isLink)('is pinned, opened again by pin, id and descriptor, and unpinned', async () => {
    using scene = makeScene()
    using link = attachment.attach(scene, cookie)
    const path = `${folder}/link-${++pins}`
    link.pin(path)
    expect(code(() => link.pin(path))).toBe('EEXIST')
    const { id, fd } = link
    using byFd = linkFromFd(fd ?? -1, { kernel: 'native' })
    expect(byFd.id).toBe(id)
    byFd.close()
    link.close()
    expect(await fired(scene)).toBe(runs)

    using again = openPinnedLink(path, { kernel: 'native' })
    expect(again.info()).toMatchObject({ type, id, programId: scene.program.id })
    using byId = linkById(id, { kernel: 'native' })
    expect(byId.id).toBe(id)
    byId.close()
    again.unpin(path)
    expect(code(() => again.unpin(path))).toBe('ENOENT')
    again.close()
    expect(await fired(scene)).toBe(0)
    expect(code(() => linkById(id, { kernel: 'native' }))).toBe('ENOENT')
  })

  it.runIf(isLink)('is disowned to its pin', async () => {
    using scene = makeScene()
    const link = attachment.attach(scene, cookie)
    const path = `${folder}/link-${++pins}`
    link.pin(path)
    link.disown()
    expect(code(() => link.info())).toBe('CLOSED')
    expect(await fired(scene)).toBe(runs)
    using again = openPinnedLink(path, { kernel: 'native' })
    again.unpin(path)
  })

  it('leaves no file descriptor behind', () => {
    using scene = makeScene()
    const cycle = (): void => {
      using link = attachment.attach(scene, cookie)
      link.info()
    }
    cycle()
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 10; i++) cycle()
    expect(readdirSync('/proc/self/fd').length).toBe(before)
  })
}
