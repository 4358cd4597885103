/** What a program's own code takes of a machine: helpers that kernel lockdown takes away, addresses that /proc/kallsyms may hide. */
import { typeById, resolveType } from './btf/query.js'
import type { ConditionName } from './linux/conditions.js'
import { helperCondition } from './linux/requirements.js'
import type { CodeSection, ObjectFile } from './object-file/types.js'

export interface OwnConditions {
  /** Without these it isn't loaded. */
  readonly toLoad: readonly ConditionName[]
  /** Without these it is loaded, and doesn't do what it was written for. */
  readonly toWork: readonly ConditionName[]
}

const INSTRUCTION_BYTES = 8
/** BPF_JMP | BPF_CALL, with source register 0: a helper, by its number. */
const CALL = 0x85

/** @param name of a program of the object */
export function programConditions(file: ObjectFile, name: string): OwnConditions {
  const code = file.programs.find((program) => program.name === name)?.code
  if (code === undefined) return { toLoad: [], toWork: [] }
  const callsFunctions = code.relocations.some(({ target }) => target.kind === 'function')
  // Which functions of .text it calls doesn't matter much: they are taken together.
  const sections = callsFunctions && file.text !== undefined ? [code, file.text] : [code]
  const toLoad = new Set(sections.flatMap(helpersOf).map(helperCondition))
  return {
    toLoad: [...toLoad].filter((one) => one !== undefined),
    toWork: sections.some((section) => takesAddresses(file, section)) ? ['kernel addresses'] : [],
  }
}

function helpersOf({ code }: CodeSection): readonly number[] {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength)
  const found: number[] = []
  for (let at = 0; at + INSTRUCTION_BYTES <= code.length; at += INSTRUCTION_BYTES) {
    if (code[at] === CALL && (code[at + 1] ?? 0) >> 4 === 0) found.push(view.getInt32(at + 4, true))
  }
  return found
}

/** `extern const void name __ksym`: of a variable without a type, libbpf looks the address up in /proc/kallsyms. */
function takesAddresses({ btf, externs }: ObjectFile, { relocations }: CodeSection): boolean {
  const names = new Set(relocations.flatMap(({ target }) => (target.kind === 'extern' ? [target.name] : [])))
  return externs.some(({ name, kind, type }) => {
    if (kind !== 'ksym' || btf === undefined || !names.has(name)) return false
    const variable = typeById(btf, type)
    return resolveType(btf, variable.kind === 'var' ? variable.type : type).kind === 'void'
  })
}
