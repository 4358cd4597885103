/**
 * A small object with one of each: two programs in one section, sub-programs, three kinds of maps, global data, externs,
 * BTF, line information and a CO-RE relocation. As clang lays it out: DATASECs of size 0, static symbols by section.
 */
import { BtfBuilder } from '../../lib/btf/builder.js'
import { R_BPF, SHF, SHT, STB, STT } from '../../lib/elf/types.js'
import { ElfBuilder, instructions } from './elf-builder.js'

const LDDW = 0x18
const CALL = 0x85
const EXIT = [0x95, 0, 0, 0] as const
const SECOND = [0, 0, 0, 0] as const
const MOV0 = [0xb7, 0, 0, 0] as const

export interface SampleOptions {
  /** Compiled without -g. */
  readonly withoutBtf?: boolean
  /** Fields of the map `counts` in place of the usual ones: name and number for __uint. */
  readonly fields?: readonly (readonly [string, number])[]
  /** Linkage of the map variables; 0: static. */
  readonly mapLinkage?: number
  /** Section of the programs. */
  readonly section?: string
  /** Last word before the object is written. */
  readonly extend?: (elf: ElfBuilder) => void
}

export function sampleObject(options: SampleOptions = {}): Uint8Array {
  const elf = new ElfBuilder()
  elf.section({ name: 'license', data: new TextEncoder().encode('GPL\0') })
  const text = elf.code(
    '.text',
    instructions(
      // static int twice(…): reads a static variable through the section symbol of .bss
      [LDDW, 1, 0, 4],
      SECOND,
      EXIT,
      // int shared(…): calls twice() without a relocation
      [CALL, 0x10, 0, -4],
      EXIT,
    ),
  )
  const section = options.section ?? 'tp_btf/sched_process_exec'
  const programs = elf.code(
    section,
    instructions(
      [LDDW, 1, 0, 0],
      SECOND,
      [LDDW, 2, 0, 0],
      SECOND,
      [CALL, 0x10, 0, -1],
      [CALL, 0x10, 0, -1],
      [LDDW, 3, 0, 0],
      SECOND,
      EXIT,
      // the second program
      [CALL, 0x10, 0, 2],
      [CALL, 0x10, 0, -1],
      [LDDW, 0x42, 0, 0],
      SECOND,
      MOV0,
      EXIT,
    ),
  )
  const rodata = elf.section({ name: '.rodata', data: Uint8Array.of(7, 0, 0, 0, 104, 105, 0, 0) })
  const bss = elf.section({ name: '.bss', type: SHT.NOBITS, flags: SHF.ALLOC | SHF.WRITE, size: 8 })
  const maps = elf.section({ name: '.maps', flags: SHF.ALLOC | SHF.WRITE, data: new Uint8Array(88) })

  const textSymbol = elf.symbol({ name: '', section: text, type: STT.SECTION, binding: STB.LOCAL })
  const bssSymbol = elf.symbol({ name: '', section: bss, type: STT.SECTION, binding: STB.LOCAL })
  elf.function('twice', text, 0, 24, STB.LOCAL)
  const shared = elf.function('shared', text, 24, 16)
  elf.function('first', programs, 0, 72)
  elf.function('second', programs, 72, 48)
  const variable = (name: string, owner: number, value: number, size: number): number =>
    elf.symbol({ name, section: owner, value, size, type: STT.OBJECT })
  const counts = variable('counts', maps, 0, 32)
  const inner = variable('inner', maps, 32, 24)
  variable('outer', maps, 56, 32)
  const limit = variable('limit', rodata, 0, 4)
  variable('total', bss, 0, 4)
  const kfunc = elf.symbol({ name: 'bpf_do' })
  const config = elf.symbol({ name: 'CONFIG_HZ', binding: STB.WEAK })

  elf.relocate(text, { offset: 0, symbol: bssSymbol })
  elf.relocate(programs, { offset: 0, symbol: counts })
  elf.relocate(programs, { offset: 16, symbol: limit })
  elf.relocate(programs, { offset: 32, symbol: shared, type: R_BPF.R_64_32 })
  elf.relocate(programs, { offset: 40, symbol: kfunc, type: R_BPF.R_64_32 })
  elf.relocate(programs, { offset: 48, symbol: config })
  elf.relocate(programs, { offset: 72, symbol: textSymbol, type: R_BPF.R_64_32 })
  elf.relocate(programs, { offset: 80, symbol: textSymbol, type: R_BPF.R_64_32 })
  elf.relocate(programs, { offset: 88, symbol: textSymbol })
  elf.relocate(maps, { offset: 80, symbol: inner, type: R_BPF.R_64_ABS64 })

  if (options.withoutBtf !== true) addTypes(elf, section, options)
  options.extend?.(elf)
  return elf.finish()
}

const STATIC_OFFSETS: Readonly<Record<string, number>> = { counts: 0, inner: 32, outer: 56 }

function addTypes(elf: ElfBuilder, section: string, options: SampleOptions): void {
  const btf = new BtfBuilder()
  const int = btf.int('int', 4, { signed: true })
  const u32 = btf.int('unsigned int', 4)
  const u64 = btf.int('unsigned long long', 8)
  const event = btf.struct('event', [['pid', u32, 0], ['ts', u64, 8]], 16) // prettier-ignore
  const uint = (value: number): number => btf.ptr(btf.array(int, value))
  const fields = (options.fields ?? [['type', 1], ['max_entries', 64]]).map(([name, value]) => [name, uint(value)] as const) // prettier-ignore
  const define = (name: string, members: readonly (readonly [string, number])[], size: number): number =>
    btf.struct(
      name,
      members.map(([member, type], i) => [member, type, i * 8] as const),
      size,
    )
  const counts = define(
    '',
    [...fields, ['key', btf.ptr(u32)], ['value', btf.ptr(event)]],
    8 * (fields.length + 2),
  )
  const inner = define('inner_map', [['type', uint(2)], ['max_entries', uint(1)], ['key', btf.ptr(u32)]], 24) // prettier-ignore
  const outer = define('', [['type', uint(12)], ['max_entries', uint(4)], ['key', btf.ptr(u32)], ['values', btf.array(btf.ptr(inner), 0, int)]], 24) // prettier-ignore
  const linkage = options.mapLinkage ?? 1
  const variables = (name: string, list: readonly (readonly [string, number, number, number])[]): void => {
    const ids = list.map(([variable, type, size, link]) => ({
      type: btf.add({ kind: 'var', name: variable, type, linkage: link }),
      // Of static variables a compiler knows the offset itself.
      offset: link === 0 ? (STATIC_OFFSETS[variable] ?? 0) : 0,
      size,
    }))
    btf.add({ kind: 'datasec', name, size: 0, variables: ids })
  }
  variables('.maps', [['outer', outer, 32, linkage], ['counts', counts, 32, linkage], ['inner', inner, 24, linkage]]) // prettier-ignore
  variables('.rodata', [['limit', btf.add({ kind: 'const', type: u32 }), 4, 1]])
  variables('.bss', [['total', u32, 4, 1]])
  variables('.kconfig', [['CONFIG_HZ', u32, 4, 2]])
  const proto = btf.add({ kind: 'func_proto', type: int, params: [] })
  const kfunc = btf.add({ kind: 'func', name: 'bpf_do', type: proto, linkage: 2 })
  btf.add({ kind: 'datasec', name: '.ksyms', size: 0, variables: [{ type: kfunc, offset: 0, size: 0 }] })
  const first = btf.add({ kind: 'func', name: 'first', type: proto, linkage: 1 })
  const second = btf.add({ kind: 'func', name: 'second', type: proto, linkage: 1 })

  const name = btf.string(section)
  const file = btf.string('/src/sample.bpf.c')
  const line = (at: number, text: string, number: number, column: number): readonly number[] => [
    at,
    file,
    btf.string(text),
    (number << 10) | column,
  ]
  const functions = [8, name, 2, 0, first, 72, second]
  const lines = [16, name, 2, ...line(0, 'int first(void)', 10, 3), ...line(72, 'int second(void)', 20, 5)]
  const core = [16, name, 1, 88, event, btf.string('0:1'), 0]
  const ext = [0xeb9f | (1 << 16), 32, 0, functions.length * 4, functions.length * 4, lines.length * 4]
  ext.push((functions.length + lines.length) * 4, core.length * 4, ...functions, ...lines, ...core)
  elf.section({ name: '.BTF', flags: 0, data: btf.finish() })
  elf.section({ name: '.BTF.ext', flags: 0, data: new Uint8Array(Uint32Array.from(ext).buffer) })
}
