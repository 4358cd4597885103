/** The command line of execsnoop. */
import { Command, InvalidArgumentError, Option } from 'commander'

export interface Options {
  readonly kernel: 'auto' | 'native' | 'fallback'
  readonly json: boolean
  /** Seconds; undefined: until Ctrl-C. */
  readonly duration?: number
  readonly tree?: number
  readonly pid?: number
  readonly uid?: number
  readonly name?: string
  /** Milliseconds. */
  readonly minDuration: number
  readonly seed: number
}

const MAX_PID = 0x3fffffff

export function parseOptions(argv: readonly string[]): Options {
  // Set to nothing is not set.
  if (process.env['LIBBPF_NODE_KERNEL'] === '') delete process.env['LIBBPF_NODE_KERNEL']
  const command = new Command('execsnoop')
    .description('Shows every process that starts and exits.')
    .option('-d, --duration <seconds>', 'stop after so many seconds (default: at Ctrl-C)', seconds)
    .option('-t, --tree <pid>', 'only this process and its descendants', integer('a process id', 1, MAX_PID))
    .option('-p, --pid <pid>', 'only this process', integer('a process id', 1, MAX_PID))
    .option('-u, --uid <uid>', 'only processes of this user', integer('a user id', 0, 0xfffffffe))
    .option('-n, --name <text>', 'only processes with this in their command or file name')
    .option(
      '--min-duration <ms>',
      'leave out exits of processes that lived for less',
      integer('milliseconds', 0, 1e9),
      0,
    )
    .option('-j, --json', 'one JSON object a line; so it is when the output is no terminal')
    .addOption(
      new Option(
        '-k, --kernel <kernel>',
        'native: Linux; fallback: simulated processes; auto: the first that can be had',
      )
        .choices(['auto', 'native', 'fallback'])
        .env('LIBBPF_NODE_KERNEL')
        .default('auto'),
    )
    .option('--seed <number>', 'of the simulated processes', integer('a seed', 0, 0xffffffff), 1)
    .allowExcessArguments(false)
    .parse(argv, { from: 'user' })
  return {
    ...command.opts<Options>(),
    json: command.getOptionValue('json') === true || !process.stdout.isTTY,
  }
}

function integer(what: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be ${what}, from ${least} to ${most}.`)
    }
    return value
  }
}

function seconds(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0 || value > 2e6) {
    throw new InvalidArgumentError('It must be a number of seconds above 0.')
  }
  return value
}
