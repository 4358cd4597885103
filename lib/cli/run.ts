/** `libbpf-node run --raw FILE`: runs instructions without an object or a kernel. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Command, InvalidArgumentError, Option } from 'commander'
import { BpfError } from '../errors.js'
import { RawRunner } from '../fallback/raw-runner.js'
import { ENGINE_NAMES } from '../fallback/vm/engine.js'
import type { EngineName } from '../fallback/vm/types.js'
import { answerLine } from './raw-lines.js'

interface RunOptions {
  readonly raw: string
  readonly engine: EngineName
  readonly verify: boolean
  readonly fuel: number
}

const DEFAULT_FUEL = 100_000_000
/** Characters that are written at once. */
const CHUNK = 1 << 16

export function runCommand(): Command {
  return new Command('run')
    .description('runs programs, one a line, and prints what they give')
    .requiredOption(
      '--raw <file>',
      'JSON lines { id, insns, memory?, helpers? }, bytes in hex; - is standard input',
    )
    .addOption(new Option('--engine <name>', 'what runs them').choices(ENGINE_NAMES).default('wasm'))
    .option('--no-verify', 'run them unverified, in a sandbox')
    .option('--fuel <instructions>', 'how long each may run', positive, DEFAULT_FUEL)
    .action(run)
}

async function run({ raw, engine, verify, fuel }: RunOptions): Promise<void> {
  const runner = new RawRunner({ engine, verify, fuel })
  const input = raw === '-' ? process.stdin : createReadStream(raw)
  let number = 0
  let pending = ''
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number++
      if (line.trim() === '') continue
      pending += `${JSON.stringify(answerLine(runner, line, number))}\n`
      if (pending.length < CHUNK) continue
      await write(pending)
      pending = ''
    }
  } catch (cause) {
    const { code = 'EIO', message } = cause as NodeJS.ErrnoException
    throw new BpfError(code, `can't read ${raw}: ${message}`, { cause })
  } finally {
    await write(pending)
  }
}

async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a positive integer.')
  return value
}
