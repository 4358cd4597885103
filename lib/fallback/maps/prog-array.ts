/** BPF_MAP_TYPE_PROG_ARRAY: what bpf_tail_call() jumps through. kernel/bpf/arraymap.c. Linux 4.2. */
import { E2BIG, EINVAL, ENOENT } from '../errors.js'
import { Access, type Memory } from '../memory.js'
import { u32 } from './array.js'
import type { HeldProgram, MapAttributes, MapStorage } from './types.js'

/** @param keys an array of the same keys, for walks over them */
export function createProgArray(memory: Memory, attributes: MapAttributes, keys: MapStorage): MapStorage {
  const held = new Map<number, HeldProgram>()
  const idScratch = memory.alloc(4, Access.none, 8, `id in map '${attributes.name}'`)
  /** Programs of one kind only call one another: the first that is seen decides. */
  let kind: string | undefined

  function takes(program: HeldProgram): boolean {
    kind ??= program.kind
    return program.kind === kind
  }

  function put(index: number, program: HeldProgram | undefined): void {
    const old = held.get(index)
    if (program === undefined) held.delete(index)
    else held.set(index, program)
    old?.release()
  }

  function clear(): void {
    for (const index of held.keys()) put(index, undefined)
  }

  return {
    attributes,
    bufferSize: 4,
    // Programs can't look it up; user space reads ids.
    lookup: () => 0,
    lookupAll(bytes, at) {
      const program = held.get(u32(bytes, at))
      if (program === undefined) return 0
      memory.view.setUint32(idScratch, program.id, true)
      return idScratch
    },
    // Values are file descriptors, and there are none here: updateProgram() takes the program itself.
    update: () => EINVAL,
    updateAll: () => EINVAL,
    updateProgram(bytes, at, program, flags) {
      const index = u32(bytes, at)
      if (flags !== 0) return EINVAL
      if (index >= attributes.maxEntries) return E2BIG
      if (!takes(program)) return EINVAL
      program.retain()
      put(index, program)
      return 0
    },
    delete(bytes, at) {
      const index = u32(bytes, at)
      if (index >= attributes.maxEntries) return E2BIG
      if (!held.has(index)) return ENOENT
      put(index, undefined)
      return 0
    },
    programs: { at: (index) => held.get(index), takes },
    nextKey: (key, next) => keys.nextKey(key, next),
    forEach: undefined,
    mapped: undefined,
    direct: undefined,
    leftByUser: clear,
    destroy() {
      clear()
      memory.free(idScratch)
      keys.destroy()
    },
  }
}
