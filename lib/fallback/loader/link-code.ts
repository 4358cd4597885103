/**
 * Makes one program of an entry function and the sub-programs that it reaches, as libbpf does: each is appended once, and calls are
 * turned to where it ended up.
 */
import { BpfError } from '../../errors.js'
import { SLOT } from '../../isa/instruction.js'
import { OP, PSEUDO_LDDW } from '../../isa/opcodes.js'
import type {
  CodeSection,
  CoreRelocation,
  FuncInfo,
  FunctionSymbol,
  LineInfo,
  ObjectFile,
  ProgramDefinition,
  RelocationTarget,
} from '../../object-file/types.js'
import { exceptionCallbackNames } from '../verifier/function-types.js'

/** A relocation of the linked code: everything but functions, which are settled. */
export interface PendingRelocation {
  /** Of the instruction, in the linked code. */
  readonly offset: number
  readonly target: Exclude<RelocationTarget, { kind: 'function' }>
}

export interface LinkedCode {
  readonly code: Uint8Array
  readonly functions: readonly { readonly name: string; readonly start: number }[]
  readonly lines: readonly LineInfo[]
  /** Types of the functions, in the object's BTF. */
  readonly funcInfo: readonly FuncInfo[]
  readonly relocations: readonly PendingRelocation[]
  readonly coreRelocations: readonly CoreRelocation[]
  /** The kernel's functions that are called, by slot: found as relocations are followed. */
  readonly kfuncs: Map<number, string>
}

interface Part {
  readonly section: CodeSection
  readonly name: string
  /** Bytes of the section that were taken, and where they went. */
  readonly from: number
  readonly size: number
  readonly to: number
}

/** @throws BpfError `BAD_OBJECT` for a call to what is no function */
export function linkCode(file: ObjectFile, program: ProgramDefinition): LinkedCode {
  const { code: entry } = program
  const parts: Part[] = [{ section: entry, name: program.name, from: 0, size: entry.code.length, to: 0 }]
  const calls: { readonly at: number; readonly to: Part }[] = []
  const relocations: PendingRelocation[] = []
  let size = entry.code.length

  const partOf = (target: { readonly section: string; readonly offset: number }): Part => {
    const { section, symbol } = findFunction(file, program, target)
    const known = parts.find((part) => part.section === section && part.from === symbol.offset)
    if (known !== undefined) return known
    const part = { section, name: symbol.name, from: symbol.offset, size: symbol.size, to: size }
    size += symbol.size
    parts.push(part)
    return part
  }

  let followed = 0
  // `parts` grows while it is walked.
  const follow = (): void => {
    for (let part = parts[followed]; part !== undefined; part = parts[++followed]) {
      for (const { offset, target } of part.section.relocations) {
        if (offset < part.from || offset >= part.from + part.size) continue
        const at = offset - part.from + part.to
        if (target.kind === 'function') calls.push({ at, to: partOf(target) })
        else relocations.push({ offset: at, target })
      }
    }
  }
  follow()
  // What exceptions run, nothing calls.
  for (const target of exceptionCallbacksOf(file, entry)) partOf(target)
  follow()

  const code = new Uint8Array(size)
  for (const { section, from, size, to } of parts) code.set(section.code.subarray(from, from + size), to)
  const view = new DataView(code.buffer)
  for (const { at, to } of calls) {
    view.setInt32(at + 4, (to.to - at) / SLOT - 1, true)
    if (view.getUint8(at) !== OP.LDDW) continue
    // The compiler leaves it to the loader to say that this is the address of a function.
    view.setUint8(at + 1, (view.getUint8(at + 1) & 0x0f) | (PSEUDO_LDDW.FUNC << 4))
    view.setInt32(at + SLOT + 4, 0, true)
  }
  return {
    code,
    functions: parts.map(({ name, to }) => ({ name, start: to / SLOT })),
    lines: parts.flatMap((part) => moved(part, part.section.lines)),
    funcInfo: parts.flatMap((part) => moved(part, part.section.funcInfo)),
    relocations: relocations.sort((a, b) => a.offset - b.offset),
    coreRelocations: parts.flatMap((part) => moved(part, part.section.coreRelocations)),
    kfuncs: new Map(),
  }
}

function moved<T extends { readonly offset: number }>({ from, size, to }: Part, items: readonly T[]): T[] {
  return items
    .filter(({ offset }) => offset >= from && offset < from + size)
    .map((item) => ({ ...item, offset: item.offset - from + to }))
}

interface FoundFunction {
  readonly section: CodeSection
  readonly symbol: FunctionSymbol
}

/** Functions that declaration tags of the program name. */
function exceptionCallbacksOf(
  { btf, text }: ObjectFile,
  { funcInfo }: CodeSection,
): readonly { readonly section: string; readonly offset: number }[] {
  const main = funcInfo.find(({ offset }) => offset === 0)?.type
  if (btf === undefined || text === undefined || main === undefined) return []
  const names = exceptionCallbackNames(btf, main)
  return text.functions.flatMap(({ name, offset }) =>
    names.includes(name) ? [{ section: text.name, offset }] : [],
  )
}

/** Only functions of `.text` are called: those of other sections are programs. */
function findFunction(
  { text }: ObjectFile,
  program: ProgramDefinition,
  { section, offset }: { readonly section: string; readonly offset: number },
): FoundFunction {
  const symbol = text?.name === section ? text.functions.find((known) => known.offset === offset) : undefined
  if (text !== undefined && symbol !== undefined) return { section: text, symbol }
  throw new BpfError(
    'BAD_OBJECT',
    `program '${program.name}' refers to a function at byte ${offset} of section '${section}', where none starts`,
  )
}
