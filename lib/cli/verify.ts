/** `libbpf-node verify`: whether Linux would take programs, without Linux. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { Command, InvalidArgumentError } from 'commander'
import { BpfError } from '../errors.js'
import { fromRaw, verifyProgram, type RawProgram } from '../fallback/verifier/index.js'

interface Options {
  readonly raw?: string
  readonly timeout: number
}

const DEFAULT_TIMEOUT = 60_000

export function verifyCommand(): Command {
  return new Command('verify')
    .description('says whether Linux would take programs, and if not, why')
    .option('--raw <file>', 'programs as JSON, one a line (*.jsonl, *.jsonl.gz); prints one verdict a line')
    .option('--timeout <ms>', 'gives up on a program after so long', milliseconds, DEFAULT_TIMEOUT)
    .addHelpText('after', '\nExit status: 0 if all programs are accepted.')
    .action(async ({ raw, timeout }: Options) => {
      if (raw === undefined) throw new BpfError('BAD_VALUE', 'nothing to verify: --raw FILE names programs')
      if (!(await verifyFile(raw, timeout))) process.exitCode = 1
    })
}

function milliseconds(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value <= 0)
    throw new InvalidArgumentError('It is a number of milliseconds above 0.')
  return value
}

/** @returns whether all were accepted */
async function verifyFile(path: string, timeout: number): Promise<boolean> {
  const file = createReadStream(path)
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  file.on('error', (error) => input.destroy(error))
  let all = true
  let number = 0
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number++
      if (line.trim() === '') continue
      const verdict = verdictOf(line, `${path}:${number}`, timeout)
      all &&= verdict.accepted
      process.stdout.write(`${JSON.stringify(verdict)}\n`)
    }
  } catch (error) {
    if (error instanceof BpfError) throw error
    throw new BpfError('BAD_VALUE', `${path} can't be read: ${(error as Error).message}`, { cause: error })
  }
  return all
}

interface RawVerdict {
  readonly id: string
  readonly accepted: boolean
  readonly errno: number
  readonly reason: string | undefined
  /** Slot of the instruction at fault, where one is. */
  readonly insn: number | undefined
  readonly insnsProcessed: number
  readonly peakStates: number
  readonly ms: number
}

function verdictOf(line: string, where: string, timeout: number): RawVerdict {
  const raw = parse(line, where)
  const program = fromRaw(raw)
  const started = performance.now()
  const verdict = verifyProgram(program, { timeout })
  const ms = performance.now() - started
  const { accepted, errno, reason, insn, insnsProcessed, peakStates } = verdict
  return { id: raw.id, accepted, errno, reason, insn, insnsProcessed, peakStates, ms }
}

function parse(line: string, where: string): RawProgram {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new BpfError('BAD_VALUE', `${where}: no JSON: ${(error as Error).message}`, { cause: error })
  }
  const raw = value as Partial<RawProgram> | null
  const isProgram =
    typeof raw === 'object' &&
    raw !== null &&
    typeof raw.id === 'string' &&
    typeof raw.insns === 'string' &&
    /^([0-9a-f]{16})*$/i.test(raw.insns) &&
    typeof raw.prog_type_id === 'number' &&
    Array.isArray(raw.maps) &&
    Array.isArray(raw.map_refs)
  if (!isProgram)
    throw new BpfError(
      'BAD_VALUE',
      `${where}: a program has id, insns (hexadecimal), prog_type_id, maps and map_refs`,
    )
  return { expected_attach_type: 0, prog_flags: 0, license: '', ...raw } as RawProgram
}
