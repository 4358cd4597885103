/** Loads an object and makes a map, and tells the limit of locked memory before and after: started by peer-defects.test.ts. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createMap, open } from '../../dist/lib/index.js'

const limit = () => /^Max locked memory\s+(\d+)\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')).slice(1).map(Number)

const before = limit()
const object = open(fileURLToPath(new URL('../../bpf/test/native_maps.bpf.o', import.meta.url)), { kernel: 'native' }).load()
const map = createMap({ kernel: 'native', type: 'hash', key: 'u32', value: 'u64', maxEntries: 65_536 })
const read = Number(map.set(1, 2n).get(1))
map.close()
object.close()
console.log(JSON.stringify({ before, after: limit(), read }))
