/** What this kernel and this process can do with BPF: `bpftool feature`, with reasons. */
import { attachTypeByName, BPF_ATTACH_TYPE } from '../linux/attach-types.js'
import { HELPERS } from '../linux/helpers.js'
import { MAP_TYPES } from '../linux/map-types.js'
import { PROGRAM_TYPES } from '../linux/program-types.js'
import { ATTACHMENTS, type AttachmentName } from '../linux/requirements.js'
import type { AddonProbes } from '../native/introspection-types.js'
import { nativeKernel } from '../native/kernel.js'
import { lacksOf, readHost, whyRefused } from '../native/lacks.js'
import { cached, no, unknown, YES, type Answer } from './answer.js'
import { askMapType } from './map-features.js'
import { ProgramFeatures, unknownName } from './program-features.js'
import { systemFeatures, type SystemFeatures } from './system-features.js'

/** Attach types that take more of the kernel than to be known to it. */
const OF_ATTACHMENT: readonly (readonly [pattern: RegExp, attachment: AttachmentName])[] = [
  [/^netkit_/, 'netkit'],
  [/^tcx_/, 'tcx'],
  [/^netfilter$/, 'netfilter'],
  [/^trace_kprobe_multi$/, 'kprobe.multi'],
  [/^trace_kprobe_session$/, 'kprobe.session'],
  [/^trace_uprobe_multi$/, 'uprobe.multi'],
  [/^trace_uprobe_session$/, 'uprobe.session'],
  [/^(trace_fentry|trace_fexit|modify_return|trace_fsession)$/, 'fentry'],
  [/^(trace_raw_tp|trace_iter)$/, 'trace'],
  [/^lsm_cgroup$/, 'lsm_cgroup'],
  [/^lsm_mac$/, 'lsm'],
  [/^cgroup_/, 'cgroup'],
  [/^(sk_skb_|sk_msg_)/, 'sockmap'],
  [/^lirc_mode2$/, 'lirc'],
  [/^struct_ops$/, 'structOps'],
  [/^perf_event$/, 'perfEvent'],
]

/** All answers at once, by name. */
export interface FeatureReport {
  readonly system: SystemFeatures
  readonly programTypes: Readonly<Record<string, Answer>>
  readonly mapTypes: Readonly<Record<string, Answer>>
  readonly attachTypes: Readonly<Record<string, Answer>>
  /** By program type: names of the helpers that programs of the type may call; undefined where that can't be told. */
  readonly helpers: Readonly<Record<string, readonly string[] | undefined>>
}

/**
 * Answers of the running kernel to this process. Each is asked once; nothing is ever attached, and what is loaded or created to ask is closed
 * at once.
 *
 * @example
 * features().helper('xdp', 'bpf_loop') // { answer: 'yes' }
 * features().attachType('netkit_primary') // { answer: 'no', because: 'netkit: this kernel was built without CONFIG_NETKIT' }
 */
export class Features {
  readonly #probes: AddonProbes
  readonly #programs: ProgramFeatures
  readonly #mapType = cached(askMapType)
  readonly #attachType = cached((name: string) => this.#askAttachType(name))
  #attachTypes: Readonly<Record<string, number>> | undefined | 'unasked' = 'unasked'

  /** @internal */
  constructor(probes: AddonProbes) {
    this.#probes = probes
    this.#programs = new ProgramFeatures(probes)
  }

  /** Whether programs of a type can be loaded: `programType('netfilter')`. @throws BpfError `BAD_VALUE` for a name that isn't known */
  programType(name: string): Answer {
    return this.#programs.type(name)
  }

  /** Whether maps of a type can be created: `mapType('arena')`. @throws BpfError `BAD_VALUE` for a name that isn't known */
  mapType(name: string): Answer {
    return this.#mapType(name)
  }

  /**
   * Whether the kernel knows an attach type, and was built with what it takes: `attachType('tcx_ingress')`. Told by the kernel's own types and
   * configuration, since to attach something would be to change something.
   *
   * @throws BpfError `BAD_VALUE` for a name that isn't known
   */
  attachType(name: string): Answer {
    return this.#attachType(name)
  }

  /**
   * Whether programs of a type may call a helper: `helper('xdp', 'bpf_loop')`.
   *
   * @param attachType for types whose helpers depend on it (`cgroup_sock_addr`, `cgroup_sockopt`, `tracing` …): its name; else the type's most
   *   ordinary one counts
   * @throws BpfError `BAD_VALUE` for a name that isn't known
   */
  helper(programType: string, helper: string, attachType?: string): Answer {
    return this.#programs.helper(programType, helper, attachType)
  }

  /** The machine and the process. Read anew at each call. */
  system(): SystemFeatures {
    return systemFeatures(this.#knownAttachTypes() !== undefined)
  }

  /** Everything: some six thousand questions, which take about a second. */
  report(): FeatureReport {
    return {
      system: this.system(),
      programTypes: byName(PROGRAM_TYPES, ({ name }) => this.programType(name)),
      mapTypes: byName(MAP_TYPES, ({ name }) => this.mapType(name)),
      attachTypes: byName(ATTACH_TYPE_NAMES, ({ name }) => this.attachType(name)),
      helpers: byName(PROGRAM_TYPES, ({ name }) => this.#helpersOf(name)),
    }
  }

  #helpersOf(type: string): readonly string[] | undefined {
    if (this.programType(type).answer !== 'yes') return undefined
    const answers = HELPERS.map(({ name }) => [name, this.helper(type, name).answer] as const)
    if (answers.some(([, answer]) => answer === 'unknown')) return undefined
    return answers.flatMap(([name, answer]) => (answer === 'yes' ? [`bpf_${name}`] : []))
  }

  #askAttachType(name: string): Answer {
    const number = attachTypeByName(name)
    if (number === undefined)
      throw unknownName(
        'attach type',
        name,
        ATTACH_TYPE_NAMES.map((one) => one.name),
      )
    const attachment = OF_ATTACHMENT.find(([pattern]) => pattern.test(name))?.[1]
    const known = this.#knownAttachTypes()
    const host = readHost()
    if (known !== undefined && !Object.values(known).includes(number))
      return no('this kernel is older than the attach type')
    const requirement = attachment && ATTACHMENTS[attachment]
    if (requirement !== undefined) {
      const { options } = lacksOf(requirement, host)
      if (options.length > 0)
        return no(whyRefused(attachment ?? name, { ...requirement, since: '0.0' }, 'EINVAL', host))
      if (host.options === undefined && requirement.config.length > 0) {
        return unknown(
          `it takes ${requirement.config.join(' and ')}, and the kernel's configuration is nowhere to be read`,
        )
      }
    }
    return known === undefined
      ? unknown('the kernel has no type information that would list its attach types')
      : YES
  }

  /** Enumerators of `enum bpf_attach_type`, as the running kernel has it. */
  #knownAttachTypes(): Readonly<Record<string, number>> | undefined {
    if (this.#attachTypes === 'unasked') {
      const { __MAX_BPF_ATTACH_TYPE: _end, ...known } = this.#probes.kernelEnum('bpf_attach_type') ?? {}
      this.#attachTypes = Object.keys(known).length === 0 ? undefined : known
    }
    return this.#attachTypes
  }
}

const ATTACH_TYPE_NAMES = Object.keys(BPF_ATTACH_TYPE).map((name) => ({ name: name.toLowerCase() }))

let shared: Features | undefined

/**
 * The features of the running kernel, for this process.
 *
 * @throws BpfError `NO_NATIVE_KERNEL` where there is no addon to ask with
 */
export function features(): Features {
  return (shared ??= new Features(nativeKernel().probes))
}

function byName<T>(
  items: readonly { readonly name: string }[],
  ask: (item: { readonly name: string }) => T,
): Readonly<Record<string, T>> {
  return Object.fromEntries(items.map((item) => [item.name, ask(item)]))
}
