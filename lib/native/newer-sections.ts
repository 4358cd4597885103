/** SEC() names that are newer than the libbpf of this build. */
import { BPF_PROG_TYPE, BPF_PROGRAM_FLAGS } from '../linux/program-types.js'
import { resolveSection } from '../linux/sections.js'
import type { AddonObject } from './addon-types.js'

/**
 * Tells libbpf what those names stand for: it leaves such programs without a type, and would fail to load them. libbpf 1.1 knows no `tcx/ingress`,
 * `netkit/primary`, `netfilter`, `uprobe.multi`, `cgroup/connect_unix` and others.
 *
 * @returns names of those programs
 */
export function teachNewerSections(object: AddonObject): ReadonlySet<string> {
  const taught = new Set<string>()
  for (const [index, { name, type, section, flags }] of object.programSpecs().entries()) {
    if (type !== BPF_PROG_TYPE.UNSPEC) continue
    const known = resolveSection(section)
    if (known === undefined) continue
    object.setProgram(index, 'type', known.type)
    object.setProgram(index, 'expectedAttachType', known.expectedAttachType)
    const sleepable = known.sleepable ? BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE : 0
    const fragments = known.fragments ? BPF_PROGRAM_FLAGS.BPF_F_XDP_HAS_FRAGS : 0
    object.setProgram(index, 'flags', flags | sleepable | fragments)
    taught.add(name)
  }
  return taught
}
