/** An object between open and load: it can be configured, and nothing of it is in the kernel yet. */
import { BpfError } from './errors.js'
import { MapSettings } from './map-settings.js'
import { namedObject } from './named.js'
import type { MapDefinition } from './object-file/types.js'
import { ObjectHandle, type ObjectParts } from './object-handle.js'
import { belongsToLoadedObjects, BpfObject } from './object.js'
import { ProgramSettings } from './program-settings.js'
import type { VariableStore } from './variables.js'

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
    const { object } = parts
    const owner = `object '${parts.name}'`
    this.maps = namedObject(
      'map',
      owner,
      settings(object.maps, (name) => new MapSettings(object, name, () => byName(object.maps, name))),
    )
    this.programs = namedObject(
      'program',
      owner,
      settings(
        object.programs,
        (name) => new ProgramSettings(object, name, () => byName(object.programs, name)),
      ),
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

  protected override store({ name, valueSize, data }: MapDefinition): VariableStore {
    const { object } = this.parts
    if (data?.kind === 'kconfig') {
      const zeros = new Uint8Array(valueSize)
      return {
        bytes: () => zeros,
        written: undefined,
        readOnlyBecause:
          "kernel options are found when the object is loaded; give them as open(…, { kconfig: 'CONFIG_NAME=value' })",
      }
    }
    const image = object.initialValue(name) ?? new Uint8Array(valueSize)
    return {
      bytes: () => image,
      written: (offset, bytes) => object.setInitialValue(name, offset, bytes),
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
