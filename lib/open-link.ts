/** Links that exist: found by pin, id or file descriptor. */
import { checkDescriptor, checkText, checkUint32 } from './checked-settings.js'
import type { Kernel, LinkReference } from './kernel.js'
import { IteratorLink } from './iterator-link.js'
import { Link } from './link.js'
import { selectKernel, type KernelChoice } from './select-kernel.js'

export interface OpenLinkOptions {
  /** Default: `'auto'`, or what `LIBBPF_NODE_KERNEL` says. */
  readonly kernel?: KernelChoice
}

/**
 * Opens a link that has a name in a BPF file system. Closing it doesn't detach: the pin holds the attachment until `unpin()`. That of an iterator
 * is an {@link IteratorLink}, which can be read.
 *
 * @throws BpfError `ENOENT`, `EINVAL` for a pin of something else
 *
 * @example
 * using link = openPinnedLink('/sys/fs/bpf/switches')
 * link.unpin('/sys/fs/bpf/switches') // and close() detaches
 */
export function openPinnedLink(path: string, options: OpenLinkOptions = {}): Link {
  return openLink({ pin: checkText('openPinnedLink(): the path', path) }, options)
}

/** Opens a link by its kernel id (Linux 5.8, `CAP_SYS_ADMIN`). @throws BpfError `ENOENT` */
export function linkById(id: number, options: OpenLinkOptions = {}): Link {
  return openLink({ id: checkUint32('linkById(): the id', id) }, options)
}

/** Opens a link by a file descriptor, which is duplicated. @throws BpfError `EBADF`, `EINVAL` for a descriptor of something else */
export function linkFromFd(fd: number, options: OpenLinkOptions = {}): Link {
  return openLink({ fd: checkDescriptor('linkFromFd(): the descriptor', fd) }, options)
}

function openLink(reference: LinkReference, options: OpenLinkOptions): Link {
  const kernel = selectKernel(options.kernel, { programs: [] })
  const link = kernel.openLink(reference)
  const { type, programId } = link.info()
  const program = programName(kernel, programId)
  return type === 'iter' ? new IteratorLink(link, program) : new Link(link, program)
}

/** Of a program that somebody else may have loaded: at most 15 bytes. Whoever may not look gets its id. */
function programName(kernel: Kernel, id: number): string {
  if (id === 0) return 'none'
  try {
    return kernel.introspection.program({ id }).name
  } catch {
    return `program ${id}`
  }
}
