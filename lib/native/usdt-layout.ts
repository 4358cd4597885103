/**
 * Whether an object and libbpf mean the same when they speak of USDT arguments.
 *
 * libbpf writes down for the program where a probe's arguments are, in a struct that is private to it and to bpf/usdt.bpf.h. Version 1.7 moved a member of it: an
 * object that was compiled with an older header reads 0 for every argument, and the other way round nonsense, without any error.
 */
import { unsupported } from '../errors.js'
import type { ObjectFile } from '../object-file/types.js'
import type { LibbpfVersion } from './addon-types.js'

const STRUCT = '__bpf_usdt_arg_spec'
/** The member that came with the new layout. */
const NEW_MEMBER = 'idx_reg_off'

/** @throws BpfError `UNSUPPORTED` for USDT programs that would see wrong arguments */
export function checkUsdtLayout({ btf, programs }: ObjectFile, libbpf: LibbpfVersion): void {
  const spec = btf?.types.find((type) => type.kind === 'struct' && type.name === STRUCT)
  if (spec?.kind !== 'struct' || !programs.some(({ section, autoload }) => autoload && /^usdt(?:\.s)?(?:\/|$)/.test(section))) return
  const isNew = spec.members.some(({ name }) => name === NEW_MEMBER)
  const wantsNew = libbpf.major > 1 || libbpf.minor >= 7
  if (isNew === wantsNew) return
  throw unsupported(
    `USDT programs that were compiled with bpf/usdt.bpf.h of libbpf ${isNew ? '1.7 or newer' : 'before 1.7'}, under libbpf ${libbpf.major}.${libbpf.minor}`,
    `They would see wrong arguments: compile them with the headers of libbpf ${wantsNew ? '1.7 or newer' : 'before 1.7, or build the addon with a newer one'}`,
  )
}
