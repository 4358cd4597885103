/** File descriptors of processes: keys of task storage. */
import { closeSync } from 'node:fs'
import { Handle } from './handle.js'
import { NO_FILE } from './no-file.js'
import { selectKernel, type KernelChoice } from './select-kernel.js'

/** A process, held by a file descriptor: its pid isn't given to another one meanwhile. Lifetime: until `close()`. */
export class Pidfd extends Handle {
  readonly fd: number

  /** @internal */
  constructor(fd: number, pid: number) {
    super({ close: () => closeSync(fd) }, `descriptor of process ${pid}`)
    this.fd = fd
  }
}

/**
 * Opens a process (a thread group's leader), for `get()` and `set()` of task storage. Linux 5.3.
 *
 * @throws BpfError `ESRCH` if there is none, `UNSUPPORTED` in the fallback kernel
 *
 * @example
 * using process = openPidfd(4711)
 * object.map('per_task').get(process)
 */
export function openPidfd(pid: number, options: { readonly kernel?: KernelChoice } = {}): Pidfd {
  return new Pidfd(selectKernel(options.kernel, NO_FILE).openPidfd(pid), pid)
}
