/**
 * BPF tokens: a BPF file system that was mounted for a user namespace, with `delegate_…` options, stands for the capabilities that bpf()
 * wants. libbpf takes one from it by itself.
 *
 * Source: kernel/bpf/token.c of Linux 6.18, bpf_object_prepare_token() of libbpf 1.7.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

/** Where libbpf looks for tokens without being told. */
const DEFAULT_MOUNT = '/sys/fs/bpf'

/**
 * Whether libbpf will find a token.
 *
 * @param path mount point of a BPF file system; empty: none is wanted; undefined: wherever libbpf looks
 * @param mounts the text of /proc/self/mounts
 */
export function findsToken(path: string | undefined, mounts: string = readMounts()): boolean {
  const chosen = path ?? process.env['LIBBPF_BPF_TOKEN_PATH'] ?? DEFAULT_MOUNT
  if (chosen === '') return false
  const wanted = resolve(chosen)
  return mounts.split('\n').some((line) => {
    const [, mountPoint = '', type, options = ''] = line.split(' ')
    return type === 'bpf' && unescaped(mountPoint) === wanted && /(^|,)delegate_/.test(options)
  })
}

/** Blanks and the like are octal there: proc_pid_mounts(5). */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8)))
}

function readMounts(): string {
  try {
    return readFileSync('/proc/self/mounts', 'utf8')
  } catch {
    return ''
  }
}
