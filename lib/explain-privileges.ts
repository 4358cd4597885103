/** What of an object will load and attach here, and what to grant so that all of it does: said before anything is tried. */
import { features } from './features/features.js'
import { no, unknown, YES, type Answer } from './features/answer.js'
import { capabilityNumber, type Capability } from './linux/capabilities.js'
import { MAP_TYPES, mapTypeName } from './linux/map-types.js'
import { programTypeByName, programTypeName } from './linux/program-types.js'
import {
  mapRequirement,
  programRequirement,
  sectionRequirement,
  type Requirement,
} from './linux/requirements.js'
import { resolveSection } from './linux/sections.js'
import { loadAddon } from './native/addon.js'
import { conditionsOf, type CheckedCondition } from './native/conditions.js'
import { lacksOf, readHost, whyRefused, type Host } from './native/lacks.js'
import { programConditions, type OwnConditions } from './program-conditions.js'
import { OpenObject } from './open-object.js'
import { readObject, type ObjectSource } from './read-object.js'

export interface Explanation {
  readonly name: string
  /** `tracing`, `ringbuf` … */
  readonly type: string
  /** Whether this process may load (or create) it here. */
  readonly loads: Answer
  /** Whether it may attach it; undefined for what is attached to nothing. Whether the target exists is another question. */
  readonly attaches: Answer | undefined
  /** What it takes, of which this process lacks `missing`. */
  readonly needs: readonly Capability[]
  readonly missing: readonly Capability[]
  /** What else must be so: mounts, sysctls, lockdown, security modules. */
  readonly conditions: readonly Condition[]
}

/** What must be so on a machine, and what no capability alone makes so. */
export interface Condition {
  /** Half a sentence, for people: `tracefs is mounted, and this user may read it`. */
  readonly what: string
  /** Whether it is so for this process. */
  readonly holds: Answer
  /** What makes it so: a command, a parameter of the kernel, or a capability that does it too. */
  readonly remedy: string
}

/** Ways to grant capabilities: each is enough. */
export interface Grants {
  /** For a copy of node: file capabilities hold for whoever may run it. */
  readonly setcap: string
  /** Lines of a unit's `[Service]` section. */
  readonly systemd: string
  /** Of a container in a pod. */
  readonly kubernetes: string
  readonly docker: string
}

export interface PrivilegeReport {
  readonly programs: readonly Explanation[]
  readonly maps: readonly Explanation[]
  /** All that loading and attaching everything takes. */
  readonly needs: readonly Capability[]
  /** What this process lacks of it. */
  readonly missing: readonly Capability[]
  readonly grant: Grants
  /** What else stands in the way, or may: each once. With `grant` alone, what needs it won't work. */
  readonly obstacles: readonly Condition[]
}

interface Part {
  readonly name: string
  readonly typeName: string
  readonly load: Requirement | undefined
  readonly attach: Requirement | undefined
  /** What its code or its place takes. */
  readonly own: OwnConditions
  /** Asks the kernel, where there is an addon to ask with. */
  ask(this: void): Answer | undefined
}

/**
 * Says which programs and maps of an object load and attach in this process, and what is missing. Loads nothing of the object; what the
 * kernel must be asked is asked with programs of two instructions (see {@link features}).
 *
 * @param object    an open object, with its settings; or a path, URL or bytes, which takes no privileges at all
 * @param elsewhere another machine or process than this one, which is judged by the tables alone
 * @throws BpfError as `open()` does for what is no object
 * @example
 * const { missing, grant } = explainPrivileges('agent.bpf.o')
 * if (missing.length > 0) console.error(`missing: ${missing.join(', ')}\n${grant.systemd}`)
 */
export function explainPrivileges(object: OpenObject | ObjectSource, elsewhere?: Host): PrivilegeReport {
  const { programs, maps } = object instanceof OpenObject ? partsOfOpen(object) : partsOfFile(object)
  const host = elsewhere ?? readHost()
  const isHere = elsewhere === undefined && 'addon' in loadAddon()
  const explain = (part: Part): Explanation => explainPart(part, host, isHere)
  const explained = { programs: programs.map(explain), maps: maps.map(explain) }
  const all = [...explained.programs, ...explained.maps]
  const needs = ordered(all.flatMap((one) => one.needs))
  const obstacles = new Map(
    all
      .flatMap((one) => one.conditions)
      .filter(({ holds }) => holds.answer !== 'yes')
      .map((condition) => [condition.what, condition]),
  )
  return {
    ...explained,
    needs,
    missing: ordered(all.flatMap((one) => one.missing)),
    grant: grantsOf(needs),
    obstacles: [...obstacles.values()],
  }
}

function partsOfOpen(object: OpenObject): {
  readonly programs: readonly Part[]
  readonly maps: readonly Part[]
} {
  return {
    programs: Object.values(object.programs)
      .filter(({ autoload }) => autoload)
      .map(({ name, type, section }) =>
        programPart(name, programTypeByName(type), section, programConditions(object.file, name)),
      ),
    maps: Object.values(object.maps)
      .filter(({ autocreate }) => autocreate)
      .map(({ name, type, pinPath }) => mapPart(name, type, pinPath?.startsWith('/sys/fs/bpf/') ?? false)),
  }
}

function partsOfFile(source: ObjectSource): {
  readonly programs: readonly Part[]
  readonly maps: readonly Part[]
} {
  const file = readObject(source)
  return {
    programs: file.programs
      .filter(({ autoload }) => autoload)
      .map(({ name, type, section }) => programPart(name, type, section, programConditions(file, name))),
    maps: file.maps.map(({ name, type, pinning }) => mapPart(name, mapTypeName(type), pinning !== 0, type)),
  }
}

function programPart(name: string, type: number | undefined, section: string, own: OwnConditions): Part {
  const typeName = programTypeName(type ?? 0)
  return {
    name,
    typeName,
    load: type === undefined ? undefined : programRequirement(type),
    attach: sectionRequirement(resolveSection(section)?.prefix ?? ''),
    own,
    ask: () => (type === undefined ? undefined : features().programType(typeName)),
  }
}

function mapPart(
  name: string,
  typeName: string,
  isPinned: boolean,
  type: number | undefined = mapTypeByName(typeName),
): Part {
  return {
    name,
    typeName,
    load: type === undefined ? undefined : mapRequirement(type),
    attach: undefined,
    own: { toLoad: isPinned ? ['pin folder'] : [], toWork: [] },
    ask: () => features().mapType(typeName),
  }
}

function mapTypeByName(name: string): number | undefined {
  return MAP_TYPES.find((info) => info.name === name)?.type
}

function explainPart(
  { name, typeName, load, attach, own, ask }: Part,
  host: Host,
  isHere: boolean,
): Explanation {
  // The kernel itself knows best: sysctls and policies count that no table can tell.
  const asked = isHere ? ask() : undefined
  const toLoad = [...conditionsOf(load?.conditions ?? [], host), ...conditionsOf(own.toLoad, host)]
  const toAttach = conditionsOf(attach?.conditions ?? [], host)
  const byType = asked?.answer === 'yes' ? undefined : (judge(typeName, load, host) ?? asked)
  const loads = byType ?? unmetAnswer(typeName, toLoad) ?? YES
  const attaching = `attaching ${name}`
  const attaches =
    attach &&
    (loads.answer === 'no'
      ? loads
      : (judge(attaching, attach, host) ?? unmetAnswer(attaching, toAttach) ?? YES))
  const wanted = [asked?.answer === 'yes' ? undefined : load, attach].filter((one) => one !== undefined)
  const all = [load, attach].filter((one) => one !== undefined)
  return {
    name,
    type: typeName,
    loads,
    attaches,
    needs: ordered(all.flatMap(({ capabilities }) => capabilities)),
    missing: ordered(wanted.flatMap((one) => lacksOf(one, host).capabilities)),
    conditions: [...toLoad, ...toAttach, ...conditionsOf(own.toWork, host)].map(asCondition),
  }
}

/** The first condition that isn't met, or of which nobody can tell; undefined: there is none. */
function unmetAnswer(what: string, conditions: readonly CheckedCondition[]): Answer | undefined {
  const found =
    conditions.find(({ isMet }) => isMet === false) ?? conditions.find(({ isMet }) => isMet === undefined)
  if (found === undefined) return undefined
  const because = `${what}: ${found.because}`
  return found.isMet === false ? no(because) : unknown(because)
}

function asCondition({ what, isMet, because, remedy }: CheckedCondition): Condition {
  return { what, holds: isMet === true ? YES : isMet === false ? no(because) : unknown(because), remedy }
}

/** What the table of requirements says against it; undefined: nothing. */
function judge(what: string, requirement: Requirement | undefined, host: Host): Answer | undefined {
  if (requirement === undefined) return { answer: 'unknown', because: `nobody knows what ${what} takes` }
  const { capabilities, options, version } = lacksOf(requirement, host)
  if (capabilities.length > 0)
    return { answer: 'no', because: whyRefused(what, requirement, 'EPERM', host) ?? '' }
  if (version !== undefined || options.length > 0) {
    return { answer: 'no', because: whyRefused(what, requirement, 'EINVAL', host) ?? '' }
  }
  return undefined
}

function ordered(capabilities: readonly Capability[]): readonly Capability[] {
  return [...new Set(capabilities)].toSorted((a, b) => capabilityNumber(b) - capabilityNumber(a))
}

/** The ways to grant a set of capabilities. */
export function grantsOf(capabilities: readonly Capability[]): Grants {
  const short = capabilities.map((name) => name.slice('CAP_'.length))
  return {
    setcap: `setcap ${capabilities.map((name) => name.toLowerCase()).join(',')}=ep ./node`,
    systemd: `AmbientCapabilities=${capabilities.join(' ')}\nCapabilityBoundingSet=${capabilities.join(' ')}\n`,
    kubernetes: `securityContext:\n  capabilities:\n    add: [${short.join(', ')}]\n`,
    docker: short.map((name) => `--cap-add ${name}`).join(' '),
  }
}
