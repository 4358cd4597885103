/** Loads an object without a capability of the machine's, by a token: started by token.test.ts through with-token.pl. */
import { fileURLToPath } from 'node:url'
import { createMap, open } from '../../dist/lib/index.js'

const file = fileURLToPath(new URL('../../bpf/test/native_maps.bpf.o', import.meta.url))
const mountPoint = process.argv[2]

/** What becomes of the object with a token from `bpfTokenPath`; the empty one asks for none. */
function load(bpfTokenPath) {
  try {
    const object = open(file, { kernel: 'native', bpfTokenPath }).load()
    const { retval } = object.program('packet').run({ data: new Uint8Array(64) })
    const value = object.maps.hash.set(1, 2n).get(1)
    object.close()
    return `ran: ${retval}, read: ${String(value)}`
  } catch (error) {
    return `${error.code}: ${error.message}`
  }
}

/** The same of a map without an object, with and without types for the kernel. */
function create(bpfTokenPath) {
  try {
    const map = createMap({ kernel: 'native', bpfTokenPath, type: 'hash', key: 'u32', value: 'u64', maxEntries: 4 })
    const storage = createMap({ kernel: 'native', bpfTokenPath, type: 'task_storage', value: 'u64' })
    return `read: ${String(map.set(1, 2n).get(1))}, ${storage.type}`
  } catch (error) {
    return `${error.code}: ${error.message}`
  }
}

const results = { without: load(''), byToken: load(mountPoint), elsewhere: load('/tmp'), map: create(mountPoint), mapWithout: create('') }
process.env.LIBBPF_BPF_TOKEN_PATH = mountPoint
console.log(JSON.stringify({ ...results, byEnvironment: load(undefined), mapByEnvironment: create(undefined) }))
