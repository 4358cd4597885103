/** The object file of what comes from none. */
import type { ObjectFile } from './object-file/types.js'

/** What things without an object have in the place of its file: no programs, no maps, no types. */
export const NO_FILE: ObjectFile = {
  image: new Uint8Array(0),
  license: '',
  kernelVersion: 0,
  btf: undefined,
  programs: [],
  maps: [],
  text: undefined,
  externs: [],
}
