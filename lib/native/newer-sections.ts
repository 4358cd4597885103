/** SEC() names that are newer than the libbpf of this build. */
import { BPF_PROG_TYPE, BPF_PROGRAM_FLAGS } from '../linux/program-types.js'
import { BPF_ATTACH_TYPE } from '../linux/attach-types.js'
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

/**
 * Tells libbpf which function of the kernel those programs trace: before they are loaded, and no earlier, since it reads the kernel's types for that.
 *
 * @param taught from {@link teachNewerSections}
 * @param targeted names of programs that were given another function
 */
export function aimNewerSections(object: AddonObject, taught: ReadonlySet<string>, targeted: ReadonlySet<string>): void {
  for (const [index, { name, section, autoload, expectedAttachType }] of object.programSpecs().entries()) {
    const isMeant = taught.has(name) && autoload && !targeted.has(name)
    if (!isMeant || expectedAttachType !== BPF_ATTACH_TYPE.TRACE_FSESSION) continue
    const target = resolveSection(section)?.target ?? ''
    if (target !== '') object.setAttachTarget(index, 0, target)
  }
}
