/** Licences of BPF programs, as Linux's `license_is_gpl_compatible` (include/linux/license.h) tells them apart. */

const GPL_COMPATIBLE: ReadonlySet<string> = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
])

/** Whether a program with this licence may call GPL-only helpers. Letter for letter: `GPL-2.0` is not among them. */
export function isGplCompatible(license: string): boolean {
  return GPL_COMPATIBLE.has(license)
}
