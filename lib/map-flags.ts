/** How an entry is read or written: options and the kernel's flags for them. */
import { BpfError } from './errors.js'
import { BPF_UPDATE_FLAGS } from './linux/map-types.js'

export interface GetOptions {
  /** Reads under the value's `struct bpf_spin_lock` (BPF_F_LOCK, Linux 5.1). */
  readonly lock?: boolean
}

export interface SetOptions {
  /** `any` (default) makes or replaces; `noexist` fails with `EEXIST`; `exist` fails with `ENOENT`. */
  readonly mode?: 'any' | 'noexist' | 'exist'
  /** Writes under the value's `struct bpf_spin_lock` (BPF_F_LOCK, Linux 5.1). */
  readonly lock?: boolean
}

const UPDATE_FLAGS = {
  any: BPF_UPDATE_FLAGS.BPF_ANY,
  noexist: BPF_UPDATE_FLAGS.BPF_NOEXIST,
  exist: BPF_UPDATE_FLAGS.BPF_EXIST,
} as const

export function lookupFlags(options: GetOptions | undefined): number {
  return options?.lock === true ? BPF_UPDATE_FLAGS.BPF_F_LOCK : 0
}

/** @throws BpfError `BAD_VALUE` for a mode that there isn't */
export function updateFlags(options: SetOptions | undefined): number {
  if (options === undefined) return 0
  const { mode = 'any', lock } = options
  if (!Object.hasOwn(UPDATE_FLAGS, mode)) {
    throw new BpfError('BAD_VALUE', `option mode is 'any', 'noexist' or 'exist', not '${mode as string}'`)
  }
  return UPDATE_FLAGS[mode] | (lock === true ? BPF_UPDATE_FLAGS.BPF_F_LOCK : 0)
}
