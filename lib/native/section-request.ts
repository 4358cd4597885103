/** Where programs are attached whose SEC() names are newer than the libbpf of this build. */
import type { AttachRequest } from '../attach-request.js'
import type { ProgramSpec } from '../kernel.js'
import { resolveSection } from '../linux/sections.js'
import { isPattern } from './suggest.js'

/** Whether the name of its section, and its settings, say that it is attached with its object. */
export function attachesItself({ section, autoload, autoattach }: ProgramSpec): boolean {
  return autoload && autoattach && requestOfSection(section) !== undefined
}

/** Where a section's name says that its program is attached; undefined for names that libbpf knows since 1.1, and those that say no place. */
export function requestOfSection(section: string): AttachRequest | undefined {
  const resolved = resolveSection(section)
  if (resolved === undefined || resolved.target === '') return undefined
  const { prefix, target } = resolved
  const kind = prefix.replace(/\.s$/, '')
  if (kind === 'kprobe.session') return { kind: 'kprobe.multi', functions: isPattern(target) ? target : [target] }
  if (!/^u(?:ret)?probe\.(?:multi|session)$/.test(kind)) return undefined
  const colon = target.lastIndexOf(':')
  if (colon < 0) return undefined
  const places = target.slice(colon + 1)
  return {
    kind: 'uprobe.multi',
    binary: target.slice(0, colon),
    places: isPattern(places) ? places : [places],
    retprobe: kind.startsWith('uret'),
    pid: 0,
  }
}
