/** A loaded object: verified programs, existing maps, live variables. */
import { BpfError } from './errors.js'
import { Handle } from './handle.js'
import type { Kernel, KernelMap, KernelObject } from './kernel.js'
import { Links, type Link, type SkippedProgram } from './link.js'
import { whyNotAttachable } from './linux/sections.js'
import { BpfMap } from './map.js'
import { namedObject, notFound } from './named.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'
import { Program } from './program.js'
import { createVariables, type Variables } from './variables.js'

/** What `open()` found out about an object: its parsed file, the kernel that it is for, and that kernel's object. */
export interface ObjectParts {
  readonly name: string
  readonly file: ObjectFile
  readonly kernel: Kernel
  readonly object: KernelObject
}

/**
 * An object in the kernel.
 *
 * Lifetime: until `close()` or the end of a `using` block; that closes its maps and programs too. Links and ring buffers that were made
 * from it have lives of their own.
 */
export class BpfObject extends Handle {
  readonly name: string
  /** The kernel that it was loaded into: `object.kernel.name` is `'native'` or `'fallback'`. */
  readonly kernel: Kernel
  /** Its maps, by name. An unknown name throws `NOT_FOUND`. */
  readonly maps: Readonly<Record<string, BpfMap>>
  /** Its loaded programs, by name. */
  readonly programs: Readonly<Record<string, Program>>
  readonly #parts: ObjectParts
  readonly #sections = new Map<string, Variables>()

  /** @internal */
  constructor(parts: ObjectParts) {
    super(parts.object, `object '${parts.name}'`)
    const { object, file } = parts
    this.name = parts.name
    this.kernel = parts.kernel
    this.#parts = parts
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

  /** Constants, as they were when the object was loaded. */
  get rodata(): Variables {
    return this.variables('.rodata')
  }

  /** Initialised global variables, live. */
  get data(): Variables {
    return this.variables('.data')
  }

  /** Global variables that started as zero, live. */
  get bss(): Variables {
    return this.variables('.bss')
  }

  /** The variables of any section of global data: `.data.config`. @throws BpfError `NOT_FOUND` */
  variables(section: string): Variables {
    this.assertOpen()
    let variables = this.#sections.get(section)
    if (variables === undefined) {
      const definition = globalData(this.#parts, section)
      variables = createVariables(
        this.#parts.file,
        definition,
        liveStore(this.#parts.object.map(section), definition),
      )
      this.#sections.set(section, variables)
    }
    return variables
  }

  /** A map by name, with types for keys and values: `object.map<number, bigint>('starts')`. */
  map<K = unknown, V = unknown>(name: string): BpfMap<K, V> {
    return this.maps[name] as unknown as BpfMap<K, V> // an unknown name has thrown; the types are the caller's word
  }

  program(name: string): Program {
    return this.programs[name] as Program // an unknown name has thrown
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
      for (const { name, section, autoload } of this.#parts.object.programs) {
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
}

/** The definition of a section of global data. @throws BpfError `NOT_FOUND` */
export function globalData(parts: ObjectParts, section: string): MapDefinition {
  const sections = parts.file.maps.filter((map) => map.data !== undefined)
  const definition = sections.find((map) => map.name === section)
  if (definition === undefined) {
    throw notFound(
      'section of global data',
      section,
      `object '${parts.name}'`,
      sections.map((map) => map.name),
    )
  }
  return definition
}

/** Bytes of a loaded section: its memory where it can be mapped, else the map's only value, read and written as a whole. */
function liveStore(map: KernelMap, definition: MapDefinition) {
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
): Record<string, PropertyDescriptor> {
  return Object.fromEntries(
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
