/** Programs on the hooks of a cgroup of the test's own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BpfObject } from '../../lib/index.js'
import { TestCgroup } from '../support/cgroup.js'
import { code } from '../support/errors.js'
import { thrownBy } from '../support/native.js'
import { hits, loadOnly, orderOf } from '../support/programs.js'
import { describeSince } from '../support/require-kernel.js'

const SOCKETS = fileURLToPath(new URL('../support/sockets.pl', import.meta.url))

/** In the cgroup: all that its hooks see. */
function useSockets(cgroup: TestCgroup): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'libbpf-node-'))
  try {
    cgroup.run('perl', SOCKETS, folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A connection over IPv4, nothing else. */
function connect(cgroup: TestCgroup): void {
  cgroup.run('bash', '-c', 'echo > /dev/udp/127.0.0.1/9')
}

let cgroup: TestCgroup
const inACgroup = (): void => {
  beforeAll(() => {
    cgroup = new TestCgroup()
  })
  afterAll(() => cgroup[Symbol.asyncDispose]())
}

/** By the Linux version that brought them. */
const HOOKS: readonly (readonly [since: string, hooks: readonly string[]])[] = [
  [
    '5.8',
    [
      'ingress', 'egress', 'sock_create', 'post_bind4', 'post_bind6', 'bind4', 'bind6', 'connect4', 'connect6',
      'sendmsg4', 'sendmsg6', 'recvmsg4', 'recvmsg6', 'getpeername4', 'getpeername6', 'getsockname4', 'getsockname6',
      'sysctl', 'getsockopt', 'setsockopt', 'device', 'sockops',
    ],
  ],
  ['5.9', ['sock_release']],
  ['6.7', ['connect_unix', 'sendmsg_unix', 'recvmsg_unix', 'getpeername_unix', 'getsockname_unix']],
] // prettier-ignore

for (const [since, hooks] of HOOKS) {
  describeSince(since)(`attachCgroup() to hooks of Linux ${since}`, () => {
    inACgroup()

    it.each(hooks)('sees what the processes of the cgroup do: %s', (hook) => {
      using object = loadOnly('cgroup', `on_${hook}`)
      const link = object.program(`on_${hook}`).attachCgroup(cgroup.path)
      expect(link.info()).toMatchObject({ type: 'cgroup', programId: object.program(`on_${hook}`).id })
      useSockets(cgroup)
      const seen = hits(object, hook)
      expect(seen).toBeGreaterThan(0)
      link.close()
      useSockets(cgroup)
      expect(hits(object, hook)).toBe(seen)
    })
  })
}

describeSince('5.8')('attachCgroup()', () => {
  inACgroup()
  const load = (): BpfObject => loadOnly('cgroup', 'on_connect4', 'on_connect4_second', 'on_connect4_third')

  it('asks for the direction where the SEC() name has none', () => {
    using object = loadOnly('cgroup', 'on_skb')
    const program = object.program('on_skb')
    expect(thrownBy(() => program.attachCgroup(cgroup.path))).toMatchObject({
      code: 'BAD_VALUE',
      hint: expect.stringContaining('cgroup_inet_egress') as string,
    })
    using link = program.attachCgroup(cgroup.path, { attachType: 'cgroup_inet_egress' })
    connect(cgroup)
    expect(hits(object, 'skb')).toBeGreaterThan(0)
    expect(link.info()).toMatchObject({ attachType: 'cgroup_inet_egress' })
  })

  it('runs links one after the other, and updates one in its place', () => {
    using object = load()
    using first = object.program('on_connect4').attachCgroup(cgroup.path)
    using _second = object.program('on_connect4_second').attachCgroup(cgroup.path)
    expect(orderOf(object, () => connect(cgroup))).toEqual([1, 2])
    first.update(object.program('on_connect4_third'))
    expect(orderOf(object, () => connect(cgroup))).toEqual([3, 2])
  })

  it('sees what cgroups below do', async () => {
    await using below = new TestCgroup(cgroup.path)
    using object = load()
    using _link = object.program('on_connect4').attachCgroup(cgroup.path)
    connect(below)
    expect(hits(object, 'connect4')).toBe(1)
  })

  describe('without links', () => {
    it("runs programs side by side with sharing: 'multi'", () => {
      using object = load()
      const first = object.program('on_connect4').attachCgroup(cgroup.path, { sharing: 'multi' })
      const second = object.program('on_connect4_second').attachCgroup(cgroup.path, { sharing: 'multi' })
      expect(orderOf(object, () => connect(cgroup))).toEqual([1, 2])
      first.close()
      expect(orderOf(object, () => connect(cgroup))).toEqual([2])
      second.close()
      expect(orderOf(object, () => connect(cgroup))).toEqual([])
    })

    it('replaces one of several', () => {
      using object = load()
      const [first, second, third] = ['on_connect4', 'on_connect4_second', 'on_connect4_third'].map((name) => object.program(name))
      if (first === undefined || second === undefined || third === undefined) throw new Error('programs are missing')
      const old = first.attachCgroup(cgroup.path, { sharing: 'multi' })
      using _second = second.attachCgroup(cgroup.path, { sharing: 'multi' })
      using _third = third.attachCgroup(cgroup.path, { sharing: 'multi', replace: first })
      expect(orderOf(object, () => connect(cgroup))).toEqual([3, 2])
      // What isn't there any more isn't taken away.
      old.close()
      expect(orderOf(object, () => connect(cgroup))).toEqual([3, 2])
    })

    it("lets a cgroup below have its own with sharing: 'override'", async () => {
      await using below = new TestCgroup(cgroup.path)
      using object = load()
      using _above = object.program('on_connect4').attachCgroup(cgroup.path, { sharing: 'override' })
      expect(orderOf(object, () => connect(below))).toEqual([1])
      using _below = object.program('on_connect4_second').attachCgroup(below.path, { sharing: 'override' })
      expect(orderOf(object, () => connect(below))).toEqual([2])
      expect(orderOf(object, () => connect(cgroup))).toEqual([1])
    })

    it("forbids that with sharing: 'exclusive'", async () => {
      await using below = new TestCgroup(cgroup.path)
      using object = load()
      using _above = object.program('on_connect4').attachCgroup(cgroup.path, { sharing: 'exclusive' })
      const attach = () => object.program('on_connect4_second').attachCgroup(below.path)
      expect(thrownBy(attach)).toMatchObject({ code: 'EPERM', hint: expect.stringContaining('exclusively') as string })
    })
  })

  it('suggests the nearest cgroup, and says where cgroup2 is', () => {
    using object = load()
    const program = object.program('on_connect4')
    expect(thrownBy(() => program.attachCgroup(`${cgroup.path}x`))).toMatchObject({
      code: 'ENOENT',
      hint: expect.stringContaining(path.basename(cgroup.path)) as string,
    })
    expect(thrownBy(() => program.attachCgroup('/tmp'))).toMatchObject({
      code: 'BAD_VALUE',
      hint: expect.stringMatching(/^cgroup2 is mounted at /) as string,
    })
  })

  it('refuses what is no cgroup, no attach type of the program, and options that do not go together', () => {
    using object = load()
    const program = object.program('on_connect4')
    expect(code(() => program.attachCgroup(0))).toBe('EBADF')
    expect(code(() => program.attachCgroup(-1))).toBe('BAD_VALUE')
    expect(code(() => program.attachCgroup(cgroup.path, { attachType: 'cgroup_inet4_bind' }))).toBe('EINVAL')
    expect(thrownBy(() => program.attachCgroup(cgroup.path, { attachType: 'cgroup_inet4_conect' }))).toMatchObject({
      code: 'BAD_VALUE',
      hint: expect.stringMatching(/^Did you mean 'cgroup_inet4_connect'/) as string,
    })
    // @ts-expect-error: links replace nothing
    expect(code(() => program.attachCgroup(cgroup.path, { replace: program }))).toBe('BAD_VALUE')
    // @ts-expect-error: only links have an order
    expect(code(() => program.attachCgroup(cgroup.path, { sharing: 'multi', order: 'first' }))).toBe('BAD_VALUE')
  })

  it('names the verb for another type of program', () => {
    using object = loadOnly('network', 'on_xdp')
    expect(thrownBy(() => object.program('on_xdp').attachCgroup(cgroup.path))).toMatchObject({ hint: 'Use attachXdp()' })
  })
})

describeSince('6.17')('attachCgroup() in an order', () => {
  inACgroup()

  it('goes before or after others', () => {
    using object = loadOnly('cgroup', 'on_connect4', 'on_connect4_second', 'on_connect4_third')
    using first = object.program('on_connect4').attachCgroup(cgroup.path)
    using _second = object.program('on_connect4_second').attachCgroup(cgroup.path, { order: 'first' })
    using _third = object.program('on_connect4_third').attachCgroup(cgroup.path, { order: { before: first } })
    expect(orderOf(object, () => connect(cgroup))).toEqual([2, 3, 1])
  })

  it('refuses an old revision', () => {
    using object = loadOnly('cgroup', 'on_connect4')
    expect(code(() => object.program('on_connect4').attachCgroup(cgroup.path, { expectedRevision: 4711n }))).toBe('ESTALE')
  })
})
