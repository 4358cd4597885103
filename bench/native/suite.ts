/** The native kernel against C programs with the same libbpf. */
import { open } from 'libbpf-node'
import type { Suite } from '../harness.js'
import { compileRing, FLOOD_OBJECT } from './c-reference.js'
import { mapCases } from './maps.js'
import { objectCases } from './objects.js'
import { readerCases } from './readers.js'

export const nativeSuite: Suite = {
  name: 'native',
  async prepare() {
    const ring = await compileRing()
    const objects = await objectCases()
    const maps = await mapCases()
    const object = open(FLOOD_OBJECT, { kernel: 'native' }).load()
    return {
      cases: [...readerCases(object, ring), ...maps.cases, ...objects],
      close() {
        object.close()
        maps.close()
      },
    }
  },
}
