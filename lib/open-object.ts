/** An object between open and load: it can be configured, and nothing of it is in the kernel yet. */
import { BpfError } from './errors.js'
import type { MapSpec, ProgramSpec } from './kernel.js'
import { mapTypeName } from './linux/map-types.js'
import { programTypeName } from './linux/program-types.js'
import { namedObject } from './named.js'
import type { MapDefinition } from './object-file/types.js'
import { ObjectHandle, type ObjectParts } from './object-handle.js'
import { belongsToLoadedObjects, BpfObject } from './object.js'
import type { VariableStore } from './variables.js'

/** A map that `load()` will create. */
export class MapSettings {
  readonly #parts: ObjectParts
  readonly name: string

  /** @internal */
  constructor(parts: ObjectParts, name: string) {
    this.#parts = parts
    this.name = name
  }

  /** Map type under bpftool's name: `hash`, `array`, `ringbuf` … */
  get type(): string {
    return mapTypeName(this.#spec.type)
  }

  get keySize(): number {
    return this.#spec.keySize
  }

  get valueSize(): number {
    return this.#spec.valueSize
  }

  /** Entries, or bytes of a ring buffer (a power of two and a multiple of the page size). */
  get maxEntries(): number {
    return this.#spec.maxEntries
  }

  set maxEntries(maxEntries: number) {
    if (!Number.isInteger(maxEntries) || maxEntries < 0 || maxEntries > 0xffffffff) {
      throw new BpfError(
        'BAD_VALUE',
        `map '${this.name}': maxEntries must be an unsigned 32-bit integer, not ${maxEntries}`,
      )
    }
    this.#parts.object.configureMap(this.name, { maxEntries })
  }

  get #spec(): MapSpec {
    return byName(this.#parts.object.maps, this.name)
  }
}

/** A program that `load()` will load, unless `autoload` is off. */
export class ProgramSettings {
  readonly #parts: ObjectParts
  readonly name: string

  /** @internal */
  constructor(parts: ObjectParts, name: string) {
    this.#parts = parts
    this.name = name
  }

  /** The `SEC()` name. */
  get section(): string {
    return this.#spec.section
  }

  /** Program type under bpftool's name. */
  get type(): string {
    return programTypeName(this.#spec.type)
  }

  /** Whether `load()` loads it. Off for sections that start with `?`. */
  get autoload(): boolean {
    return this.#spec.autoload
  }

  set autoload(autoload: boolean) {
    if (typeof autoload !== 'boolean') {
      throw new BpfError(
        'BAD_VALUE',
        `program '${this.name}': autoload must be true or false, not ${String(autoload)}`,
      )
    }
    this.#parts.object.configureProgram(this.name, { autoload })
  }

  get #spec(): ProgramSpec {
    return byName(this.#parts.object.programs, this.name)
  }
}

/**
 * What `open()` returns.
 *
 * Lifetime: until `load()`, which hands everything on to the loaded object, or `close()`.
 */
export class OpenObject extends ObjectHandle {
  /** Its maps, by name, to be configured. An unknown name throws `NOT_FOUND`. */
  readonly maps: Readonly<Record<string, MapSettings>>
  /** Its programs, by name, to be configured. */
  readonly programs: Readonly<Record<string, ProgramSettings>>
  #loading = false

  /** @internal */
  constructor(parts: ObjectParts) {
    super(parts)
    const owner = `object '${parts.name}'`
    this.maps = namedObject(
      'map',
      owner,
      settings(parts.object.maps, (name) => new MapSettings(parts, name)),
    )
    this.programs = namedObject(
      'program',
      owner,
      settings(parts.object.programs, (name) => new ProgramSettings(parts, name)),
    )
  }

  /**
   * Creates the maps and has the programs verified and loaded. The open object is used up; go on with the loaded one.
   *
   * Needs `CAP_BPF`, and `CAP_PERFMON` or `CAP_NET_ADMIN` by program type (Linux 5.8+; before that `CAP_SYS_ADMIN`).
   *
   * @throws BpfError `VERIFIER_REJECTED` with `error.verifier`, `EPERM` naming the capability, `RELOCATION_FAILED`,
   *   `UNKNOWN_SECTION` …; the object is closed then
   */
  load(): BpfObject {
    this.#begin()
    try {
      this.parts.object.load()
    } catch (error) {
      this.close()
      throw error
    }
    return this.#handOver()
  }

  /** Like `load()`, off the event loop's thread. */
  async loadAsync(): Promise<BpfObject> {
    this.#begin()
    try {
      await this.parts.object.loadAsync()
    } catch (error) {
      this.close()
      throw error
    }
    return this.#handOver()
  }

  #begin(): void {
    if (this.#loading) {
      throw new BpfError(
        'BAD_PHASE',
        `object '${this.name}' was loaded already: an open object is loaded once`,
      )
    }
    this.assertOpen()
    this.#loading = true
  }

  #handOver(): BpfObject {
    this.pass()
    return new BpfObject(this.parts)
  }

  protected override store({ name, valueSize }: MapDefinition): VariableStore {
    const { object } = this.parts
    const image = object.initialValue(name) ?? new Uint8Array(valueSize)
    return {
      bytes: () => image,
      written: (bytes) => object.setInitialValue(name, bytes),
      readOnlyBecause: '',
    }
  }
}

for (const method of ['attach', 'map', 'program']) {
  Object.defineProperty(OpenObject.prototype, method, { value: belongsToLoadedObjects(method) })
}

function settings<U>(
  specs: readonly { readonly name: string }[],
  make: (name: string) => U,
): ReadonlyMap<string, PropertyDescriptor> {
  return new Map(specs.map(({ name }) => [name, { value: make(name) }]))
}

function byName<T extends { readonly name: string }>(items: readonly T[], name: string): T {
  const item = items.find((candidate) => candidate.name === name)
  if (item === undefined) throw new BpfError('NOT_FOUND', `'${name}' is not in the object any more`)
  return item
}
