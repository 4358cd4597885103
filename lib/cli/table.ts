/** Tables of plain text. */
import Table from 'cli-table3'

export type Cell = string | number

/** A titled table; empty without rows. Columns of numbers are right-aligned. */
export function section(title: string, head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return ''
  const table = new Table({
    head: [...head],
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: ' ',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: ' ',
    },
    style: {
      head: process.stdout.isTTY && !process.env['NO_COLOR'] ? ['gray'] : [],
      border: [],
      'padding-left': 1,
      'padding-right': 0,
    },
    colAligns: head.map((_name, column) =>
      rows.every((row) => typeof row[column] === 'number') ? 'right' : 'left',
    ),
  })
  table.push(...rows.map((row) => [...row]))
  const lines = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
  return `${title}\n${lines.join('\n')}\n`
}
