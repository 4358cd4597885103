/** The context of a raw tracepoint: its arguments, 64 bits each. */
import { BpfError } from '../../errors.js'
import { describe } from '../describe.js'
import { Access, KERNEL_HI } from '../memory.js'
import type { Machine } from '../machine.js'
import { KernelStruct, type FieldValues } from './kernel-struct.js'
import type { ObjectSpace } from './layout.js'
import { Task } from './task.js'
import { argumentKind, type TracepointArgument } from './tracepoints.js'

/**
 * The value of an argument. For a pointer to a struct: a task, a {@link KernelStruct}, or values by member of one that is made up for the
 * occasion; `null`; or the address itself.
 */
export type ArgumentValue = number | bigint | boolean | string | null | Task | KernelStruct | FieldValues

/** Values in order, or by name. What isn't given is 0. */
export type TracepointArguments = readonly ArgumentValue[] | Readonly<Record<string, ArgumentValue>>

/** An argument that isn't bytes yet: pointers differ between target types. */
export type PreparedArgument =
  { readonly bits: bigint } | { readonly struct: KernelStruct } | { readonly text: string }

/** @throws BpfError `BAD_VALUE` for unknown names, too many values, or a value that doesn't fit its type */
export function prepareArguments(
  machine: Machine,
  tracepoint: string,
  args: readonly TracepointArgument[],
  values: TracepointArguments,
): readonly PreparedArgument[] {
  if (typeof values !== 'object' || values === null)
    throw new BpfError(
      'BAD_VALUE',
      `tracepoint '${tracepoint}' takes its arguments in an array or by name (${signature(args)}), not ${describe(values)}`,
    )
  const list = Array.isArray(values)
    ? (values as readonly ArgumentValue[])
    : byName(tracepoint, args, values as Readonly<Record<string, ArgumentValue>>)
  if (list.length > args.length) {
    throw new BpfError(
      'BAD_VALUE',
      `tracepoint '${tracepoint}' has ${args.length} arguments (${signature(args)}), not ${list.length}`,
    )
  }
  return args.map((argument, i) => prepare(machine, tracepoint, argument, list[i] ?? null))
}

function byName(
  tracepoint: string,
  args: readonly TracepointArgument[],
  values: Readonly<Record<string, ArgumentValue>>,
): readonly ArgumentValue[] {
  for (const name of Object.keys(values)) {
    if (args.some((argument) => argument.name === name)) continue
    throw new BpfError('BAD_VALUE', `tracepoint '${tracepoint}' has no argument '${name}'`, {
      hint: `It has (${signature(args)})`,
    })
  }
  return args.map(({ name }) => values[name] ?? null)
}

function prepare(
  machine: Machine,
  tracepoint: string,
  { name, type }: TracepointArgument,
  value: ArgumentValue,
): PreparedArgument {
  const kind = argumentKind(type)
  if (value === null) return { bits: 0n }
  if (
    typeof value === 'bigint' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isInteger(value))
  ) {
    // As in Linux, a scalar comes without its sign: the kernel widens it from an unsigned type of its size.
    return { bits: BigInt.asUintN(kind.kind === 'scalar' ? kind.bytes * 8 : 64, BigInt(value)) }
  }
  if (kind.kind === 'pointer') {
    if (typeof value === 'string') return { text: value }
    if (value instanceof Task) return { struct: value.struct }
    if (value instanceof KernelStruct) return { struct: value }
    if (typeof value === 'object' && kind.struct !== '')
      return { struct: new KernelStruct(kind.struct, value, machine.changes, 'test') }
  }
  throw new BpfError(
    'BAD_VALUE',
    `tracepoint '${tracepoint}': argument ${name} is a ${type}, not ${typeof value === 'object' ? 'an object' : String(value)}`,
  )
}

function signature(args: readonly TracepointArgument[]): string {
  return args.map(({ name, type }) => `${type}${type.endsWith('*') ? '' : ' '}${name}`).join(', ')
}

/** Runs something with the arguments laid out as one space's programs see them, read-only. */
export function withContext<T>(
  machine: Machine,
  space: ObjectSpace,
  args: readonly PreparedArgument[],
  run: (context: number) => T,
): T {
  const { memory } = machine
  const texts: number[] = []
  const placed = args.map((argument) => {
    if ('bits' in argument) return argument.bits
    const low =
      'struct' in argument ? space.addressOf(argument.struct) : placeText(machine, argument.text, texts)
    return (BigInt(KERNEL_HI >>> 0) << 32n) | BigInt(low)
  })
  const context = memory.alloc(8 * args.length, Access.read, 16, 'context')
  try {
    placed.forEach((bits, i) => memory.view.setBigUint64(context + 8 * i, bits, true))
    return run(context)
  } finally {
    memory.free(context)
    for (const text of texts) memory.free(text)
  }
}

function placeText({ memory }: Machine, text: string, texts: number[]): number {
  const bytes = new TextEncoder().encode(`${text}\0`)
  const address = memory.alloc(bytes.length, Access.read, 8, 'string')
  memory.u8.set(bytes, address)
  texts.push(address)
  return address
}
