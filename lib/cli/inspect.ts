/** `libbpf-node inspect OBJ`: what an object file holds, without a kernel. */
import { Command } from 'commander'
import { readObject } from '../read-object.js'
import { describeObject, type ObjectDescription } from './describe-object.js'
import { section } from './table.js'

export function inspectCommand(): Command {
  return new Command('inspect')
    .description("shows an object's programs, maps and global variables")
    .argument('<object>', 'a compiled BPF object (*.bpf.o)')
    .option('-j, --json', 'as one JSON object')
    .action((path: string, { json }: { readonly json?: true }) => {
      const description = describeObject(readObject(path))
      process.stdout.write(json ? `${JSON.stringify(description, null, 2)}\n` : asText(description))
    })
}

function asText(object: ObjectDescription): string {
  const { license, btf, programs, maps, globals, externs } = object
  const sections = [
    `license ${license || '(none)'}, ${btf ? 'with BTF' : 'without BTF'}\n`,
    section(
      'Programs',
      ['name', 'section', 'type', 'insns', 'CO-RE', ''],
      programs.map((program) => [
        program.name,
        program.section,
        program.type ?? '(unknown)',
        program.insns,
        program.coreRelocations,
        [program.autoload ? '' : 'not autoloaded', program.sleepable ? 'sleepable' : '']
          .filter(Boolean)
          .join(', '),
      ]),
    ),
    section(
      'Maps',
      ['name', 'type', 'key', 'value', 'max entries', 'flags'],
      maps.map((map) => [
        map.name,
        map.type,
        sized(map.keyType, map.keySize),
        sized(map.valueType, map.valueSize),
        map.maxEntries,
        map.flags.join(' | '),
      ]),
    ),
    section(
      'Globals',
      ['section', 'name', 'type', 'offset', 'size', 'initial value'],
      globals.map((variable) => [
        variable.section,
        variable.name,
        variable.type,
        variable.offset,
        variable.size,
        shortened(JSON.stringify(variable.value)),
      ]),
    ),
    section(
      'Externs',
      ['name', 'kind', ''],
      externs.map(({ name, kind, weak }) => [name, kind, weak ? 'weak' : '']),
    ),
  ]
  return sections.filter(Boolean).join('\n')
}

function sized(type: string | undefined, size: number): string {
  if (size === 0) return '-'
  return type === undefined ? `${size} B` : `${type} (${size} B)`
}

function shortened(text: string | undefined): string {
  if (text === undefined) return ''
  return text.length <= 40 ? text : `${text.slice(0, 39)}…`
}
