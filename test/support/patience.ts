/**
 * How long a test may wait. An emulated processor (scripts/test-vm.mjs sets VM=1) is 10 to 40 times slower than a real one, and
 * slower again while the host has other work. So is, by less, an addon with sanitizers (scripts/test-sanitized.mjs sets SANITIZED=1).
 */
const SLOWNESS = process.env['VM'] === '1' ? 20 : process.env['SANITIZED'] === '1' ? 4 : 1

/** A time limit in milliseconds, longer where everything takes longer. For limits only: a test that hangs meets them. */
export function patience(milliseconds: number): number {
  return milliseconds * SLOWNESS
}
