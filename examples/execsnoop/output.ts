/** Two ways to show events: a table for people, JSON lines for programs. */
import { constants } from 'node:os'
import { styleText } from 'node:util'
import type { Kind, ProcessEvent } from './process-event.js'

/** Which kernel the events are from. */
export interface Origin {
  readonly name: string
  readonly description: string
  /** Why it isn't Linux. */
  readonly reason?: string
}

export interface Output {
  /** The first line. */
  begin(origin: Origin): void
  show(event: ProcessEvent): void
}

type Style = Parameters<typeof styleText>[0]

const COLOURS: Readonly<Record<Kind, Style>> = { fork: 'gray', exec: 'green', exit: 'yellow' }

interface Column {
  readonly title: string
  /** Negative: to the right. */
  readonly width: number
  readonly of: (event: ProcessEvent) => string
}

const COLUMNS: readonly Column[] = [
  { title: 'TIME', width: 12, of: (event) => localTime(event.time) },
  { title: 'EVENT', width: 5, of: (event) => event.event },
  { title: 'PID', width: -7, of: (event) => String(event.pid) },
  { title: 'PPID', width: -7, of: (event) => String(event.ppid) },
  { title: 'UID', width: -5, of: (event) => String(event.uid) },
  { title: 'COMM', width: 15, of: (event) => event.comm },
  { title: 'DURATION', width: -9, of: (event) => duration(event.durationMs) },
  { title: 'EXIT', width: -7, of: status },
  { title: 'FILE AND ARGUMENTS', width: 0, of: commandLine },
]

export class Table implements Output {
  readonly #out: NodeJS.WriteStream

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  begin({ name, description, reason }: Origin): void {
    const why = reason === undefined ? '' : `: ${reason}`
    this.#out.write(
      `${this.#coloured(name === 'native' ? 'gray' : 'magenta', `${name} kernel (${description})${why}`)}\n`,
    )
    this.#line('bold', row(COLUMNS.map(({ title }) => title)))
  }

  show(event: ProcessEvent): void {
    this.#line(COLOURS[event.event], row(COLUMNS.map((column) => printable(column.of(event)))))
  }

  #line(style: Style, line: string): void {
    const fitting = this.#out.isTTY ? line.slice(0, this.#out.columns || undefined) : line
    this.#out.write(`${this.#coloured(style, fitting)}\n`)
  }

  #coloured(style: Style, line: string): string {
    return this.#out.isTTY && !process.env['NO_COLOR'] ? styleText(style, line) : line
  }
}

export class JsonLines implements Output {
  readonly #out: NodeJS.WriteStream

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  begin({ name, description, reason }: Origin): void {
    this.show({ event: 'kernel', name, description, ...(reason !== undefined && { reason }) })
  }

  show(event: object): void {
    this.#out.write(`${JSON.stringify(event)}\n`)
  }
}

function row(cells: readonly string[]): string {
  const padded = COLUMNS.map(({ width }, i) => {
    const cell = cells[i] ?? ''
    return width < 0 ? cell.padStart(-width) : cell.padEnd(width)
  })
  return padded.join('  ').trimEnd()
}

function localTime(iso: string): string {
  const date = new Date(iso)
  const two = (value: number): string => String(value).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}

function duration(ms: number | undefined): string {
  if (ms === undefined) return ''
  if (ms < 1000) return `${ms.toFixed(1)} ms`
  return ms < 600_000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.round(ms / 60_000)} min`
}

const SIGNALS = new Map<number, string>(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
)

function status({ exitCode, signal }: ProcessEvent): string {
  if (signal !== undefined) return SIGNALS.get(signal) ?? `signal ${signal}`
  return exitCode === undefined ? '' : String(exitCode)
}

function commandLine({ filename, args, argsTruncated }: ProcessEvent): string {
  if (filename === undefined) return ''
  return [filename, ...(args ?? []).slice(1), ...(argsTruncated ? ['…'] : [])].join(' ')
}

/** Names come from other users' processes: they must not move the cursor or change the terminal's title. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
