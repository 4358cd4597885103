/**
 * Pins maps by their names, in a mount namespace of its own: started by settings.test.ts.
 *
 * Plain JavaScript over the bare addon, as a process of its own has no TypeScript loader.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))
const addon = process.env.LIBBPF_NODE_ADDON
  ? require(process.env.LIBBPF_NODE_ADDON)
  : require('node-gyp-build')(root)
const image = new Uint8Array(
  readFileSync(new URL('../../bpf/test/native_settings.bpf.o', import.meta.url)),
)
const pinRootPath = '/sys/fs/bpf/libbpf-node-test'
mkdirSync(pinRootPath)

function open() {
  const object = addon.openObject(image, { name: 'pins', pinRootPath }, 'object')
  const traced = object.programSpecs().findIndex(({ name }) => name === 'traced')
  object.setProgram(traced, 'autoload', 0)
  const index = object.mapSpecs().findIndex(({ name }) => name === 'pinned')
  return { object, index }
}

function load({ object, index }) {
  object.load()
  const { id } = object.map(index, 'map').info()
  object.close()
  return id
}

const first = load(open())
const pinned = existsSync(`${pinRootPath}/pinned`) ? 'pinned once' : 'not pinned'
const found = load(open()) === first ? 'found again' : 'made again'
const other = open()
other.object.setMap(other.index, 'maxEntries', 9)
let refused = 'taken where it differs'
try {
  load(other)
} catch {
  refused = 'refused where it differs'
}
console.log(`${pinned}, ${found}, ${refused}`)
