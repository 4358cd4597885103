/** An object from open to close: configured, then loaded. */
import { parseBtf } from '../../btf/parse.js'
import { BpfError, systemError, unsupported } from '../../errors.js'
import type {
  Attachment,
  KernelMap,
  KernelObject,
  KernelProgram,
  MapConfig,
  MapSpec,
  OpenObjectOptions,
  ProgramConfig,
  ProgramSpec,
} from '../../kernel.js'
import { parseKconfig, type KconfigValue } from '../../linux/kconfig.js'
import { BPF_MAP_TYPE } from '../../linux/map-types.js'
import { didYouMean } from '../../nearest.js'
import type { GlobalData, MapDefinition, ObjectFile } from '../../object-file/types.js'
import { ObjectSpace } from '../hooks/layout.js'
import { argumentKind, type TracepointArgument, type Tracepoints } from '../hooks/tracepoints.js'
import type { Machine } from '../machine.js'
import { EBADF } from '../errors.js'
import { FallbackMap } from '../maps/kernel-map.js'
import { describedMap } from '../maps/described-map.js'
import { LoadedMap } from '../maps/loaded-map.js'
import type { MapAttributes } from '../maps/types.js'
import { isTypedTracepoint } from '../attach.js'
import { FallbackProgram, LoadedProgram, SharedSpace } from '../program.js'
import { KernelTypes } from '../verifier/kernel-types.js'
import type { Verdict } from '../verifier/verify.js'
import type { EngineEnvironment } from '../vm/types.js'
import { TargetTypes } from './core/match.js'
import { kconfigBytes } from './kconfig.js'
import { describeProgram, judgeProgram, loadProgram, type LoadContext } from './load-program.js'
import type { JudgeOptions } from './verify-loaded.js'
import type { VerifierProgram } from '../verifier/program.js'
import { MapSetting, ProgramSetting } from './settings.js'

/** What an object needs of its kernel. */
export interface ObjectHost {
  readonly machine: Machine
  readonly environment: EngineEnvironment
  readonly tracepoints: Tracepoints<LoadedProgram>
  /** The types that CO-RE resolves against; undefined where there are none. */
  targetFor(file: ObjectFile): TargetTypes | undefined
  /** Kernel options for what an object's own text leaves open. */
  readonly kconfig: ReadonlyMap<string, KconfigValue>
}

type Phase = 'open' | 'loading' | 'loaded' | 'closed'

/** A later turn of the event loop. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

const FIRST_KEY = new Uint8Array(4)

export class FallbackObject implements KernelObject {
  readonly #host: ObjectHost
  readonly #file: ObjectFile
  readonly #name: string
  readonly #kconfig: ReadonlyMap<string, KconfigValue>
  /** The types that CO-RE resolves against in place of the kernel's. */
  readonly #target: TargetTypes | undefined
  readonly #mapSettings: ReadonlyMap<string, MapSetting>
  readonly #programSettings: ReadonlyMap<string, ProgramSetting>
  readonly #initial = new Map<string, Uint8Array>()
  readonly #maps = new Map<string, FallbackMap>()
  readonly #programs = new Map<string, FallbackProgram>()
  #phase: Phase = 'open'

  /** @throws BpfError `BAD_VALUE`, `BAD_BTF`, or `UNSUPPORTED` naming an option that isn't there */
  constructor(host: ObjectHost, file: ObjectFile, options: OpenObjectOptions) {
    refuseOptions(options)
    const { name, kconfig, btf } = options
    this.#host = host
    this.#file = file
    this.#name = name
    this.#kconfig =
      kconfig === undefined ? host.kconfig : new Map([...host.kconfig, ...parseKconfig(kconfig)])
    this.#target = btf === undefined ? undefined : targetOf(btf)
    this.#mapSettings = new Map(file.maps.map((definition) => [definition.name, new MapSetting(definition)]))
    this.#programSettings = new Map(
      file.programs.map((program) => [program.name, new ProgramSetting(program)]),
    )
    for (const { name: map, data } of file.maps)
      if (data !== undefined) this.#initial.set(map, data.initial.slice())
  }

  get maps(): readonly MapSpec[] {
    return [...this.#mapSettings.values()].map(({ spec }) => spec)
  }

  get programs(): readonly ProgramSpec[] {
    return [...this.#programSettings.values()].map(({ spec }) => spec)
  }

  configureMap(map: string, config: MapConfig): void {
    this.#assertPhase('open')
    this.#mapNamed(map).configure(config, this.#host.machine.memory)
  }

  configureProgram(program: string, config: ProgramConfig): void {
    this.#assertPhase('open')
    this.#programNamed(program).configure(config)
  }

  initialValue(map: string): Uint8Array | undefined {
    this.#assertPhase('open')
    this.#mapNamed(map)
    return this.#initial.get(map)?.slice()
  }

  setInitialValue(map: string, offset: number, bytes: Uint8Array): void {
    this.#assertPhase('open')
    this.#mapNamed(map)
    const current = this.#initial.get(map)
    if (current === undefined)
      throw new BpfError('EINVAL', `map '${map}' holds no global data`, { errno: 22 })
    if (offset + bytes.length > current.length) {
      throw new BpfError(
        'BAD_VALUE',
        `map '${map}' starts with ${current.length} bytes: no room for ${bytes.length} at ${offset}`,
      )
    }
    current.set(bytes, offset)
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

  /**
   * Has one program verified, and nothing of it kept: the object is closed then.
   *
   * @throws BpfError for what keeps a program from the verifier, such as a relocation
   */
  judge(program: string, options: JudgeOptions): Verdict {
    this.#assertPhase('open')
    const { definition } = this.#programNamed(program)
    try {
      return judgeProgram(this.#loadContext(this.#describeMaps()), definition, options)
    } finally {
      this.close()
    }
  }

  /** One program as the verifier is given it: the object is closed then. @throws BpfError as {@link judge} does */
  describe(program: string): VerifierProgram {
    this.#assertPhase('open')
    const { definition } = this.#programNamed(program)
    try {
      return describeProgram(this.#loadContext(this.#describeMaps()), definition)
    } finally {
      this.close()
    }
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

  attachAll(): readonly Attachment[] {
    this.#assertPhase('loaded')
    const attached: Attachment[] = []
    try {
      for (const [name, setting] of this.#programSettings) {
        if (setting.attachesByItself) attached.push({ name, link: this.program(name).attach() })
      }
    } catch (error) {
      for (const { link } of attached.toReversed()) link.close()
      throw error
    }
    return attached
  }

  close(): void {
    this.#phase = 'closed'
    for (const program of this.#programs.values()) program.close()
    for (const map of this.#maps.values()) map.close()
    for (const setting of this.#mapSettings.values()) setting.close()
  }

  #createMaps(): ReadonlyMap<string, LoadedMap> {
    const { machine } = this.#host
    const created = new Map<string, LoadedMap>()
    for (const { definition, spec, reused } of this.#mapSettings.values()) {
      if (!spec.autocreate) continue
      const map = reused?.retain() ?? mapFrom(machine, spec, definition.inner, createdMap)
      created.set(definition.name, map)
      this.#maps.set(definition.name, new FallbackMap(machine.memory, map))
      if (definition.data !== undefined && reused === undefined) this.#fill(map, definition, definition.data)
    }
    for (const { definition, reused } of this.#mapSettings.values()) {
      const map = created.get(definition.name)
      // Of a prog array: when there are programs.
      if (definition.slots.length === 0 || map?.storage.attributes.type === BPF_MAP_TYPE.PROG_ARRAY) continue
      if (map !== undefined && reused === undefined) fillSlots(map, definition, created)
    }
    return created
  }

  /** Maps as the verifier wants to know them: only global data is there to be read. */
  #describeMaps(): ReadonlyMap<string, LoadedMap> {
    const { machine } = this.#host
    const described = new Map<string, LoadedMap>()
    for (const { definition, spec } of this.#mapSettings.values()) {
      const { name, data, inner } = definition
      if (!spec.autocreate) continue
      const make = data === undefined ? describedMap : createdMap
      const map = mapFrom(machine, spec, inner, make)
      described.set(name, map)
      this.#maps.set(name, new FallbackMap(machine.memory, map))
      if (data !== undefined) this.#fill(map, definition, data)
    }
    return described
  }

  /** Puts the initial value of global data into its map. */
  #fill(map: LoadedMap, definition: MapDefinition, data: GlobalData): void {
    const { btf, externs } = this.#file
    const initial =
      data.kind === 'kconfig' && btf !== undefined
        ? kconfigBytes(btf, definition, externs, this.#kconfig)
        : (this.#initial.get(definition.name) ?? data.initial)
    map.storage.updateAll(FIRST_KEY, 0, initial, 0, 0)
    map.frozen = data.kind === 'rodata' || data.kind === 'kconfig'
  }

  #loadPrograms(maps: ReadonlyMap<string, LoadedMap>): void {
    const { machine, tracepoints } = this.#host
    const judged = this.#loadContext(maps)
    const objects = new ObjectSpace(machine.memory, judged.target?.btf, this.#file.btf)
    const context: LoadContext = { ...judged, space: objects }
    const space = new SharedSpace(objects)
    try {
      for (const { definition, spec } of this.#programSettings.values()) {
        if (!spec.autoload) continue
        if (isTypedTracepoint(definition) && !tracepoints.has(definition.target)) {
          throw tracepoints.unknown(definition.target, 'ESRCH')
        }
        const prepared = loadProgram(context, definition)
        const program = new LoadedProgram(machine, definition, prepared, space)
        this.#programs.set(definition.name, new FallbackProgram(machine, tracepoints, program))
        assertCallable(program, prepared.maps)
      }
      this.#fillProgArrays()
    } finally {
      space.release()
    }
  }

  /** For programs that are judged only. */
  #loadContext(maps: ReadonlyMap<string, LoadedMap>): LoadContext {
    const { environment, tracepoints, machine } = this.#host
    const file = this.#file
    const target = this.#target ?? this.#host.targetFor(file)
    const tracepoint = (name: string): readonly (string | undefined)[] | undefined =>
      tracepoints.has(name) ? tracepoints.argumentsOf(name).map(structOf) : undefined
    const kernel = new KernelTypes(() => target?.btf, target?.own ?? true, tracepoint)
    const { variables } = machine
    return { file, maps, target, environment, kernel, variables, space: undefined }
  }

  /** Puts programs where the object's prog arrays start with them: the last thing that libbpf does. */
  #fillProgArrays(): void {
    for (const { definition, spec } of this.#mapSettings.values()) {
      if (spec.type !== BPF_MAP_TYPE.PROG_ARRAY) continue
      for (const { index, symbol } of definition.slots) {
        const key = new Uint8Array(Uint32Array.of(index).buffer)
        this.#maps.get(definition.name)?.updateHandle(key, this.#programAt(definition, symbol), 0)
      }
    }
  }

  #programAt(map: MapDefinition, symbol: string): FallbackProgram {
    const program = this.#programs.get(symbol)
    if (program !== undefined) return program
    throw systemError('bpf_object__load', 9, `map '${map.name}'`, {
      hint: `It starts with program '${symbol}', which isn't loaded`,
    })
  }

  #mapNamed(name: string): MapSetting {
    return named('map', name, this.#mapSettings, this.#name)
  }

  #programNamed(name: string): ProgramSetting {
    return named('program', name, this.#programSettings, this.#name)
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

/** Name of the struct that an argument points to; undefined: it is a number for programs. */
function structOf({ type }: TracepointArgument): string | undefined {
  const kind = argumentKind(type)
  return kind.kind === 'pointer' && kind.struct !== '' ? kind.struct : undefined
}

/** Targets that were parsed: a kernel's BTF takes most of a second. */
const parsedTargets = new WeakMap<Uint8Array, TargetTypes>()

function targetOf(btf: Uint8Array): TargetTypes {
  let target = parsedTargets.get(btf)
  if (target === undefined) parsedTargets.set(btf, (target = new TargetTypes(parseBtf(btf), false)))
  return target
}

/** As bpf_prog_map_compatible(): the programs of a prog array, and those that call through it, are of one kind. */
function assertCallable(program: LoadedProgram, maps: ReadonlySet<LoadedMap>): void {
  for (const { name, storage } of maps) {
    if (storage.programs?.takes(program) !== false) continue
    throw systemError('bpf(BPF_PROG_LOAD)', 22, `program '${program.name}'`, {
      hint: `Prog array '${name}' has programs of another type`,
    })
  }
}

/** Options of what the simulation has none of. */
function refuseOptions({ pinRootPath, bpfTokenPath, kernelLogLevel = 0 }: OpenObjectOptions): void {
  if (pinRootPath !== undefined) throw unsupported('option pinRootPath in the fallback kernel')
  if (bpfTokenPath !== undefined) throw unsupported('option bpfTokenPath in the fallback kernel')
  if (kernelLogLevel !== 0) throw unsupported('option kernelLogLevel in the fallback kernel')
}

function named<T>(what: string, name: string, items: ReadonlyMap<string, T>, object: string): T {
  const item = items.get(name)
  if (item !== undefined) return item
  const hint = didYouMean(name, items.keys())
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

/** Puts maps into a map of maps, as its initializer says. */
function fillSlots(
  map: LoadedMap,
  { name, slots }: MapDefinition,
  created: ReadonlyMap<string, LoadedMap>,
): void {
  for (const { index, symbol } of slots) {
    const value = created.get(symbol)
    if (map.storage.updateMap === undefined)
      throw unsupported(`initial contents of map '${name}' in the fallback kernel: it is no map of maps`)
    const key = new Uint8Array(Uint32Array.of(index).buffer)
    // A map that wasn't created has no file descriptor.
    const error = value === undefined ? EBADF : map.storage.updateMap(key, 0, value, 0)
    if (error !== 0)
      throw systemError('bpf(BPF_MAP_UPDATE_ELEM)', -error, `map '${name}', slot ${index} ('${symbol}')`)
  }
}

type MakeMap = (machine: Machine, attributes: MapAttributes) => LoadedMap

const createdMap: MakeMap = (machine, attributes) => new LoadedMap(machine, attributes)

/** A map of maps takes a map like those that it will hold; it isn't needed any more when the map exists. */
function mapFrom(
  machine: Machine,
  spec: MapSpec,
  inner: MapDefinition | undefined,
  make: MakeMap,
): LoadedMap {
  const { inner: _template, ...given } = spec
  // As libbpf does: one slot for each CPU, where nobody says how many.
  const isUnsized = given.type === BPF_MAP_TYPE.PERF_EVENT_ARRAY && given.maxEntries === 0
  const attributes = isUnsized ? { ...given, maxEntries: machine.cpus.possible } : given
  if (inner === undefined) return make(machine, attributes)
  const innerMap = make(machine, { ...inner, innerMap: undefined })
  try {
    return make(machine, { ...attributes, innerMap })
  } finally {
    innerMap.release()
  }
}
