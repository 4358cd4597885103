/** An object in libbpf's hands. */
import { release } from 'node:os'
import { BpfError } from '../errors.js'
import type {
  AttachTarget,
  Attachment,
  KernelLink,
  KernelObject,
  MapConfig,
  MapSpec,
  ProgramConfig,
  ProgramSpec,
} from '../kernel.js'
import { BPF_MAP_TYPE } from '../linux/map-types.js'
import { didYouMean } from '../nearest.js'
import type { ProgramDefinition } from '../object-file/types.js'
import type { Addon, AddonLink, AddonMapSpec, AddonObject, MapNumber, ProgramNumber } from './addon-types.js'
import { NativeLink } from './link.js'
import { typeIsTooNew, withSource } from './load-failure.js'
import { programLogs } from './load-log.js'
import { attachesItself, explainAttachAll } from './section-request.js'
import { assertLsmRuns } from './lsm.js'
import { NativeMap } from './map.js'
import { fdOf } from './native-handle.js'
import { aimNewerSections, teachNewerSections } from './newer-sections.js'
import { NativeProgram } from './program.js'
import { explainLoad } from './refusal.js'
import { sourceLine } from './source-line.js'
import { explainTarget, noTraceTarget } from './trace-target.js'

/** Settings that are numbers to libbpf, in the order in which they are made: sizes are checked against the type. */
const MAP_NUMBERS: readonly MapNumber[] = [
  'type', 'keySize', 'valueSize', 'maxEntries', 'flags', 'numaNode', 'autocreate',
] // prettier-ignore
const PROGRAM_NUMBERS: readonly ProgramNumber[] = [
  'type', 'expectedAttachType', 'flags', 'logLevel', 'autoload', 'autoattach',
] // prettier-ignore

export class NativeObject implements KernelObject {
  readonly #addon: Addon
  readonly #handle: AddonObject
  readonly #name: string
  readonly #definitions: readonly ProgramDefinition[]
  readonly #mapIndex: ReadonlyMap<string, number>
  readonly #programIndex: ReadonlyMap<string, number>
  readonly #maps = new Map<string, NativeMap>()
  readonly #programs = new Map<string, NativeProgram>()
  /** Programs whose sections this libbpf doesn't know: they are attached without it. */
  readonly #byRequest: ReadonlySet<string>
  /** Programs that were given an attach target. */
  readonly #targeted = new Set<string>()
  #mapSpecs: readonly MapSpec[]
  #programSpecs: readonly ProgramSpec[]
  #logs: ReadonlyMap<string, string> = new Map()

  /** @param definitions the object file's programs, as far as they are known: for errors */
  constructor(addon: Addon, handle: AddonObject, name: string, definitions: readonly ProgramDefinition[]) {
    this.#addon = addon
    this.#handle = handle
    this.#name = name
    this.#definitions = definitions
    this.#byRequest = teachNewerSections(handle)
    this.#mapSpecs = readMapSpecs(handle)
    this.#programSpecs = handle.programSpecs()
    this.#mapIndex = new Map(this.#mapSpecs.map((spec, index) => [spec.name, index]))
    this.#programIndex = new Map(this.#programSpecs.map((spec, index) => [spec.name, index]))
  }

  get maps(): readonly MapSpec[] {
    return this.#mapSpecs
  }

  get programs(): readonly ProgramSpec[] {
    return this.#programSpecs
  }

  configureMap(map: string, config: MapConfig): void {
    const index = this.#indexOf(this.#mapIndex, 'map', map)
    for (const setting of MAP_NUMBERS) {
      const value = config[setting]
      if (value !== undefined) this.#handle.setMap(index, setting, Number(value))
    }
    if (config.mapExtra !== undefined) this.#handle.setMapExtra(index, config.mapExtra)
    if (config.pinPath !== undefined) this.#handle.setPinPath(index, config.pinPath ?? undefined)
    if (config.inner !== undefined) this.#handle.setInnerMap(index, fdOf(config.inner, `inner map of '${map}'`))
    if (config.reuse !== undefined) this.#handle.reuseMap(index, fdOf(config.reuse, `map to reuse as '${map}'`))
    // Read back: libbpf rounds the size of a ring buffer up to what the kernel takes.
    this.#mapSpecs = readMapSpecs(this.#handle)
  }

  configureProgram(program: string, config: ProgramConfig): void {
    const index = this.#indexOf(this.#programIndex, 'program', program)
    for (const setting of PROGRAM_NUMBERS) {
      const value = config[setting]
      if (value !== undefined) this.#handle.setProgram(index, setting, Number(value))
    }
    if (config.attachTarget !== undefined) this.#setAttachTarget(index, program, config.attachTarget)
    this.#programSpecs = this.#handle.programSpecs()
  }

  initialValue(map: string): Uint8Array | undefined {
    return this.#handle.initialValue(this.#indexOf(this.#mapIndex, 'map', map))
  }

  setInitialValue(map: string, offset: number, bytes: Uint8Array): void {
    this.#handle.setInitialValue(this.#indexOf(this.#mapIndex, 'map', map), offset, bytes)
  }

  load(): void {
    try {
      aimNewerSections(this.#handle, this.#byRequest, this.#targeted)
      this.#loaded(this.#handle.load())
    } catch (error) {
      throw this.#explained(error)
    }
  }

  async loadAsync(): Promise<void> {
    try {
      aimNewerSections(this.#handle, this.#byRequest, this.#targeted)
      this.#loaded(await this.#handle.loadAsync())
    } catch (error) {
      throw this.#explained(error)
    }
  }

  map(name: string): NativeMap {
    const known = this.#maps.get(name)
    if (known?.closed === false) return known
    const index = this.#indexOf(this.#mapIndex, 'map', name)
    if (this.#mapSpecs[index]?.autocreate === false) {
      throw new BpfError('BAD_PHASE', `map '${name}' was not created: its autocreate is off`)
    }
    const handle = this.#handle.map(index, `map '${name}'`)
    const map = new NativeMap(this.#addon, handle, name, {
      attach: () => this.#attachStructOps(index, name),
      update: (link) => this.#handle.updateStructOps(index, link, `map '${name}'`),
    })
    this.#maps.set(name, map)
    return map
  }

  program(name: string): NativeProgram {
    const known = this.#programs.get(name)
    if (known !== undefined) return known
    const index = this.#indexOf(this.#programIndex, 'program', name)
    const spec = this.#programSpecs[index]
    const { section = '', expectedAttachType = 0 } = spec ?? {}
    const origin = { name, section, expectedAttachType, attachedByLibbpf: !this.#byRequest.has(name) }
    const handle = this.#handle.program(index, subjectOf({ name, section }))
    if (spec?.autoload === false) {
      handle.close()
      throw new BpfError('BAD_PHASE', `program '${name}' was not loaded: its autoload is off`)
    }
    const program = new NativeProgram(this.#addon, handle, origin, this.#logs.get(name) ?? '')
    this.#programs.set(name, program)
    return program
  }

  attachAll(): readonly Attachment[] {
    for (const spec of this.#programSpecs) if (spec.autoload && spec.autoattach) assertLsmRuns(spec)
    const handles = this.#attachPrograms()
    const attached: Attachment[] = this.#programSpecs.flatMap(({ name, section }, index) => {
      const handle = handles[index]
      return handle === undefined ? [] : [{ name, link: new NativeLink(handle, section) }]
    })
    try {
      for (const spec of this.#programSpecs) {
        if (!this.#byRequest.has(spec.name) || !attachesItself(spec)) continue
        attached.push({ name: spec.name, link: this.program(spec.name).attach() })
      }
      for (const { name, type, autocreate } of this.#mapSpecs) {
        if (type !== BPF_MAP_TYPE.STRUCT_OPS || !autocreate) continue
        attached.push({ name, link: this.map(name).attachStructOps() })
      }
    } catch (error) {
      for (const { link } of attached.toReversed()) link.close()
      throw error
    }
    return attached
  }

  close(): void {
    for (const map of this.#maps.values()) map.close()
    for (const program of this.#programs.values()) program.close()
    this.#maps.clear()
    this.#programs.clear()
    this.#handle.close()
  }

  #attachPrograms(): readonly (AddonLink | undefined)[] {
    try {
      return this.#handle.attachPrograms(this.#programSpecs.map(subjectOf))
    } catch (error) {
      throw explainAttachAll(error)
    }
  }

  #setAttachTarget(index: number, program: string, { name, program: target }: AttachTarget): void {
    const fd = target === undefined ? 0 : fdOf(target, `attach target of '${program}'`)
    try {
      this.#handle.setAttachTarget(index, fd, name)
    } catch (error) {
      // ESRCH: not in the kernel; of another program it is ENOENT.
      const spec = this.#programSpecs[index]
      const isMissing = error instanceof BpfError && error.code === 'ESRCH' && spec !== undefined
      throw (isMissing ? noTraceTarget(error, spec, name) : undefined) ?? error
    }
    this.#targeted.add(program)
  }

  #attachStructOps(index: number, name: string): KernelLink {
    return new NativeLink(this.#handle.attachStructOps(index, `link of map '${name}'`), `struct_ops ${name}`)
  }

  /** What load() changed: value sizes of struct_ops maps, the number of entries of perf event arrays … */
  #loaded(printed: string): void {
    this.#logs = programLogs(printed)
    this.#mapSpecs = readMapSpecs(this.#handle)
    this.#programSpecs = this.#handle.programSpecs()
  }

  /** What libbpf and the kernel said of a failed load, with what they don't know: the object file and the kernel's age. */
  #explained(error: unknown): unknown {
    const find = (program: string, insn: number) => sourceLine(this.#definitions, program, insn)
    return (
      typeIsTooNew(error, this.#programSpecs, release()) ??
      explainTarget(error, this.#programSpecs) ??
      explainLoad(error, this.#programSpecs, this.#mapSpecs) ??
      withSource(error, find) ??
      error
    )
  }

  #indexOf(names: ReadonlyMap<string, number>, kind: 'map' | 'program', name: string): number {
    const index = names.get(name)
    if (index !== undefined) return index
    const hint = didYouMean(name, names.keys())
    throw new BpfError('NOT_FOUND', `object '${this.#name}' has no ${kind} '${name}'`, hint === undefined ? {} : { hint })
  }
}

function readMapSpecs(handle: AddonObject): readonly MapSpec[] {
  return handle.mapSpecs().map(mapSpec)
}

function mapSpec({ name, internal, mapExtra = 0n, inner, ...spec }: AddonMapSpec): MapSpec {
  return {
    // libbpf puts the object's name in front of the section's.
    name: internal ? name.slice(Math.max(name.indexOf('.'), 0)) : name,
    ...spec,
    mapExtra,
    ...(inner !== undefined && { inner: mapSpec(inner) }),
  }
}

/** For messages, and where failure.ts finds the section. */
function subjectOf({ name, section }: Pick<ProgramSpec, 'name' | 'section'>): string {
  return `program '${name}' of SEC("${section}")`
}
