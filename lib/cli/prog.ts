/** `libbpf-node prog …`: the programs of this machine. */
import { Command, InvalidArgumentError } from 'commander'
import { introspect } from '../introspection/introspection.js'
import type { ListedInstruction } from '../introspection/listing.js'
import type { ProgramFacts } from '../linux/object-info.js'
import { print, toId, type OutputOptions } from './output.js'
import { section } from './table.js'

export function progCommand(): Command {
  const id = (text: string): number => toId(text, InvalidArgumentError)
  return new Command('prog')
    .description('programs in the kernel')
    .addCommand(
      new Command('list')
        .description('every program: CAP_SYS_ADMIN')
        .option('-j, --json', "as JSON, under bpftool's names")
        .action((options: OutputOptions) => {
          const programs = introspect().programs()
          print(programs, () => programTable(programs) || 'No programs\n', options)
        }),
      { isDefault: true },
    )
    .addCommand(
      new Command('show')
        .description('one program')
        .argument('<id>', 'of the program', id)
        .option('-j, --json', "as JSON, under bpftool's names")
        .action((program: number, options: OutputOptions) => {
          const facts = introspect().program(program)
          print(facts, () => programTable([facts]), options)
        }),
    )
    .addCommand(
      new Command('dump')
        .description('instructions of a program, with functions and source lines')
        .argument('<id>', 'of the program', id)
        .option('-j, --json', "as JSON, under bpftool's names")
        .action((program: number, options: OutputOptions) => {
          const { xlated } = introspect().code(program)
          print(xlated ?? [], () => dump(xlated), options)
        }),
    )
}

function programTable(programs: readonly ProgramFacts[]): string {
  return section(
    'Programs',
    ['id', 'type', 'name', 'tag', 'uid', 'xlated', 'jited', 'maps', 'btf', 'runs', 'ns'],
    programs.map(
      ({ id, type, name, tag, uid, bytesXlated, bytesJited, mapIds, btfId, runCnt, runTimeNs }) => [
        id,
        type,
        name,
        tag,
        uid,
        bytesXlated,
        bytesJited,
        mapIds.join(','),
        btfId,
        Number(runCnt),
        Number(runTimeNs),
      ],
    ),
  )
}

function dump(xlated: readonly ListedInstruction[] | undefined): string {
  if (xlated === undefined)
    return 'The kernel hides the instructions from this process (net.core.bpf_jit_harden)\n'
  return xlated
    .flatMap(({ insn, disasm, function: start, source }) => [
      ...(start === undefined ? [] : [`${start.proto || start.name}:`]),
      ...(source === undefined
        ? []
        : [`; ${source.text} @ ${source.file.replace(/^.*\//, '')}:${source.line}`]),
      `${String(insn).padStart(4)}: ${disasm}`,
    ])
    .map((line) => `${line}\n`)
    .join('')
}
