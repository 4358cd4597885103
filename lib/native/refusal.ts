/** Refused by Linux: what is missing, out of the table of requirements. */
import { BpfError } from '../errors.js'
import type { MapSpec, ProgramSpec } from '../kernel.js'
import { helperById } from '../linux/helpers.js'
import { mapTypeName } from '../linux/map-types.js'
import { programTypeName } from '../linux/program-types.js'
import { isOlderThan } from '../linux/release.js'
import { helperCondition, helperSince, mapRequirement, programRequirement, type Requirement } from '../linux/requirements.js'
import { conditionsOf } from './conditions.js'
import { readHost, whyRefused, type Host } from './lacks.js'

/** With these, Linux answers what it doesn't know, and what this process may not do; and much else. */
const REFUSALS: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'EINVAL', 'EOPNOTSUPP', 'ENOTSUPP', 'E2BIG', 'ENOENT', 'ENOSYS'])

/**
 * The same error with what is missing as its hint; the error itself where the requirement explains nothing.
 *
 * @param what the subject of the hint: `netkit`
 */
export function withRequirement(error: BpfError, what: string, requirement: Requirement, host?: Host): BpfError {
  if (!REFUSALS.has(error.code) || error.verifier !== undefined) return error
  const hint = whyRefused(what, requirement, error.code, host)
  if (hint === undefined) return error
  const { code, errno, call, message, cause } = error
  const bare = error.hint === undefined ? message : message.replace(`. ${error.hint}`, '')
  return new BpfError(code, bare, {
    ...(errno !== undefined && { errno }),
    ...(call !== undefined && { call }),
    ...(cause !== undefined && { cause }),
    hint,
  })
}

type NamedProgram = Pick<ProgramSpec, 'name' | 'type'>
type NamedMap = Pick<MapSpec, 'name' | 'type'>

/**
 * The better error for an object that wasn't loaded, where the type of the program or map that failed says why.
 *
 * @returns undefined if it is another error, or if nothing is missing
 */
export function explainLoad(
  error: unknown,
  programs: readonly NamedProgram[],
  maps: readonly NamedMap[],
  host?: Host,
): BpfError | undefined {
  if (!(error instanceof BpfError)) return undefined
  const [, kind, name] = /^(program|map) '([^']*)'/.exec(error.message) ?? []
  const type = (kind === 'program' ? programs : maps).find((one) => one.name === name)?.type
  if (type === undefined) return undefined
  const requirement = kind === 'program' ? programRequirement(type) : mapRequirement(type)
  if (requirement === undefined) return undefined
  const what = kind === 'program' ? `programs of type ${programTypeName(type)}` : `maps of type ${mapTypeName(type)}`
  const better = withRequirement(error, what, requirement, host)
  return better === error ? undefined : better
}

/** `unknown func bpf_loop#181` before Linux 6.10, `program of this type cannot use helper bpf_loop#181` since. */
const HELPER = /(?:unknown func|invalid func|cannot use helper) \w+#(\d+)/

/** Why a program may not call a helper, by what the verifier said; undefined if it is about something else. */
export function helperHint(summary: string, host: Host = readHost()): string | undefined {
  const id = HELPER.exec(summary)?.[1]
  const helper = id === undefined ? undefined : helperById(Number(id))
  if (helper === undefined) return undefined
  const since = helperSince(helper.name)
  if (since !== undefined && isOlderThan(host.release, since)) {
    return `bpf_${helper.name}() is in Linux since ${since}, and this is ${host.release}`
  }
  const condition = helperCondition(helper.id)
  const unmet = conditionsOf(condition === undefined ? [] : [condition], host).find(({ isMet }) => isMet === false)
  if (unmet !== undefined) return `bpf_${helper.name}(): ${unmet.because}: ${unmet.remedy}`
  return `bpf_${helper.name}() is not for programs of this type: npx libbpf-node features shows which are`
}
