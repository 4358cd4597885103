/**
 * BPF tokens: a BPF file system that was mounted for a user namespace, with `delegate_…` options, stands for the capabilities that bpf()
 * wants. libbpf takes one from it by itself.
 *
 * Source: kernel/bpf/token.c of Linux 6.18, bpf_object_prepare_token() of libbpf 1.7.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { inUserNamespace } from './host.js'

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

/**
 * Where a map without an object takes its token from, by libbpf's rules: a path that was given must do; else it is tried, where there is need.
 *
 * @returns undefined: it is made without
 */
export function tokenPath(path: string | undefined): string | undefined {
  if (path !== undefined) return path || undefined
  const fromEnvironment = process.env['LIBBPF_BPF_TOKEN_PATH']
  if (fromEnvironment === undefined && !inUserNamespace()) return undefined
  return findsToken(undefined) ? fromEnvironment || DEFAULT_MOUNT : undefined
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
