/** `libbpf-node verify`: whether a kernel would take programs, and if not, why. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { BpfError, unsupported } from '../errors.js'
import { PRIVILEGES, type Privileges } from '../linux/capabilities.js'
import { verify, type VerifyTarget } from '../verify.js'
import { verifyFile } from './verify-raw.js'
import { FORMATS, type FormatName } from './verdict-formats.js'

interface Options {
  readonly raw?: string
  readonly timeout: number
  readonly program?: string
  readonly type?: string
  readonly attachType?: string
  readonly target: Readonly<Record<string, VerifyTarget>>
  readonly privileges: Privileges
  readonly unprivileged?: true
  readonly strictAlignment?: true
  readonly kernel: 'fallback' | 'native'
  readonly logLevel: number
  readonly btf?: string
  readonly json?: true
  readonly format: FormatName
}

const DEFAULT_TIMEOUT = 60_000

export function verifyCommand(): Command {
  return new Command('verify')
    .description('says whether Linux would take programs, and if not, why')
    .argument('[object]', 'a compiled BPF object (*.bpf.o)')
    .option('--program <name>', 'this program alone')
    .option('--type <type>', 'as programs of this type, whatever their sections say: xdp')
    .option('--attach-type <name>', 'as programs with this expected attach type: cgroup_inet4_connect')
    .option(
      '--target <extension=object>',
      'the object that a freplace program extends, its program and function: new=main.bpf.o:entry:old (may be repeated)',
      addTarget,
      {},
    )
    .addOption(
      new Option(
        '--privileges <which>',
        'of who would load them: bpf is without CAP_PERFMON, none what everybody may',
      )
        .choices([...PRIVILEGES])
        .default('all'),
    )
    .option('--unprivileged', 'the same as --privileges none')
    .option('--strict-alignment', 'every access must be aligned')
    .addOption(
      new Option('--kernel <name>', 'whose verifier is asked')
        .choices(['fallback', 'native'])
        .default('fallback'),
    )
    .addOption(
      new Option('--log-level <level>', 'prints the log: 1 the path to a refusal, 2 all paths, 4 statistics')
        .argParser(logLevel)
        .default(0),
    )
    .option('--btf <file>', "types that CO-RE resolves against, in place of the kernel's")
    .addOption(new Option('--format <name>', 'what is printed').choices(Object.keys(FORMATS)).default('text'))
    .option('-j, --json', 'the same as --format json')
    .option('--raw <file>', 'programs as JSON, one a line (*.jsonl, *.jsonl.gz); prints one verdict a line')
    .option(
      '--timeout <ms>',
      'with --raw: gives up on a program after so long',
      milliseconds,
      DEFAULT_TIMEOUT,
    )
    .addHelpText('after', '\nExit status: 0 if all programs are accepted.')
    .action(async (object: string | undefined, options: Options) => {
      if (!(await run(object, options))) process.exitCode = 1
    })
}

/** @returns whether all were accepted */
async function run(object: string | undefined, options: Options): Promise<boolean> {
  const { raw, timeout, json, format, unprivileged, target: targets, ...rest } = options
  const privileges = unprivileged === true ? 'none' : options.privileges
  if (raw !== undefined && object !== undefined)
    throw new BpfError('BAD_VALUE', `either an object or --raw FILE: not both '${object}' and '${raw}'`)
  if (raw !== undefined && rest.kernel === 'native')
    throw unsupported(
      '--raw with --kernel native',
      'Linux is asked about objects: verify FILE.bpf.o --kernel native',
    )
  if (raw !== undefined)
    return await verifyFile(
      raw,
      { timeout, privileges, strictAlignment: rest.strictAlignment === true },
      rest.btf,
    )
  if (object === undefined)
    throw new BpfError('BAD_VALUE', 'nothing to verify: name an object, or --raw FILE')
  const verdicts = verify(object, { ...rest, targets, privileges })
  process.stdout.write(FORMATS[json === true ? 'json' : format](verdicts, rest.logLevel > 0))
  return verdicts.every(({ accepted }) => accepted)
}

/** `EXTENSION=OBJECT[:PROGRAM[:FUNCTION]]` */
function addTarget(
  text: string,
  before: Readonly<Record<string, VerifyTarget>>,
): Readonly<Record<string, VerifyTarget>> {
  const [, extension, object, program, name] = /^(\w+)=(.+?)(?::(\w+))?(?::(\w+))?$/.exec(text) ?? []
  if (extension === undefined || object === undefined)
    throw new InvalidArgumentError('It is EXTENSION=OBJECT[:PROGRAM[:FUNCTION]].')
  const target = { object, ...(program !== undefined && { program }), ...(name !== undefined && { name }) }
  return { ...before, [extension]: target }
}

function milliseconds(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value <= 0)
    throw new InvalidArgumentError('It is a number of milliseconds above 0.')
  return value
}

function logLevel(text: string): number {
  if (!/^[0-4]$/.test(text)) throw new InvalidArgumentError('It goes from 0 to 4.')
  return Number(text)
}
