/** Which program types and helpers a kernel has: asked by loading programs of two instructions, which are closed at once. */
import { didYouMean } from '../nearest.js'
import { BpfError } from '../errors.js'
import { call, exit, mov64 } from '../isa/build.js'
import { encode } from '../isa/instruction.js'
import { attachTypeName } from '../linux/attach-types.js'
import { errnoName } from '../linux/errno.js'
import { HELPERS, helperByName, type Helper } from '../linux/helpers.js'
import { programProbes, type ProgramProbe } from '../linux/program-probes.js'
import { PROGRAM_TYPES, programTypeByName, programTypeName } from '../linux/program-types.js'
import { helperSince, programRequirement } from '../linux/requirements.js'
import type { AddonProbeOutcome, AddonProbes } from '../native/introspection-types.js'
import { lacksOf, readHost, whyRefused } from '../native/lacks.js'
import { no, unknown, YES, type Answer } from './answer.js'

/** What the verifier says of a helper that programs of a type don't have; Linux changed its words in 6.10. */
const NO_SUCH_HELPER = /invalid func |unknown func |program of this type cannot use helper /

/** The verifier has come to the instruction. */
const CALL = /^\d+: \(85\) call /m

/** With another one, helpers that want this one would be refused. */
const LICENSE = 'GPL'

/** Of struct_ops, without a struct: the type is there, and it is all that is asked. */
const ENOTSUPP = 'ENOTSUPP'

export class ProgramFeatures {
  readonly #probes: AddonProbes
  readonly #types = new Map<number, Answer>()
  readonly #helpers = new Map<string, Answer>()
  readonly #targets = new Map<string, number>()

  constructor(probes: AddonProbes) {
    this.#probes = probes
  }

  /** @param name `xdp` */
  type(name: string): Answer {
    const type = numberOf(name)
    let answer = this.#types.get(type)
    if (answer === undefined) this.#types.set(type, (answer = this.#askType(type)))
    return answer
  }

  /**
   * @param type      name of a program type
   * @param helper    with or without `bpf_`
   * @param attach    name of an attach type, for types whose helpers depend on it
   */
  helper(type: string, helper: string, attach?: string): Answer {
    const found = helperByName(helper)
    if (found === undefined)
      throw unknownName(
        'helper',
        helper.replace(/^bpf_/, ''),
        HELPERS.map(({ name }) => name),
      )
    const number = numberOf(type)
    const key = `${number} ${found.id} ${attach ?? ''}`
    let answer = this.#helpers.get(key)
    if (answer === undefined) this.#helpers.set(key, (answer = this.#askHelper(number, found, attach)))
    return answer
  }

  #askType(type: number): Answer {
    const [probe] = programProbes(type)
    return probe === undefined
      ? unknown('nobody knows how to load it')
      : this.#load(probe, [mov64(0, 1), exit()], isThere)
  }

  #askHelper(type: number, helper: Helper, attach: string | undefined): Answer {
    const ways = programProbes(type).filter(
      ({ expectedAttachType }) => attach === undefined || attachTypeName(expectedAttachType) === attach,
    )
    const [first, ...others] = ways
    if (first === undefined) {
      const known = programProbes(type).map(({ expectedAttachType }) => attachTypeName(expectedAttachType))
      throw unknownName(`attach type of ${programTypeName(type)}`, attach ?? '', known)
    }
    const ask = (probe: ProgramProbe): Answer =>
      this.#load(probe, [call(helper.id), exit()], (outcome) => mayCall(outcome, helper))
    const answer = ask(first)
    if (answer.answer !== 'no') return answer
    const having = others
      .filter((probe) => ask(probe).answer === 'yes')
      .map((probe) => attachTypeName(probe.expectedAttachType))
    return having.length === 0
      ? answer
      : no(`${answer.because ?? ''}; with attach type ${having.join(' or ')} they do`)
  }

  #load(
    { type, expectedAttachType, flags, target }: ProgramProbe,
    code: Parameters<typeof encode>[0],
    judge: (outcome: AddonProbeOutcome) => Answer | undefined,
  ): Answer {
    const attachBtfId = target === undefined ? 0 : this.#targetId(target, expectedAttachType)
    const options = { type, expectedAttachType, flags, attachBtfId, license: LICENSE, code: encode(code) }
    const outcome = this.#probes.probeProgram(options)
    return judge(outcome) ?? refused(type, errnoName(outcome.errno))
  }

  #targetId(name: string, attachType: number): number {
    const key = `${name} ${attachType}`
    let id = this.#targets.get(key)
    if (id === undefined) this.#targets.set(key, (id = this.#probes.kernelTargetId(name, attachType)))
    return id
  }
}

/** The verifier has looked at it, so the type is there. */
function isThere({ errno, log }: AddonProbeOutcome): Answer | undefined {
  return errno === 0 || log !== '' || errnoName(errno) === ENOTSUPP ? YES : undefined
}

/** What else the verifier has against the call doesn't matter: it looked at its arguments. */
function mayCall({ errno, log }: AddonProbeOutcome, { name }: Helper): Answer | undefined {
  if (NO_SUCH_HELPER.test(log)) {
    const since = helperSince(name)
    const tooOld =
      since !== undefined &&
      lacksOf({ since, config: [], capabilities: [], conditions: [] }, readHost()).version !== undefined
    return no(tooOld ? `Linux has it since ${since}` : 'programs of this type may not call it')
  }
  if (errno === 0 || CALL.test(log)) return YES
  const stopped = log !== '' || errnoName(errno) === ENOTSUPP
  return stopped
    ? unknown('it depends on what the program is for: the verifier stopped before the call')
    : undefined
}

/** The kernel refused the program before its verifier looked at it. */
function refused(type: number, errno: string): Answer {
  const name = `programs of type ${programTypeName(type)}`
  const requirement = programRequirement(type)
  const host = readHost()
  const reason = requirement && whyRefused(name, requirement, errno, host)
  if (errno === 'EPERM' || errno === 'EACCES') {
    const lacking =
      requirement === undefined || host.inUserNamespace || lacksOf(requirement, host).capabilities.length > 0
    return lacking ? unknown(reason ?? errno) : no(reason ?? errno)
  }
  if (errno === 'EINVAL' || errno === 'EOPNOTSUPP' || errno === ENOTSUPP)
    return no(reason ?? `the kernel answers ${errno}`)
  return unknown(`the kernel answers ${errno}`)
}

function numberOf(name: string): number {
  const type = programTypeByName(name)
  if (type === undefined)
    throw unknownName(
      'program type',
      name,
      PROGRAM_TYPES.map((one) => one.name),
    )
  return type
}

/** @internal */
export function unknownName(what: string, name: string, known: readonly string[]): BpfError {
  const hint = didYouMean(name, known)
  return new BpfError('BAD_VALUE', `there is no ${what} '${name}'`, hint === undefined ? {} : { hint })
}
