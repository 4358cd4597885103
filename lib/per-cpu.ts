/** One number of the many that a per-CPU map gives. */

/** What can be added and compared. */
export type Summable = number | bigint

/** The sum of the CPUs' values; 0 of none. */
export function sumOf<T extends Summable>(values: readonly T[]): T {
  const zero = (typeof values[0] === 'bigint' ? 0n : 0) as T
  return values.reduce((sum, value) => ((sum as number) + (value as number)) as T, zero)
}

/** The largest of the CPUs' values; undefined of none. */
export function maxOf<T extends Summable>(values: readonly T[]): T | undefined {
  return values.length === 0 ? undefined : values.reduce((most, value) => (value > most ? value : most))
}
