/** An object in libbpf's hands. */
import { release } from 'node:os'
import { BpfError } from '../errors.js'
import type { KernelObject, MapConfig, MapSpec, ProgramConfig, ProgramSpec } from '../kernel.js'
import { didYouMean } from '../nearest.js'
import type { ProgramDefinition } from '../object-file/types.js'
import type { AddonObject } from './addon-types.js'
import { typeIsTooNew, withSource } from './load-failure.js'
import { NativeMap } from './map.js'
import { NativeProgram } from './program.js'
import { sourceLine } from './source-line.js'

export class NativeObject implements KernelObject {
  readonly #handle: AddonObject
  readonly #name: string
  readonly #definitions: readonly ProgramDefinition[]
  readonly #mapIndex: ReadonlyMap<string, number>
  readonly #programIndex: ReadonlyMap<string, number>
  readonly #maps = new Map<string, NativeMap>()
  readonly #programs = new Map<string, NativeProgram>()
  #mapSpecs: readonly MapSpec[]
  #programSpecs: readonly ProgramSpec[]

  /** @param definitions the object file's programs, as far as they are known: for errors */
  constructor(handle: AddonObject, name: string, definitions: readonly ProgramDefinition[]) {
    this.#handle = handle
    this.#name = name
    this.#definitions = definitions
    this.#mapSpecs = readMapSpecs(handle)
    this.#programSpecs = handle.programSpecs()
    this.#mapIndex = new Map(this.#mapSpecs.map((spec, index) => [spec.name, index]))
    this.#programIndex = new Map(this.#programSpecs.map((spec, index) => [spec.name, index]))
  }

  get maps(): readonly MapSpec[] {
    return this.#mapSpecs
  }

  get programs(): readonly ProgramSpec[] {
    return this.#programSpecs
  }

  configureMap(map: string, config: MapConfig): void {
    const index = this.#indexOf(this.#mapIndex, 'map', map)
    if (config.maxEntries !== undefined) this.#handle.setMaxEntries(index, config.maxEntries)
    // Read back: libbpf rounds the size of a ring buffer up to what the kernel takes.
    this.#mapSpecs = readMapSpecs(this.#handle)
  }

  configureProgram(program: string, config: ProgramConfig): void {
    const index = this.#indexOf(this.#programIndex, 'program', program)
    if (config.autoload !== undefined) this.#handle.setAutoload(index, config.autoload)
    this.#programSpecs = this.#handle.programSpecs()
  }

  initialValue(map: string): Uint8Array | undefined {
    return this.#handle.initialValue(this.#indexOf(this.#mapIndex, 'map', map))
  }

  setInitialValue(map: string, value: Uint8Array): void {
    this.#handle.setInitialValue(this.#indexOf(this.#mapIndex, 'map', map), value)
  }

  load(): void {
    try {
      this.#handle.load()
    } catch (error) {
      throw this.#explained(error)
    }
    this.#refresh()
  }

  async loadAsync(): Promise<void> {
    try {
      await this.#handle.loadAsync()
    } catch (error) {
      throw this.#explained(error)
    }
    this.#refresh()
  }

  map(name: string): NativeMap {
    const known = this.#maps.get(name)
    if (known?.closed === false) return known
    const index = this.#indexOf(this.#mapIndex, 'map', name)
    const map = new NativeMap(this.#handle.map(index, `map '${name}'`), name)
    this.#maps.set(name, map)
    return map
  }

  program(name: string): NativeProgram {
    const known = this.#programs.get(name)
    if (known !== undefined) return known
    const index = this.#indexOf(this.#programIndex, 'program', name)
    const spec = this.#programSpecs[index]
    const section = spec?.section ?? ''
    const handle = this.#handle.program(index, `program '${name}' of SEC("${section}")`)
    if (spec?.autoload === false) {
      handle.close()
      throw new BpfError('BAD_PHASE', `program '${name}' was not loaded: its autoload is off`)
    }
    const program = new NativeProgram(handle, name, section)
    this.#programs.set(name, program)
    return program
  }

  close(): void {
    for (const map of this.#maps.values()) map.close()
    for (const program of this.#programs.values()) program.close()
    this.#maps.clear()
    this.#programs.clear()
    this.#handle.close()
  }

  /** What load() changed: value sizes of struct_ops maps, the number of entries of perf event arrays … */
  #refresh(): void {
    this.#mapSpecs = readMapSpecs(this.#handle)
    this.#programSpecs = this.#handle.programSpecs()
  }

  /** What libbpf and the kernel said of a failed load, with what they don't know: the object file and the kernel's age. */
  #explained(error: unknown): unknown {
    const find = (program: string, insn: number) => sourceLine(this.#definitions, program, insn)
    return typeIsTooNew(error, this.#programSpecs, release()) ?? withSource(error, find) ?? error
  }

  #indexOf(names: ReadonlyMap<string, number>, kind: 'map' | 'program', name: string): number {
    const index = names.get(name)
    if (index !== undefined) return index
    const hint = didYouMean(name, names.keys())
    throw new BpfError('NOT_FOUND', `object '${this.#name}' has no ${kind} '${name}'`, hint === undefined ? {} : { hint })
  }
}

function readMapSpecs(handle: AddonObject): readonly MapSpec[] {
  return handle.mapSpecs().map(({ name, internal, type, keySize, valueSize, maxEntries, flags }) => ({
    // libbpf puts the object's name in front of the section's.
    name: internal ? name.slice(Math.max(name.indexOf('.'), 0)) : name,
    type,
    keySize,
    valueSize,
    maxEntries,
    flags,
  }))
}
