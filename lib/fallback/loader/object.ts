/** An object from open to close: configured, then loaded. */
import { BpfError } from '../../errors.js'
import type {
  KernelMap,
  KernelObject,
  KernelProgram,
  MapConfig,
  MapSpec,
  ProgramConfig,
  ProgramSpec,
} from '../../kernel.js'
import { BPF_MAP_TYPE } from '../../linux/map-types.js'
import { didYouMean } from '../../nearest.js'
import type { MapDefinition, ObjectFile, ProgramDefinition } from '../../object-file/types.js'
import { ObjectSpace } from '../hooks/layout.js'
import type { TracepointArgument, Tracepoints } from '../hooks/tracepoints.js'
import type { Machine } from '../machine.js'
import { ringBufferSize } from '../maps/create.js'
import { FallbackMap } from '../maps/kernel-map.js'
import { LoadedMap } from '../maps/loaded-map.js'
import { FallbackProgram, isTypedTracepoint, LoadedProgram, SharedSpace } from '../program.js'
import type { EngineEnvironment } from '../vm/types.js'
import type { TargetTypes } from './core/match.js'
import { kconfigBytes } from './kconfig.js'
import { loadProgram } from './load-program.js'

/** What an object needs of its kernel. */
export interface ObjectHost {
  readonly machine: Machine
  readonly environment: EngineEnvironment
  readonly tracepoints: Tracepoints<LoadedProgram>
  /** The types that CO-RE resolves against; undefined where there are none. */
  targetFor(file: ObjectFile): TargetTypes | undefined
}

type Phase = 'open' | 'loading' | 'loaded' | 'closed'

/** A later turn of the event loop. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

const FIRST_KEY = new Uint8Array(4)

export class FallbackObject implements KernelObject {
  readonly #host: ObjectHost
  readonly #file: ObjectFile
  readonly #name: string
  readonly #maxEntries = new Map<string, number>()
  readonly #autoload = new Map<string, boolean>()
  readonly #initial = new Map<string, Uint8Array>()
  readonly #maps = new Map<string, FallbackMap>()
  readonly #programs = new Map<string, FallbackProgram>()
  #phase: Phase = 'open'

  constructor(host: ObjectHost, file: ObjectFile, name: string) {
    this.#host = host
    this.#file = file
    this.#name = name
    for (const { name, data } of file.maps)
      if (data !== undefined) this.#initial.set(name, data.initial.slice())
  }

  get maps(): readonly MapSpec[] {
    return this.#file.maps.map((definition) => this.#mapSpec(definition))
  }

  get programs(): readonly ProgramSpec[] {
    return this.#file.programs.map((program) => ({
      name: program.name,
      section: program.section,
      type: program.type ?? 0,
      autoload: this.#isAutoloaded(program),
    }))
  }

  configureMap(map: string, { maxEntries }: MapConfig): void {
    this.#assertPhase('open')
    const definition = this.#mapNamed(map)
    if (maxEntries === undefined) return
    if (!Number.isInteger(maxEntries) || maxEntries < 0 || maxEntries > 0xffffffff) {
      throw new BpfError(
        'BAD_VALUE',
        `map '${map}': max_entries is an unsigned 32-bit integer, not ${maxEntries}`,
      )
    }
    if (definition.data !== undefined && maxEntries !== 1) {
      throw new BpfError('EINVAL', `map '${map}': a map of global data has one entry`, { errno: 22 })
    }
    this.#maxEntries.set(map, maxEntries)
  }

  configureProgram(program: string, { autoload }: ProgramConfig): void {
    this.#assertPhase('open')
    const { name } = this.#programNamed(program)
    if (autoload !== undefined) this.#autoload.set(name, autoload)
  }

  initialValue(map: string): Uint8Array | undefined {
    this.#assertPhase('open')
    this.#mapNamed(map)
    return this.#initial.get(map)?.slice()
  }

  setInitialValue(map: string, value: Uint8Array): void {
    this.#assertPhase('open')
    this.#mapNamed(map)
    const current = this.#initial.get(map)
    if (current === undefined)
      throw new BpfError('EINVAL', `map '${map}' holds no global data`, { errno: 22 })
    if (value.length !== current.length) {
      throw new BpfError('EINVAL', `map '${map}' starts with ${current.length} bytes, not ${value.length}`, {
        errno: 22,
      })
    }
    current.set(value)
  }

  load(): void {
    this.#assertPhase('open')
    this.#load()
  }

  /** In a turn of its own: what the caller does until then, close() among it, comes first. */
  async loadAsync(): Promise<void> {
    this.#assertPhase('open')
    this.#phase = 'loading'
    await nextTurn()
    this.#assertPhase('loading')
    this.#load()
  }

  #load(): void {
    try {
      const maps = this.#createMaps()
      this.#loadPrograms(maps)
    } catch (error) {
      this.close()
      throw error
    }
    this.#phase = 'loaded'
  }

  map(name: string): KernelMap {
    this.#assertPhase('loaded')
    this.#mapNamed(name)
    return found(this.#maps.get(name), `map '${name}' wasn't created`)
  }

  program(name: string): KernelProgram {
    this.#assertPhase('loaded')
    this.#programNamed(name)
    return found(this.#programs.get(name), `program '${name}' wasn't loaded: autoload is off`)
  }

  close(): void {
    this.#phase = 'closed'
    for (const program of this.#programs.values()) program.close()
    for (const map of this.#maps.values()) map.close()
  }

  #createMaps(): ReadonlyMap<string, LoadedMap> {
    const { machine } = this.#host
    const created = new Map<string, LoadedMap>()
    for (const definition of this.#file.maps) {
      const map = new LoadedMap(machine, { ...this.#mapSpec(definition), mapExtra: definition.mapExtra })
      created.set(definition.name, map)
      this.#maps.set(definition.name, new FallbackMap(machine.memory, map))
      if (definition.slots.length > 0)
        throw new BpfError(
          'UNSUPPORTED',
          `UNSUPPORTED: initial contents of map '${definition.name}' in the fallback kernel`,
        )
      if (definition.data === undefined) continue
      const initial = this.#initial.get(definition.name) ?? definition.data.initial
      const { btf, externs } = this.#file
      const kconfig = definition.data.kind === 'kconfig' && btf !== undefined
      map.storage.updateAll(FIRST_KEY, 0, kconfig ? kconfigBytes(btf, definition, externs) : initial, 0, 0)
      map.frozen = definition.data.kind === 'rodata' || definition.data.kind === 'kconfig'
    }
    return created
  }

  #loadPrograms(maps: ReadonlyMap<string, LoadedMap>): void {
    const { machine, environment, tracepoints } = this.#host
    const file = this.#file
    const target = this.#host.targetFor(file)
    const space = new SharedSpace(new ObjectSpace(machine.memory, target?.btf))
    const tracepoint = (name: string): readonly TracepointArgument[] | undefined =>
      tracepoints.has(name) ? tracepoints.argumentsOf(name) : undefined
    try {
      for (const definition of file.programs) {
        if (!this.#isAutoloaded(definition)) continue
        if (isTypedTracepoint(definition) && !tracepoints.has(definition.target)) {
          throw tracepoints.unknown(definition.target, 'ESRCH')
        }
        const prepared = loadProgram({ file, maps, target, environment, tracepoint }, definition)
        const program = new LoadedProgram(machine, definition, prepared, space)
        this.#programs.set(definition.name, new FallbackProgram(machine, tracepoints, program))
      }
    } finally {
      space.release()
    }
  }

  #mapSpec({ name, type, keySize, valueSize, maxEntries, flags }: MapDefinition): MapSpec {
    const entries = this.#maxEntries.get(name) ?? maxEntries
    return {
      name,
      type,
      keySize,
      valueSize,
      maxEntries: type === BPF_MAP_TYPE.RINGBUF ? ringBufferSize(entries) : entries,
      flags,
    }
  }

  #isAutoloaded({ name, autoload }: ProgramDefinition): boolean {
    return this.#autoload.get(name) ?? autoload
  }

  #mapNamed(name: string): MapDefinition {
    return named('map', name, this.#file.maps, this.#name)
  }

  #programNamed(name: string): ProgramDefinition {
    return named('program', name, this.#file.programs, this.#name)
  }

  #assertPhase(phase: Phase): void {
    if (this.#phase === phase) return
    if (this.#phase === 'closed') throw new BpfError('CLOSED', `object '${this.#name}' is closed`)
    if (this.#phase === 'loading')
      throw new BpfError('BAD_PHASE', `object '${this.#name}' is being loaded`, {
        hint: 'Await loadAsync() first',
      })
    throw new BpfError(
      'BAD_PHASE',
      phase === 'open'
        ? `object '${this.#name}' is loaded: configure it before`
        : `object '${this.#name}' isn't loaded yet`,
    )
  }
}

function named<T extends { readonly name: string }>(
  what: string,
  name: string,
  items: readonly T[],
  object: string,
): T {
  const item = items.find((candidate) => candidate.name === name)
  if (item !== undefined) return item
  const hint = didYouMean(
    name,
    items.map((candidate) => candidate.name),
  )
  throw new BpfError(
    'NOT_FOUND',
    `object '${object}' has no ${what} '${name}'`,
    hint === undefined ? {} : { hint },
  )
}

function found<T>(value: T | undefined, problem: string): T {
  if (value === undefined) throw new BpfError('NOT_FOUND', problem)
  return value
}
