/** `libbpf-node features`: what this kernel and this process can do with BPF. */
import { Command } from 'commander'
import type { Answer } from '../features/answer.js'
import { features, type FeatureReport } from '../features/features.js'
import { print, type OutputOptions } from './output.js'
import { section, type Cell } from './table.js'

export function featuresCommand(): Command {
  return new Command('features')
    .description('what this kernel and this process can do: types, helpers, configuration, capabilities')
    .option('-j, --json', 'as JSON, with the reason of each answer')
    .action((options: OutputOptions) => {
      const report = features().report()
      print(report, () => asText(report), options)
    })
}

function asText({ system, programTypes, mapTypes, attachTypes, helpers }: FeatureReport): string {
  const { release, btf, config, sysctls, mounts, capabilities, security } = system
  return [
    `Linux ${release}, ${btf.answer === 'yes' ? 'with' : 'without'} BTF\n`,
    section(
      'Program types',
      ['', '', 'helpers', ''],
      answers(programTypes, (name) => helpers[name]?.length ?? ''),
    ),
    section('Map types', ['', '', '', ''], answers(mapTypes)),
    section('Attach types', ['', '', '', ''], answers(attachTypes)),
    section('Options of the kernel', ['', ''], Object.entries(config ?? {})),
    section(
      'Settings',
      ['', ''],
      Object.entries(sysctls).map(([name, value]) => [name, value ?? '(none)']),
    ),
    section(
      'Mounts',
      ['', ''],
      mounts.map(({ type, path }) => [type, path]),
    ),
    section(
      'Process',
      ['', ''],
      [
        ['capabilities', capabilities.effective.join(' ') || '(none)'],
        ['user namespace', capabilities.inUserNamespace ? 'its own' : 'the first one'],
        ['seccomp filter', security.seccomp ? 'yes' : 'no'],
        ['security modules', security.modules?.join(' ') ?? '(unknown)'],
        ['lockdown', security.lockdown ?? '(unknown)'],
      ],
    ),
  ]
    .filter((part) => part !== '')
    .join('\n')
}

function answers(
  found: Readonly<Record<string, Answer>>,
  more: (name: string) => Cell = () => '',
): readonly (readonly Cell[])[] {
  return Object.entries(found).map(([name, { answer, because = '' }]) => [name, answer, more(name), because])
}
