/** Whether mutants may be loaded here. */
import { readFileSync } from 'node:fs'

/** What scripts/vm/machine.mjs adds to the command line of its kernels. */
const MARK = 'libbpf_node.vm'

/** Whether this is a virtual machine of `npm run test:vm`, whose kernel may break. */
export function isDisposableKernel(): boolean {
  try {
    return readFileSync('/proc/cmdline', 'utf8').split(/\s+/).includes(MARK)
  } catch {
    return false
  }
}
