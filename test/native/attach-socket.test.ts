/** Programs of sockets, and of the maps that hold them: on sockets of this process. */
import { spawnSync } from 'node:child_process'
import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { BpfObject } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { thrownBy } from '../support/native.js'
import { hits, loadOnly } from '../support/programs.js'
import { describeSince } from '../support/require-kernel.js'

const SHARED_PORT = fileURLToPath(new URL('../support/shared-port.pl', import.meta.url))
const CHILD = fileURLToPath(new URL('reuseport-child.mjs', import.meta.url))

async function bound(): Promise<DatagramSocket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

async function send(to: DatagramSocket): Promise<void> {
  const sender = createSocket('udp4')
  await new Promise<void>((resolve, reject) => {
    sender.send('datagram', to.address().port, '127.0.0.1', (error) => (error === null ? resolve() : reject(error)))
  })
  sender.close()
}

describeSince('5.8')('attachSocket()', () => {
  it('filters what a socket receives, until it is closed', async () => {
    using object = loadOnly('network', 'on_socket_filter', 'on_socket_deaf')
    const socket = await bound()
    try {
      const deaf = object.program('on_socket_deaf').attachSocket(socket)
      expect(deaf.info()).toEqual({ type: 'none', id: 0, programId: 0 })
      await send(socket)
      expect(hits(object, 'socket_deaf')).toBe(1)
      deaf.close()
      using _hearing = object.program('on_socket_filter').attachSocket(socket)
      const message = once(socket, 'message')
      await send(socket)
      // The first datagram never came.
      expect(String((await message)[0])).toBe('datagram')
      expect(hits(object, 'socket_filter')).toBe(1)
      expect(hits(object, 'socket_deaf')).toBe(1)
    } finally {
      socket.close()
    }
  })

  it('outlives the socket, and leaves another one of the same descriptor alone', async () => {
    using object = loadOnly('network', 'on_socket_filter', 'on_socket_deaf')
    const socket = await bound()
    const link = object.program('on_socket_filter').attachSocket(socket)
    socket.close()
    await once(socket, 'close')
    const next = await bound()
    using _own = object.program('on_socket_deaf').attachSocket(next)
    link.close()
    await send(next)
    expect(hits(object, 'socket_deaf')).toBe(1)
    next.close()
  })

  it('chooses among sockets that share a port', () => {
    // Node sets no SO_REUSEPORT before its version 23: the socket comes from outside.
    const { stdout, stderr } = spawnSync('perl', [SHARED_PORT, process.execPath, CHILD], { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(stdout.trim()).toBe('attached, ran, taken away')
  })

  it('says what it takes to share a port', async () => {
    using object = loadOnly('network', 'on_reuseport')
    const server = await listening()
    const attach = () => object.program('on_reuseport').attachSocket(server)
    expect(thrownBy(attach)).toMatchObject({ code: 'EINVAL', hint: expect.stringContaining('SO_REUSEPORT') as string })
    server.close()
  })

  it('refuses what is no socket', () => {
    using object = loadOnly('network', 'on_socket_filter', 'on_reuseport')
    const program = object.program('on_socket_filter')
    const file = openSync('/dev/null', 'r')
    expect(code(() => program.attachSocket(file))).toBe('ENOTSOCK')
    closeSync(file)
    expect(code(() => program.attachSocket(2 ** 30))).toBe('EBADF')
    expect(code(() => program.attachSocket(-1))).toBe('BAD_VALUE')
    const unbound = createSocket('udp4')
    unbound.close()
    expect(thrownBy(() => program.attachSocket(unbound))).toMatchObject({
      code: 'BAD_VALUE',
      hint: expect.stringContaining('binding to closing') as string,
    })
    const selector = object.program('on_reuseport')
    expect(code(() => selector.attachSocket(2 ** 30, { reuseport: false }))).toBe('BAD_VALUE')
  })
})

async function listening(): Promise<Server> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** The two ends of a connection over the loopback interface. */
async function connection(): Promise<{ readonly near: Socket; readonly far: Socket } & Disposable> {
  const server = await listening()
  const accepted = once(server, 'connection')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no address')
  const near = connect(address.port, '127.0.0.1')
  const [far] = (await accepted) as [Socket]
  if (near.connecting) await once(near, 'connect')
  return {
    near,
    far,
    [Symbol.dispose]() {
      near.destroy()
      far.destroy()
      server.close()
    },
  }
}

/** Sends from one end, and waits for it at the other. */
async function talk({ near, far }: { readonly near: Socket; readonly far: Socket }, text: string): Promise<string> {
  const data = once(far, 'data')
  near.write(text)
  return String((await data)[0])
}

const VERDICTS = ['on_msg', 'on_verdict', 'on_stream_verdict'] as const

describeSince('5.13')('attachSockmap()', () => {
  const load = (): BpfObject => loadOnly('sockmap', 'on_msg', 'on_msg_other', 'on_parser', 'on_stream_verdict', 'on_verdict', 'on_anywhere')

  it('sees what a socket sends that was put into the map while it was attached: sk_msg', async () => {
    using object = load()
    const link = object.program('on_msg').attachSockmap(object.map('sockets'))
    using ends = await connection()
    object.map('sockets').set(0, ends.near)
    expect(await talk(ends, 'one')).toBe('one')
    expect(hits(object, 'msg')).toBe(1)
    link.close()
    using others = await connection()
    object.map('sockets').set(1, others.near)
    expect(await talk(others, 'two')).toBe('two')
    expect(hits(object, 'msg')).toBe(1)
  })

  it('sees what a socket in the map receives: sk_skb/verdict', async () => {
    using object = load()
    using _link = object.program('on_verdict').attachSockmap(object.map('sockets'))
    using ends = await connection()
    object.map('sockets').set(0, ends.far)
    ends.near.write('one')
    expect(await comesTrue(() => hits(object, 'verdict') > 0)).toBe(true)
  })

  it('takes a stream apart: sk_skb/stream_parser, stream_verdict', async () => {
    using object = load()
    using _parser = object.program('on_parser').attachSockmap(object.map('sockets'))
    using _verdict = object.program('on_stream_verdict').attachSockmap(object.map('sockets'))
    using ends = await connection()
    object.map('sockets').set(0, ends.far)
    ends.near.write('one')
    const haveRun = () => hits(object, 'parser') > 0 && hits(object, 'stream_verdict') > 0
    expect(await comesTrue(haveRun)).toBe(true)
  })

  it('asks for the place where the SEC() name has none', () => {
    using object = load()
    const program = object.program('on_anywhere')
    expect(thrownBy(() => program.attachSockmap(object.map('sockets')))).toMatchObject({
      code: 'BAD_VALUE',
      hint: expect.stringContaining('sk_skb_stream_verdict') as string,
    })
    using link = program.attachSockmap(object.map('sockets'), { attachType: 'sk_skb_verdict', via: 'map' })
    expect(link.target).toBe('map sockets')
  })

  it.each(VERDICTS)('is attached without a link, too: %s', (name) => {
    using object = load()
    const link = object.program(name).attachSockmap(object.map('sockets'), { via: 'map' })
    expect(link.info()).toEqual({ type: 'none', id: 0, programId: 0 })
    link.close()
    using _again = object.program(name).attachSockmap(object.map('sockets'), { via: 'map' })
  })

  it('refuses a map that holds no sockets, and programs of another type', () => {
    using object = load()
    using network = loadOnly('network', 'on_xdp')
    expect(thrownBy(() => object.program('on_msg').attachSockmap(object.map('.bss')))).toMatchObject({
      code: 'BAD_VALUE',
      hint: expect.stringContaining('sockhash') as string,
    })
    expect(thrownBy(() => network.program('on_xdp').attachSockmap(object.map('sockets')))).toMatchObject({ hint: 'Use attachXdp()' })
    expect(code(() => object.program('on_msg').attachSockmap(-1))).toBe('BAD_VALUE')
    expect(code(() => object.program('on_msg').attachSockmap(0))).toBe('EINVAL')
  })
})

describeSince('6.10')('attachSockmap() by links', () => {
  it('is updated in its place, and one of a kind', async () => {
    using object = loadOnly('sockmap', 'on_msg', 'on_msg_other')
    using link = object.program('on_msg').attachSockmap(object.map('sockets'))
    expect(link.info()).toMatchObject({ type: 'sockmap', mapId: object.map('sockets').id, attachType: 'sk_msg_verdict' })
    expect(thrownBy(() => object.program('on_msg_other').attachSockmap(object.map('sockets')))).toMatchObject({
      code: 'EBUSY',
      hint: expect.stringContaining('already') as string,
    })
    link.update(object.program('on_msg_other'))
    using ends = await connection()
    object.map('sockets').set(0, ends.near)
    await talk(ends, 'one')
    expect(hits(object, 'msg_other')).toBe(1)
  })
})

async function comesTrue(condition: () => boolean): Promise<boolean> {
  for (let attempt = 0; attempt < 200 && !condition(); attempt++) await sleep(10)
  return condition()
}
