/** What the BPF program sends, and what a person or another program wants to see of it. */

/** `struct event` of bpf/execsnoop.h, as BTF decodes it. */
export interface RawEvent {
  readonly time_ns: number
  readonly duration_ns: number
  readonly kind: number
  readonly pid: number
  readonly ppid: number
  readonly uid: number
  readonly exit_code: number
  readonly filename_len: number
  readonly args_len: number
  readonly comm: string
  readonly filename: string
  readonly args: Uint8Array
}

export const KINDS = ['fork', 'exec', 'exit'] as const
export type Kind = (typeof KINDS)[number]

export interface ProcessEvent {
  readonly event: Kind
  /** ISO 8601. */
  readonly time: string
  readonly pid: number
  readonly ppid: number
  readonly uid: number
  readonly comm: string
  /** exec: what is executed. */
  readonly filename?: string
  /** exec: arguments, the first 128 bytes of them. */
  readonly args?: readonly string[]
  /** exec: there were more arguments. */
  readonly argsTruncated?: boolean
  /** exit: how long the process lived. */
  readonly durationMs?: number
  /** exit: its status, unless a signal ended it. */
  readonly exitCode?: number
  /** exit: number of the signal that ended it. */
  readonly signal?: number
}

const text = new TextDecoder()

/** @param epochMs wall-clock time at which the kernel's monotonic clock was 0 */
export function toProcessEvent(raw: RawEvent, epochMs: number): ProcessEvent {
  const { pid, ppid, uid, comm } = raw
  const event = KINDS[raw.kind - 1]
  if (event === undefined) throw new Error(`unknown kind of event: ${raw.kind}`)
  const common = { event, time: new Date(epochMs + raw.time_ns / 1e6).toISOString(), pid, ppid, uid, comm }
  switch (event) {
    case 'fork':
      return common
    case 'exec':
      return { ...common, filename: raw.filename, ...argumentsOf(raw) }
    case 'exit':
      return { ...common, durationMs: Math.round(raw.duration_ns / 1e3) / 1e3, ...statusOf(raw.exit_code) }
  }
}

function argumentsOf({ args, args_len }: RawEvent): { args: readonly string[]; argsTruncated?: true } {
  const bytes = args.subarray(0, args_len)
  const ended = bytes.at(-1) === 0
  const list = text.decode(ended ? bytes.subarray(0, -1) : bytes).split('\0')
  return args_len < args.length ? { args: list } : { args: list, argsTruncated: true }
}

/** As waitpid(2) encodes it: WEXITSTATUS in bits 8…15, WTERMSIG in bits 0…6. */
function statusOf(status: number): { exitCode: number } | { signal: number } {
  const signal = status & 0x7f
  return signal === 0 ? { exitCode: (status >> 8) & 0xff } : { signal }
}
