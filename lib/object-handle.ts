/** What open and loaded objects have in common: a name, a kernel, and sections of global data. */
import { Handle } from './handle.js'
import type { Kernel, KernelObject } from './kernel.js'
import { notFound } from './named.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'
import { createVariables, type Variables, type VariableStore } from './variables.js'

/** What `open()` found out about an object: its parsed file, the kernel that it is for, and that kernel's object. */
export interface ObjectParts {
  readonly name: string
  readonly file: ObjectFile
  readonly kernel: Kernel
  readonly object: KernelObject
}

export abstract class ObjectHandle extends Handle {
  readonly name: string
  /** The kernel that it is for: `object.kernel.name` is `'native'` or `'fallback'`. */
  readonly kernel: Kernel
  /** @internal */
  protected readonly parts: ObjectParts
  readonly #sections = new Map<string, Variables>()

  protected constructor(parts: ObjectParts) {
    super(parts.object, `object '${parts.name}'`)
    this.name = parts.name
    this.kernel = parts.kernel
    this.parts = parts
    // Not for people who print an object.
    Object.defineProperty(this, 'parts', { enumerable: false })
  }

  /** @internal */
  get file(): ObjectFile {
    return this.parts.file
  }

  /** Constants (`const volatile`): a program's configuration. They can be set until the object is loaded. */
  get rodata(): Variables {
    return this.variables('.rodata')
  }

  /** Global variables with an initial value; live once the object is loaded. */
  get data(): Variables {
    return this.variables('.data')
  }

  /** Global variables that start as zero; live once the object is loaded. */
  get bss(): Variables {
    return this.variables('.bss')
  }

  /** Kernel options (`extern … __kconfig`); known once the object is loaded. */
  get kconfig(): Variables {
    return this.variables('.kconfig')
  }

  /** The variables of any section of global data: `.data.config`. @throws BpfError `NOT_FOUND` */
  variables(section: string): Variables {
    this.assertOpen()
    let variables = this.#sections.get(section)
    if (variables === undefined) {
      const definition = this.#definitionOf(section)
      variables = createVariables(this.parts.file, definition, this.store(definition))
      this.#sections.set(section, variables)
    }
    return variables
  }

  /** @internal Where the bytes of a section are in this phase. */
  protected abstract store(definition: MapDefinition): VariableStore

  #definitionOf(section: string): MapDefinition {
    const sections = this.parts.file.maps.filter((map) => map.data !== undefined)
    const definition = sections.find((map) => map.name === section)
    if (definition !== undefined) return definition
    throw notFound(
      'section of global data',
      section,
      `object '${this.name}'`,
      sections.map((map) => map.name),
    )
  }
}
