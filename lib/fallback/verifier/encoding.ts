/** Instructions that are none, and references of LDDW to maps: checked before anything is simulated. */
import { CLASS, OP, opcodeInfo, PSEUDO_LDDW } from '../../isa/opcodes.js'
import { BPF_MAP_TYPE } from '../../linux/map-types.js'
import type { Code } from './code.js'
import type { VerifierMap, VerifierProgram } from './program.js'
import { E2BIG, EBUSY, EINVAL, invalid, malformed, Rejection, Unmodelled } from './rejection.js'
import { checkMapForProgram } from './map-compatibility.js'

/** Maps that a program may use. */
const MAX_MAPS = 64
/** BPF_MAX_VAR_OFF: no constant offset is as large. */
const MAX_OFFSET = 1 << 29
const MEM = 0x60
const MEMSX = 0x80

export function checkEncodings(code: Code, program: VerifierProgram): void {
  const maps = new Set<VerifierMap>()
  for (let slot = 0; slot < code.length; slot++) {
    const opcode = code.opcodeAt(slot)
    const mode = opcode & 0xe0
    if ((opcode & 7) === CLASS.LDX && ((mode !== MEM && mode !== MEMSX) || code.imm[slot] !== 0))
      malformed(slot, 'BPF_LDX uses reserved fields')
    if (opcode !== OP.LDDW) {
      if (opcodeInfo(opcode) === undefined)
        malformed(slot, `unknown opcode ${opcode.toString(16).padStart(2, '0')}`)
      continue
    }
    checkWide(code, program, slot)
    const reference = program.mapReferences.get(slot)
    if (reference !== undefined) {
      const { map } = reference
      const isSecondArena =
        map.type === BPF_MAP_TYPE.ARENA && [...maps].some((one) => one !== map && one.type === map.type)
      if (isSecondArena) throw new Rejection(EBUSY, 'Only one arena per program')
      checkMapForProgram(program, map)
      maps.add(map)
      if (maps.size > MAX_MAPS)
        throw new Rejection(
          E2BIG,
          `The total number of maps per program has reached the limit of ${MAX_MAPS}`,
        )
    }
    slot++
  }
}

function checkWide(code: Code, program: VerifierProgram, slot: number): void {
  const second = slot + 1
  const isMalformed =
    second >= code.length ||
    code.opcode[second] !== 0 ||
    code.dst[second] !== 0 ||
    code.src[second] !== 0 ||
    code.offset[second] !== 0
  if (isMalformed) malformed(slot, 'invalid bpf_ld_imm64 insn')
  switch (code.src[slot]) {
    case PSEUDO_LDDW.IMM:
    case PSEUDO_LDDW.FUNC:
      return
    case PSEUDO_LDDW.BTF_ID:
      if (program.symbols?.has(slot) === true) return
      throw new Unmodelled('kernel symbol (ksym)')
    case PSEUDO_LDDW.MAP_FD:
    case PSEUDO_LDDW.MAP_IDX:
      if (code.imm[second] !== 0) malformed(slot, 'unrecognized bpf_ld_imm64 insn')
      break
    case PSEUDO_LDDW.MAP_VALUE:
    case PSEUDO_LDDW.MAP_IDX_VALUE:
      break
    default:
      malformed(slot, 'unrecognized bpf_ld_imm64 insn')
  }
  const reference = program.mapReferences.get(slot)
  if (reference === undefined)
    throw new Rejection(EINVAL, `fd ${code.imm[slot]} is not pointing to valid bpf_map`)
  const { map, valueOffset } = reference
  if (valueOffset === undefined) return
  if (valueOffset >>> 0 >= MAX_OFFSET) invalid(`direct value offset of ${valueOffset >>> 0} is not allowed`)
  if (map.type === BPF_MAP_TYPE.ARENA) return
  if (map.type !== BPF_MAP_TYPE.ARRAY) invalid('no direct value access support for this map type')
  if (map.maxEntries !== 1 || valueOffset >>> 0 >= map.valueSize)
    invalid(`invalid access to map value pointer, value_size=${map.valueSize} off=${valueOffset >>> 0}`)
}
