/** `libbpf-node verify --raw FILE`: verdicts on programs that come as JSON, one a line. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { BpfError } from '../errors.js'
import type { Privileges } from '../linux/capabilities.js'
import { BPF_PROGRAM_FLAGS } from '../linux/program-types.js'
import { hostBtf, readBtf } from '../read-object.js'
import { parseBtf } from '../btf/parse.js'
import type { Btf } from '../btf/types.js'
import { fromRaw, KernelTypes, verifyProgram, type RawProgram } from '../fallback/verifier/index.js'

export interface RawOptions {
  /** Milliseconds for each program. */
  readonly timeout: number
  readonly privileges: Privileges
  readonly strictAlignment: boolean
}

/** @returns whether all were accepted */
export async function verifyFile(
  path: string,
  options: RawOptions,
  btf: string | undefined,
): Promise<boolean> {
  const kernel = new KernelTypes(() => parsedBtf(btf), false)
  const file = createReadStream(path)
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  file.on('error', (error) => input.destroy(error))
  let all = true
  let number = 0
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number++
      if (line.trim() === '') continue
      const verdict = verdictOf(line, `${path}:${number}`, options, kernel)
      all &&= verdict.accepted
      process.stdout.write(`${JSON.stringify(verdict)}\n`)
    }
  } catch (error) {
    if (error instanceof BpfError) throw error
    throw new BpfError('BAD_VALUE', `${path} can't be read: ${(error as Error).message}`, { cause: error })
  }
  return all
}

function parsedBtf(path: string | undefined): Btf | undefined {
  const bytes = path === undefined ? hostBtf() : readBtf(path)
  return bytes === undefined ? undefined : parseBtf(bytes)
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

function verdictOf(
  line: string,
  where: string,
  { timeout, privileges, strictAlignment }: RawOptions,
  kernel: KernelTypes,
): RawVerdict {
  const raw = parse(line, where)
  const strict = strictAlignment ? BPF_PROGRAM_FLAGS.BPF_F_STRICT_ALIGNMENT : 0
  const program = fromRaw({ ...raw, prog_flags: raw.prog_flags | strict }, kernel)
  const started = performance.now()
  const verdict = verifyProgram(program, { timeout, privileges })
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
