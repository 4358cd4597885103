/** `libbpf-node privileges OBJ`: what of an object loads and attaches here, and what to grant. */
import { Command } from 'commander'
import { explainPrivileges, type Explanation, type PrivilegeReport } from '../explain-privileges.js'
import { print, type OutputOptions } from './output.js'
import { section } from './table.js'

export function privilegesCommand(): Command {
  return new Command('privileges')
    .description("says which of an object's programs and maps load here, and what to grant for the others")
    .argument('<object>', 'a compiled BPF object (*.bpf.o)')
    .option('-j, --json', 'as one JSON object')
    .action((path: string, options: OutputOptions) => {
      const report = explainPrivileges(path)
      print(report, () => asText(report), options)
    })
}

function asText({ programs, maps, needs, missing, grant, obstacles }: PrivilegeReport): string {
  const head = ['name', 'type', 'loads', 'attaches', '']
  return [
    section('Programs', head, programs.map(row)),
    section('Maps', head, maps.map(row)),
    `Needs ${needs.join(', ') || 'no capabilities'}; ${missing.length === 0 ? 'nothing is missing' : `missing: ${missing.join(', ')}`}\n`,
    ...(missing.length === 0
      ? []
      : [
          `setcap      ${grant.setcap}\n`,
          `docker      ${grant.docker}\n`,
          `systemd\n${indented(grant.systemd)}`,
          `Kubernetes\n${indented(grant.kubernetes)}`,
        ]),
    ...(obstacles.length === 0
      ? []
      : [
          `Besides capabilities\n${obstacles.map(({ holds, remedy }) => `  ${holds.because ?? ''}\n    ${remedy}\n`).join('')}`,
        ]),
  ]
    .filter((part) => part !== '')
    .join('\n')
}

function row({ name, type, loads, attaches }: Explanation): readonly string[] {
  return [name, type, loads.answer, attaches?.answer ?? '-', loads.because ?? attaches?.because ?? '']
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ')
}
