/** Contexts for `program.run()`: plain objects to bytes and back, by the program's own types or by Linux's. */
import { findType, resolveType, skipModifiers, typeById } from './btf/query.js'
import type { Btf, TypeId } from './btf/types.js'
import { createCodec, type Codec } from './codec/index.js'
import { BpfError } from './errors.js'
import { CONTEXTS } from './linux/contexts.js'
import { TEST_RUNS } from './linux/test-run.js'
import { describeTypes } from './type-descriptor.js'

/** Bytes of a register, and so of each argument of a tracepoint. */
const ARGUMENT_SIZE = 8

export interface ContextCodec {
  encode(value: object): Uint8Array
  decode(bytes: Uint8Array): unknown
}

/**
 * How contexts of a program look: a struct, or for programs whose context is an array of registers (raw tracepoints, `BPF_PROG()`), an
 * array of numbers and bigints.
 *
 * @param type BPF_PROG_TYPE_*
 * @throws BpfError `NO_BTF` where neither the program's types nor its type of program tell
 */
export function contextCodec(program: string, type: number, btf: Btf | undefined): ContextCodec {
  const name = TEST_RUNS.get(type)?.context
  const known = name === undefined ? undefined : CONTEXTS[name]
  const described = known === undefined ? undefined : describeTypes([known], undefined)
  const stable = described?.types[0] && createCodec(described.btf, described.types[0].id)
  const own = btf && ownContext(btf, program)
  // A program may declare the members that it uses, and no others: then Linux's layout counts.
  if (own !== undefined && (stable === undefined || own.size >= stable.size)) return structCodec(own)
  if (stable !== undefined) return structCodec(stable)
  if (btf !== undefined && takesRegisters(btf, program)) return REGISTERS
  throw new BpfError('NO_BTF', `program '${program}': nothing tells what its context looks like`, {
    hint: 'Give ctx as a Uint8Array; or compile the program with -g, with its context as `struct name *`',
  })
}

function structCodec(codec: Codec): ContextCodec {
  return {
    encode(value) {
      if (Array.isArray(value)) {
        throw new BpfError('BAD_VALUE', `ctx: a ${codec.typeName} is an object with its members, or bytes`)
      }
      const bytes = new Uint8Array(codec.size)
      codec.encode(value, bytes)
      return bytes
    },
    decode(bytes) {
      if (bytes.length >= codec.size) return codec.decode(bytes)
      // A kernel that is older than the types knows fewer members.
      const padded = new Uint8Array(codec.size)
      padded.set(bytes)
      return codec.decode(padded)
    },
  }
}

const REGISTERS: ContextCodec = {
  encode(value) {
    if (!Array.isArray(value))
      throw new BpfError('BAD_VALUE', 'ctx: arguments are an array of numbers and bigints')
    const bytes = new Uint8Array(value.length * ARGUMENT_SIZE)
    const view = new DataView(bytes.buffer)
    value.forEach((argument: unknown, i) => {
      if (typeof argument !== 'bigint' && !Number.isSafeInteger(argument)) {
        throw new BpfError('BAD_VALUE', `ctx[${i}] is an integer or a bigint, not ${String(argument)}`)
      }
      view.setBigUint64(i * ARGUMENT_SIZE, BigInt.asUintN(64, BigInt(argument as number | bigint)), true)
    })
    return bytes
  },
  decode: (bytes) => Array.from(new BigUint64Array(bytes.slice().buffer)),
}

/** The type that the program's only parameter points to. */
function target(btf: Btf, program: string): TypeId | undefined {
  const func = findType(btf, program, 'func')?.type
  const prototype = func && typeById(btf, func.type)
  const parameter = prototype?.kind === 'func_proto' ? prototype.params[0] : undefined
  const pointer = parameter && resolveType(btf, parameter.type)
  return pointer?.kind === 'ptr' ? skipModifiers(btf, pointer.type) : undefined
}

function ownContext(btf: Btf, program: string): Codec | undefined {
  const id = target(btf, program)
  return id !== undefined && typeById(btf, id).kind === 'struct' ? createCodec(btf, id) : undefined
}

function takesRegisters(btf: Btf, program: string): boolean {
  const id = target(btf, program)
  const type = id === undefined ? undefined : typeById(btf, id)
  return type?.kind === 'int' && type.size === ARGUMENT_SIZE
}
