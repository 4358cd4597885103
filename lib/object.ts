/** A loaded object: verified programs, existing maps, live variables. */
import { BpfError } from './errors.js'
import type { KernelMap, ProgramSpec } from './kernel.js'
import { Link, Links } from './link.js'
import { resolveSection, whyNotAttachable } from './linux/sections.js'
import { BpfMap } from './map.js'
import { namedObject, notFound } from './named.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'
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
    const existing = object.maps.filter((map) => map.autocreate)
    this.maps = namedObject(
      'map',
      owner,
      lazily(existing, ({ name }) => makeMap(object.map(name), definitions.get(name), file, this)),
    )
    const loaded = object.programs.filter((program) => program.autoload)
    this.programs = namedObject(
      'program',
      owner,
      lazily(loaded, ({ name }) => new Program(object.program(name), file.btf)),
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
   * Attaches every loaded program where its `SEC()` name says, and struct_ops maps. Programs whose section says no place (`syscall`, `xdp` …)
   * are listed as skipped, with the reason. If one can't be attached, those before it are detached again.
   */
  attach(): Links {
    this.assertOpen()
    const { object } = this.parts
    const links = object.attachAll().map(({ name, link }) => new Link(link, name))
    const attached = new Set(links.map(({ program }) => program))
    const skipped = object.programs.filter(({ name }) => !attached.has(name))
    return new Links(
      links,
      skipped.map((spec) => ({ program: spec.name, reason: whySkipped(spec) })),
    )
  }

  protected override store(definition: MapDefinition): VariableStore {
    return liveStore(this.parts.object.map(definition.name), definition)
  }
}

/** Also for names that every JavaScript object answers to, such as `constructor`. @throws BpfError `NOT_FOUND` */
function named<T>(items: Readonly<Record<string, T>>, kind: string, name: string, object: string): T {
  const item = Object.hasOwn(items, name) ? items[name] : undefined
  if (item === undefined) throw notFound(kind, name, `object '${object}'`, Object.keys(items))
  return item
}

/** A map whose sizes were changed, or that took another's place, has not the types of the source. */
function makeMap(
  map: KernelMap,
  definition: MapDefinition | undefined,
  file: ObjectFile,
  owner: object,
): BpfMap {
  if (definition === undefined) return new BpfMap(map, file, definition, owner)
  const { keyType, valueType, keySize, valueSize } = definition
  const fitting: MapDefinition = {
    ...definition,
    keyType: map.info.keySize === keySize ? keyType : undefined,
    // Of struct_ops, load() makes the value larger: the kernel's struct is around the program's.
    valueType: map.info.valueSize === valueSize ? valueType : undefined,
  }
  return new BpfMap(map, file, fitting, owner)
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
    written: frozen ? undefined : mapped ? () => {} : () => map.update(key, value, 0),
    readOnlyBecause: 'constants are frozen when the object is loaded; set it between open() and load()',
  }
}

function whySkipped({ section, type, autoload, autoattach }: ProgramSpec): string {
  if (!autoload) return 'autoload is off'
  if (!autoattach) return 'autoattach is off'
  if (resolveSection(section)?.type !== type)
    return `its type is not that of SEC("${section}"): attach it by itself`
  return whyNotAttachable(section) ?? 'libbpf of this build does not attach programs of its section'
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
