/** Global data: each `.rodata`, `.data` and `.bss` section is a map of one value. */
import type { Btf } from '../btf/types.js'
import { SHT } from '../elf/types.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE } from '../linux/map-types.js'
import { dataKind, findDataSection, variablesOf } from './context.js'
import type { DataSection, ObjectContext } from './context.js'
import type { GlobalData, MapDefinition, Variable } from './types.js'

const VAR_STATIC = 0

export function readDataMaps({ elf, btf }: ObjectContext): readonly MapDefinition[] {
  return elf.sections.flatMap((section) => {
    const kind = dataKind(section)
    if (kind === undefined) return []
    const initial = section.type === SHT.NOBITS ? new Uint8Array(section.size) : section.data
    return [dataMap(section.name, kind, initial, btf)]
  })
}

/** The map of a section of global data. */
export function dataMap(
  name: string,
  kind: GlobalData['kind'],
  initial: Uint8Array,
  btf: Btf | undefined,
): MapDefinition {
  const described = findDataSection(btf, name)
  const readOnly = kind === 'rodata' || kind === 'kconfig' ? BPF_MAP_FLAGS.BPF_F_RDONLY_PROG : 0
  const mappable = btf !== undefined && described !== undefined && isMappable(btf, described.type)
  return {
    name,
    type: BPF_MAP_TYPE.ARRAY,
    keySize: 4,
    valueSize: initial.length,
    maxEntries: 1,
    flags: readOnly | (mappable ? BPF_MAP_FLAGS.BPF_F_MMAPABLE : 0),
    pinning: 0,
    mapExtra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: described?.id,
    inner: undefined,
    slots: [],
    data: {
      kind,
      initial,
      variables: btf === undefined || described === undefined ? [] : readVariables(btf, described.type),
    },
  }
}

/** As in libbpf: only if there is something in it that user space can have a name for. */
function isMappable(btf: Btf, section: DataSection): boolean {
  return variablesOf(btf, section).some((variable) => variable.linkage !== VAR_STATIC)
}

function readVariables(btf: Btf, section: DataSection): readonly Variable[] {
  return variablesOf(btf, section).map(({ name, valueType, offset, size }) => ({
    name,
    type: valueType,
    offset,
    size,
  }))
}
