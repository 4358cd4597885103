/**
 * Attaches an sk_reuseport program to a socket that shares its port: started by attach-socket.test.ts with the socket's descriptor and port.
 *
 * Plain JavaScript over the bare addon, as a process of its own has no TypeScript loader.
 */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))
const addon = process.env.LIBBPF_NODE_ADDON
  ? require(process.env.LIBBPF_NODE_ADDON)
  : require('node-gyp-build')(root)
const [fd, port] = process.argv.slice(-2).map(Number)
const NAME = 'on_reuseport'

const image = new Uint8Array(readFileSync(new URL('../../bpf/test/network.bpf.o', import.meta.url)))
const object = addon.openObject(image, { name: 'reuseport' }, 'object')
const programs = object.programSpecs()
for (const [index, { name }] of programs.entries()) object.setProgram(index, 'autoload', Number(name === NAME))
object.load()
const data = object.map(
  object.mapSpecs().findIndex(({ name }) => name.endsWith('.bss')),
  'data',
)
const program = object.program(
  programs.findIndex(({ name }) => name === NAME),
  'program',
)

/** How many programs have run: the object has one that is attached. */
function runs() {
  const { bufferSize } = data.info()
  const value = new Uint8Array(bufferSize)
  data.lookup(new Uint8Array(4), value, 0)
  return value.some((byte) => byte !== 0)
}

async function send() {
  const sender = createSocket('udp4')
  await new Promise((resolve) => {
    sender.send('datagram', port, '127.0.0.1', resolve)
  })
  sender.close()
  await sleep(20)
}

const link = program.attachTo('socket', { target: fd, reuseport: true }, 'link')
await send()
const ran = runs() ? 'ran' : 'never ran'
link.close()
let again = 'taken away'
try {
  // Taken away is what can be attached anew.
  program.attachTo('socket', { target: fd, reuseport: true }, 'link').close()
} catch {
  again = 'still there'
}
console.log(`attached, ${ran}, ${again}`)
