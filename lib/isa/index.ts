/** libbpf-node/isa: BPF instructions as bytes, as data and as text. No kernel is needed. */
export { assemble } from './assemble.js'
export { disassemble, disassembleProgram } from './disassemble.js'
export { decode, encode } from './instruction.js'
export type { Instruction } from './instruction.js'
export { opcodeInfo } from './opcodes.js'
export type { OpcodeInfo, OpcodeKind } from './opcodes.js'
export { AssemblyError } from './scanner.js'
