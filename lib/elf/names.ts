/** Names for numbers of the ELF header, for messages. */

/** e_machine of what people take for a BPF object by mistake; 247 is BPF. Source: the gABI's e_machine register. */
const MACHINES: Readonly<Record<number, string>> = {
  0: 'no machine',
  2: 'SPARC',
  3: 'x86 (32-bit)',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC64',
  22: 's390',
  40: 'ARM (32-bit)',
  43: 'SPARC64',
  62: 'x86-64',
  83: 'AVR',
  94: 'Xtensa',
  183: 'AArch64',
  190: 'NVIDIA CUDA',
  224: 'AMD GPU',
  243: 'RISC-V',
  247: 'BPF',
  252: 'C-SKY',
  258: 'LoongArch',
}

const FILE_TYPES: Readonly<Record<number, string>> = {
  0: 'no file type',
  1: 'a relocatable object',
  2: 'an executable',
  3: 'a shared object',
  4: 'a core dump',
}

/** What e_machine means, for people. */
export function machineName(machine: number): string {
  return MACHINES[machine] ?? `machine ${machine}`
}

/** What e_type means, for people. */
export function fileTypeName(type: number): string {
  return FILE_TYPES[type] ?? `ELF type ${type}`
}
