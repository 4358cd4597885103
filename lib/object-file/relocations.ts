/**
 * Resolves relocations of code to what they mean: a map, global data, a function, an extern.
 *
 * Source: Documentation/bpf/llvm_reloc.rst of the Linux kernel; opcodes, RFC 9669.
 */
import { SHN, STB, STT } from '../elf/types.js'
import type { ElfRelocation, ElfSection, ElfSymbol } from '../elf/types.js'
import { R_BPF } from '../elf/types.js'
import { unsupported } from '../errors.js'
import { badObject, dataKind, INSTRUCTION_SIZE, isCode, viewOf } from './context.js'
import type { ObjectContext } from './context.js'
import { isExtern } from './externs.js'
import { mapVariables } from './maps.js'
import type { ExternDefinition, FunctionSymbol, Relocation, RelocationTarget } from './types.js'

const TEXT = '.text'
const LDDW = 0x18
const CALL = 0x85
/** `src_reg` of a call of a function of the same program, and of an LDDW of a function's address. */
const PSEUDO_CALL = 1
const PSEUDO_FUNC = 4

interface Instruction {
  readonly opcode: number
  readonly source: number
  readonly imm: number
}

/** By section index; each list by ascending offset. */
export type FunctionsBySection = ReadonlyMap<number, readonly FunctionSymbol[]>

export class RelocationReader {
  readonly #context: ObjectContext
  /** Where functions start, by section index. */
  readonly #functions: ReadonlyMap<number, ReadonlySet<number>>
  readonly #externs: ReadonlyMap<string, ExternDefinition>
  /** Names of the maps of `.maps`, by offset in it. */
  readonly #maps: ReadonlyMap<number, string>

  constructor(context: ObjectContext, externs: readonly ExternDefinition[], functions: FunctionsBySection) {
    this.#context = context
    this.#functions = new Map(
      [...functions].map(([section, symbols]) => [section, new Set(symbols.map((symbol) => symbol.offset))]),
    )
    this.#externs = new Map(externs.map((extern) => [extern.name, extern]))
    const variables = context.btf === undefined ? [] : mapVariables(context.btf)
    this.#maps = new Map(variables.map((variable) => [variable.offset, variable.name]))
  }

  /** All relocations of a section by ascending offset, calls that the compiler has resolved itself included. */
  read(section: ElfSection): readonly Relocation[] {
    const view = viewOf(section.data)
    const relocations = new Map<number, Relocation>()
    for (const relocation of section.relocations) {
      const { offset } = relocation
      if (relocations.has(offset)) throw badObject(`${where(section, offset)} has two relocations`)
      if (offset % INSTRUCTION_SIZE !== 0)
        throw badObject(`${where(section, offset)}: a relocation points into it`)
      relocations.set(offset, { offset, target: this.#resolve(section, view, relocation) })
    }
    this.#addResolvedCalls(section, view, relocations)
    return [...relocations.values()].sort((a, b) => a.offset - b.offset)
  }

  #resolve(section: ElfSection, view: DataView, { offset, type, symbol }: ElfRelocation): RelocationTarget {
    const at = where(section, offset)
    const instruction = readInstruction(view, offset)
    const isCall = instruction.opcode === CALL
    if (isCall ? type !== R_BPF.R_64_32 : type !== R_BPF.R_64_64) {
      throw badObject(`${at}: relocation type ${type} does not fit the instruction`)
    }
    if (!isCall) checkLddw(view, section, offset)
    if (isExtern(symbol)) return this.#extern(symbol, isCall, at)
    const target = this.#context.elf.sections[symbol.section]
    if (symbol.section === SHN.UNDEF || symbol.section >= SHN.LORESERVE || target === undefined) {
      throw badObject(`${at} refers to symbol '${symbol.name}', which is in no section`)
    }
    if (isCall) return this.#call(symbol, target, instruction, at)
    if (isCode(target)) return this.#functionAddress(symbol, target, instruction, at)
    if (target.name === '.maps') return this.#map(symbol, instruction, at)
    return data(symbol, target, instruction, at)
  }

  #extern(symbol: ElfSymbol, isCall: boolean, at: string): RelocationTarget {
    const extern = this.#externs.get(symbol.name)
    if (extern === undefined) throw badObject(`${at} refers to '${symbol.name}', which is undefined`)
    if (isCall && extern.kind !== 'kfunc')
      throw badObject(`${at} calls '${symbol.name}', which is no function`)
    return { kind: 'extern', name: symbol.name }
  }

  #call(symbol: ElfSymbol, target: ElfSection, { source, imm }: Instruction, at: string): RelocationTarget {
    if (source !== PSEUDO_CALL) throw badObject(`${at} is a call with a relocation, but not of a function`)
    // A global function is named by a symbol, with an immediate of -1; a static one by its offset in the section.
    const offset = symbol.value + (imm + 1) * INSTRUCTION_SIZE
    return this.#functionAt(target, offset, at)
  }

  #functionAddress(
    symbol: ElfSymbol,
    target: ElfSection,
    { imm }: Instruction,
    at: string,
  ): RelocationTarget {
    // Static functions are referred to by their section: libbpf knows no other form.
    const isFunction = symbol.type === STT.FUNC && symbol.binding !== STB.LOCAL
    if (!isFunction && symbol.type !== STT.SECTION) {
      throw badObject(`${at} refers to symbol '${symbol.name}' in code, which is no global function`)
    }
    return this.#functionAt(target, symbol.value + imm, at)
  }

  #functionAt(target: ElfSection, offset: number, at: string): RelocationTarget {
    if (target.name !== TEXT) {
      throw badObject(
        `${at} refers to a function in section '${target.name}'`,
        'Programs can only call functions without SEC(); move what is shared into one',
      )
    }
    if (this.#functions.get(target.index)?.has(offset) !== true)
      throw badObject(`${at} refers to offset ${offset} of '${target.name}', where no function starts`)
    return { kind: 'function', section: target.name, offset }
  }

  #map(symbol: ElfSymbol, { imm }: Instruction, at: string): RelocationTarget {
    const map = this.#maps.get(symbol.value)
    if (map === undefined || imm !== 0 || symbol.type === STT.SECTION) {
      throw badObject(`${at} refers to offset ${symbol.value + imm} of '.maps', where no map is`)
    }
    return { kind: 'map', map }
  }

  /** Calls within a section need no relocation, for a linker moves sections as a whole. */
  #addResolvedCalls(section: ElfSection, view: DataView, relocations: Map<number, Relocation>): void {
    for (let offset = 0; offset < section.size; offset += INSTRUCTION_SIZE) {
      const { opcode, source, imm } = readInstruction(view, offset)
      if (opcode === CALL && source === PSEUDO_CALL && !relocations.has(offset)) {
        const target = this.#functionAt(
          section,
          offset + (imm + 1) * INSTRUCTION_SIZE,
          where(section, offset),
        )
        relocations.set(offset, { offset, target })
      }
      if (opcode !== LDDW) continue
      if (source === PSEUDO_FUNC && !relocations.has(offset)) {
        throw badObject(`${where(section, offset)} takes the address of a function, but has no relocation`)
      }
      offset += INSTRUCTION_SIZE
    }
  }
}

function where(section: ElfSection, offset: number): string {
  return `Instruction ${Math.floor(offset / INSTRUCTION_SIZE)} of section '${section.name}'`
}

function readInstruction(view: DataView, offset: number): Instruction {
  return {
    opcode: view.getUint8(offset),
    source: view.getUint8(offset + 1) >> 4,
    imm: view.getInt32(offset + 4, true),
  }
}

function checkLddw(view: DataView, section: ElfSection, offset: number): void {
  const at = where(section, offset)
  if (view.getUint8(offset) !== LDDW)
    throw badObject(`${at} has a relocation, but is neither a call nor an LDDW`)
  const second = offset + INSTRUCTION_SIZE
  if (second >= section.size || view.getUint8(second) !== 0) throw badObject(`${at} is half an LDDW`)
}

function data(symbol: ElfSymbol, target: ElfSection, { imm }: Instruction, at: string): RelocationTarget {
  if (target.name.startsWith('.addr_space.'))
    throw unsupported(`variables in an arena (section '${target.name}')`)
  if (dataKind(target) === undefined) {
    throw badObject(
      `${at} refers to section '${target.name}', which is neither code, nor maps, nor global data`,
      'Variables belong into .data, .rodata or .bss, or into sections whose names start with one of these and a dot',
    )
  }
  const offset = symbol.value + imm
  if (offset < 0 || offset >= target.size) {
    throw badObject(`${at} refers to offset ${offset} of '${target.name}', which has ${target.size} bytes`)
  }
  return { kind: 'data', map: target.name, offset }
}
