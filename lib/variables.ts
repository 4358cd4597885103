/** Global variables of an object as typed properties: `.rodata`, `.data`, `.bss` and custom sections. */
import { createCodec, type Codec } from './codec/index.js'
import { BpfError } from './errors.js'
import { namedObject } from './named.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'
import { readWhole, writeWhole } from './whole-values.js'

/**
 * Variables by name. Values are decoded by BTF: numbers, bigint for 64 bits, strings for char arrays, plain objects.
 *
 * What is read is a copy: to change a member of a struct, assign the struct. A value that is refused changes nothing. Aligned scalars are
 * read and written at once; a program that runs meanwhile may see a larger value half written.
 */
export type Variables = Record<string, unknown>

/** Where a section's bytes are at the moment. */
export interface VariableStore {
  /** The bytes; asked for at each access. */
  bytes(): Uint8Array
  /** Told after a variable was written, with its bytes and their place; undefined: the section can't be written any more. */
  readonly written: ((offset: number, bytes: Uint8Array) => void) | undefined
  /** Why it can't be written, as the end of a sentence. */
  readonly readOnlyBecause: string
}

/**
 * @throws BpfError `NO_BTF` at the first access where the object was compiled without -g
 */
export function createVariables(
  file: ObjectFile,
  definition: MapDefinition,
  store: VariableStore,
): Variables {
  const owner = `section ${definition.name}`
  const properties = new Map<string, PropertyDescriptor>()
  for (const variable of definition.data?.variables ?? []) {
    let codec: Codec | undefined
    const codecOf = (): Codec => {
      if (codec !== undefined) return codec
      if (file.btf === undefined) throw new BpfError('NO_BTF', `${owner} has no type information`)
      return (codec = createCodec(file.btf, variable.type))
    }
    properties.set(variable.name, {
      get: () => readWhole(codecOf(), store.bytes(), variable.offset),
      set: (value: unknown) => {
        if (store.written === undefined) {
          throw new BpfError(
            'BAD_PHASE',
            `${owner}: '${variable.name}' can't be set: ${store.readOnlyBecause}`,
          )
        }
        const bytes = store.bytes()
        const { offset } = variable
        writeWhole(codecOf(), value, bytes, offset)
        store.written(offset, bytes.subarray(offset, offset + codecOf().size))
      },
    })
  }
  if (file.btf === undefined) return withoutTypes(owner)
  return namedObject<Variables>('variable', owner, properties)
}

function withoutTypes(owner: string): Variables {
  const refuse = (): never => {
    throw new BpfError('NO_BTF', `${owner}: variables have no names without type information`, {
      hint: 'Compile the object with clang -g (and keep .BTF when stripping: llvm-strip -g)',
    })
  }
  return new Proxy<Variables>(
    {},
    { get: (_target, name) => (typeof name === 'symbol' ? undefined : refuse()), set: refuse },
  )
}
