/** Values in messages. */

/** What a caller gave in place of what was wanted: `null`, `string 'abc'`, `an array`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `string '${value.slice(0, 40)}'`
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return `an object of type ${value.constructor?.name ?? 'Object'}`
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return `${typeof value} ${value}`
  return `a ${typeof value}`
}
