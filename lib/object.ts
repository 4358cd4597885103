/** A loaded object: verified programs, existing maps, live variables. */
import { BpfError } from './errors.js'
import type { KernelMap } from './kernel.js'
import { Links, type Link, type SkippedProgram } from './link.js'
import { whyNotAttachable } from './linux/sections.js'
import { BpfMap } from './map.js'
import { namedObject, notFound } from './named.js'
import type { MapDefinition } from './object-file/types.js'
import { ObjectHandle, type ObjectParts } from './object-handle.js'
import { Program } from './program.js'
import type { VariableStore } from './variables.js'

/**
 * An object in the kernel.
 *
 * Lifetime: until `close()` or the end of a `using` block; that closes its maps and programs too. Links and ring buffers that were made
 * from it have lives of their own.
 */
export class BpfObject extends ObjectHandle {
  /** Its maps, by name. An unknown name throws `NOT_FOUND`. */
  readonly maps: Readonly<Record<string, BpfMap>>
  /** Its loaded programs, by name. */
  readonly programs: Readonly<Record<string, Program>>

  /** @internal */
  constructor(parts: ObjectParts) {
    super(parts)
    const { object, file } = parts
    const definitions = new Map(file.maps.map((map) => [map.name, map]))
    const owner = `object '${parts.name}'`
    this.maps = namedObject(
      'map',
      owner,
      lazily(object.maps, ({ name }) => new BpfMap(object.map(name), file, definitions.get(name), this)),
    )
    const loaded = object.programs.filter((program) => program.autoload)
    this.programs = namedObject(
      'program',
      owner,
      lazily(loaded, ({ name }) => new Program(object.program(name))),
    )
  }

  /** A map by name, with types for keys and values: `object.map<number, bigint>('starts')`. */
  map<K = unknown, V = unknown>(name: string): BpfMap<K, V> {
    return named(this.maps, 'map', name, this.name) as unknown as BpfMap<K, V> // the types are the caller's word
  }

  program(name: string): Program {
    return named(this.programs, 'program', name, this.name)
  }

  /**
   * Attaches every loaded program where its `SEC()` name says. Programs whose section says no place (`syscall`, `xdp` …) are
   * listed as skipped, with the reason. If one can't be attached, those before it are detached again.
   */
  attach(): Links {
    this.assertOpen()
    const attached: Link[] = []
    const skipped: SkippedProgram[] = []
    try {
      for (const { name, section, autoload } of this.parts.object.programs) {
        const reason = autoload ? whyNotAttachable(section) : 'autoload is off'
        if (reason === undefined) attached.push(this.program(name).attach())
        else skipped.push({ program: name, reason })
      }
    } catch (error) {
      new Links(attached, []).close()
      throw error
    }
    return new Links(attached, skipped)
  }

  protected override store(definition: MapDefinition): VariableStore {
    return liveStore(this.parts.object.map(definition.name), definition)
  }
}

/** Also for names that every JavaScript object answers to, such as `constructor`. @throws BpfError `NOT_FOUND` */
function named<T>(items: Readonly<Record<string, T>>, kind: string, name: string, object: string): T {
  const item = Object.hasOwn(items, name) ? items[name] : undefined
  if (item === undefined) throw notFound(kind, String(name), `object '${object}'`, Object.keys(items))
  return item
}

/** Bytes of a loaded section: its memory where it can be mapped, else the map's only value, read and written as a whole. */
function liveStore(map: KernelMap, definition: MapDefinition): VariableStore {
  const frozen = definition.data?.kind === 'rodata' || definition.data?.kind === 'kconfig'
  const key = new Uint8Array(map.info.keySize)
  const value = new Uint8Array(map.info.bufferSize)
  const readWhole = (): Uint8Array => {
    map.lookup(key, value, 0)
    return value
  }
  const mapped = !frozen && map.memory() !== undefined
  return {
    bytes: mapped ? () => map.memory() ?? readWhole() : readWhole,
    written: frozen ? undefined : mapped ? () => {} : (bytes: Uint8Array) => map.update(key, bytes, 0),
    readOnlyBecause: 'constants are frozen when the object is loaded; set it between open() and load()',
  }
}

function lazily<T extends { readonly name: string }, U>(
  items: readonly T[],
  make: (item: T) => U,
): ReadonlyMap<string, PropertyDescriptor> {
  return new Map(
    items.map((item) => {
      let made: U | undefined
      return [item.name, { get: () => (made ??= make(item)) }]
    }),
  )
}

/** What JavaScript callers get who use a loaded object's methods too early; TypeScript doesn't offer them. */
export function belongsToLoadedObjects(method: string): () => never {
  return () => {
    throw new BpfError('BAD_PHASE', `${method}() belongs to a loaded object`, {
      hint: `Call load() first: open(…).load().${method}()`,
    })
  }
}
