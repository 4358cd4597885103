/** LSM programs run only where bpf is an active security module. Elsewhere Linux attaches them all the same, and never calls them. */
import { unsupported } from '../errors.js'
import type { ProgramSpec } from '../kernel.js'
import { BPF_PROG_TYPE } from '../linux/program-types.js'
import { conditionsOf } from './conditions.js'
import { readHost, type Host } from './host-facts.js'

/**
 * A policy that is attached and enforces nothing is worse than none.
 *
 * @param program any; those of other types pass
 * @throws BpfError `UNSUPPORTED` if it would never run; where nobody tells the active modules, nothing is thrown
 */
export function assertLsmRuns(
  { name, section, type }: Pick<ProgramSpec, 'name' | 'section' | 'type'>,
  host: () => Host = readHost,
): void {
  if (type !== BPF_PROG_TYPE.LSM) return
  for (const { isMet, because, remedy } of conditionsOf(['bpf module'], host())) {
    if (isMet === false) throw unsupported(`program '${name}' (${section}): it would never run, for ${because}`, `It takes ${remedy}`)
  }
}
