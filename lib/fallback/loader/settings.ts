/** What was configured of an object's maps and programs before it was loaded. */
import { BpfError, unsupported } from '../../errors.js'
import type { KernelMap, MapConfig, MapSpec, ProgramConfig, ProgramSpec } from '../../kernel.js'
import { BPF_MAP_TYPE } from '../../linux/map-types.js'
import { BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import { resolveSection, whyNotAttachable } from '../../linux/sections.js'
import type { MapDefinition, ProgramDefinition } from '../../object-file/types.js'
import { EINVAL } from '../errors.js'
import { ringBufferSize } from '../maps/create.js'
import { FallbackMap } from '../maps/kernel-map.js'
import type { LoadedMap } from '../maps/loaded-map.js'
import type { Memory } from '../memory.js'

const UINT32 = 0xffffffff
const UINT64 = (1n << 64n) - 1n

const NUMBERS = ['type', 'keySize', 'valueSize', 'maxEntries', 'flags', 'numaNode'] as const
/** What changes the layout of a map's memory: it is the object's own of global data and struct_ops. */
const SHAPES: ReadonlySet<string> = new Set(['type', 'keySize', 'valueSize', 'maxEntries'])

export class MapSetting {
  readonly definition: MapDefinition
  /** The map that takes its place. */
  reused: LoadedMap | undefined
  #spec: MapSpec

  constructor(definition: MapDefinition) {
    this.definition = definition
    const { name, type, keySize, valueSize, maxEntries, flags, numaNode, mapExtra, structOps } = definition
    const autocreate = structOps?.autocreate ?? true
    this.#spec = { name, type, keySize, valueSize, maxEntries, flags, numaNode, mapExtra, autocreate }
  }

  /** As it will be created, or as the map is that takes its place. */
  get spec(): MapSpec {
    if (this.reused !== undefined) return { ...this.#spec, ...pickAttributes(this.reused) }
    const { type, maxEntries } = this.#spec
    return type === BPF_MAP_TYPE.RINGBUF || type === BPF_MAP_TYPE.USER_RINGBUF
      ? { ...this.#spec, maxEntries: ringBufferSize(maxEntries) }
      : this.#spec
  }

  /** @throws BpfError `BAD_VALUE`, `EINVAL` for the shape of what has a layout of its own, `UNSUPPORTED` naming what isn't there */
  configure(config: MapConfig, memory: Memory): void {
    const { name, data, structOps } = this.definition
    for (const setting of NUMBERS) {
      const value = config[setting]
      if (value === undefined) continue
      if (!Number.isInteger(value) || value < 0 || value > UINT32) {
        throw new BpfError(
          'BAD_VALUE',
          `map '${name}': ${setting} is an unsigned 32-bit integer, not ${value}`,
        )
      }
      if (SHAPES.has(setting) && (data !== undefined || structOps !== undefined)) {
        throw new BpfError('EINVAL', `map '${name}': ${setting} is that of its variables`, { errno: -EINVAL })
      }
      this.#spec = { ...this.#spec, [setting]: value }
    }
    const { mapExtra, autocreate, pinPath, inner, reuse } = config
    if (mapExtra !== undefined) {
      if (mapExtra < 0n || mapExtra > UINT64)
        throw new BpfError(
          'BAD_VALUE',
          `map '${name}': mapExtra is an unsigned 64-bit integer, not ${mapExtra}`,
        )
      this.#spec = { ...this.#spec, mapExtra }
    }
    if (autocreate !== undefined) this.#spec = { ...this.#spec, autocreate }
    if (typeof pinPath === 'string') throw unsupported(`pinning map '${name}' at load in the fallback kernel`)
    if (inner !== undefined) throw unsupported(`inner-map templates (map '${name}') in the fallback kernel`)
    if (reuse !== undefined) this.#reuse(reuse, memory)
  }

  #reuse(map: KernelMap | number, memory: Memory): void {
    const { name, data, structOps, valueSize } = this.definition
    if (typeof map === 'number') throw unsupported('maps by file descriptor in the fallback kernel')
    const shared = map instanceof FallbackMap ? map.share(memory) : undefined
    if (shared === undefined)
      throw new BpfError('BAD_VALUE', `map to reuse as '${name}': '${map.info.name}' is not in this kernel`)
    const { info } = map
    const fits = info.type === this.#spec.type && info.valueSize === valueSize && info.maxEntries === 1
    if (structOps !== undefined || (data !== undefined && !fits)) {
      shared.release()
      throw new BpfError('EINVAL', `map '${name}': '${info.name}' can't take its place`, {
        errno: -EINVAL,
        hint: 'Another map takes the place of one of global data only if its type and sizes are the same; of struct_ops, never',
      })
    }
    this.reused?.release()
    this.reused = shared
  }

  /** Lets go of the map that takes its place. */
  close(): void {
    this.reused?.release()
    this.reused = undefined
  }
}

function pickAttributes({ storage }: LoadedMap): Partial<MapSpec> {
  const { type, keySize, valueSize, maxEntries, flags, mapExtra } = storage.attributes
  return { type, keySize, valueSize, maxEntries, flags, mapExtra }
}

export class ProgramSetting {
  readonly #definition: ProgramDefinition
  #spec: ProgramSpec
  #target: string | undefined

  constructor(definition: ProgramDefinition) {
    this.#definition = definition
    const { name, section, type = 0, expectedAttachType, autoload } = definition
    this.#spec = {
      name,
      section,
      type,
      expectedAttachType,
      flags: 0,
      logLevel: 0,
      autoload,
      autoattach: true,
    }
  }

  get spec(): ProgramSpec {
    return this.#spec
  }

  /** The program as it is to be loaded. */
  get definition(): ProgramDefinition {
    const { type, expectedAttachType, flags } = this.#spec
    return {
      ...this.#definition,
      type: type === 0 ? undefined : type,
      expectedAttachType,
      target: this.#target ?? this.#definition.target,
      sleepable: this.#definition.sleepable || (flags & BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE) !== 0,
    }
  }

  /** Whether `attachAll()` attaches it: as in libbpf, a program of another type than its section's is attached by hand. */
  get attachesByItself(): boolean {
    const { section, type, autoload, autoattach } = this.#spec
    const entry = resolveSection(section)
    if (!autoload || !autoattach || entry?.type !== type) return false
    return whyNotAttachable(section) === undefined || (entry.attachesByName && this.#target !== undefined)
  }

  /** @throws BpfError `BAD_VALUE`, `UNSUPPORTED` naming what isn't there */
  configure({ attachTarget, ...changes }: ProgramConfig): void {
    const { name } = this.#definition
    for (const setting of ['type', 'expectedAttachType', 'flags', 'logLevel'] as const) {
      const value = changes[setting]
      if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= UINT32)) continue
      throw new BpfError(
        'BAD_VALUE',
        `program '${name}': ${setting} is an unsigned 32-bit integer, not ${value}`,
      )
    }
    if ((changes.logLevel ?? 0) !== 0)
      throw unsupported(`a verifier log (program '${name}') in the fallback kernel`)
    if (attachTarget?.program !== undefined)
      throw unsupported(`other programs as attach targets (program '${name}') in the fallback kernel`)
    const given = Object.entries(changes).filter(([, value]) => value !== undefined)
    this.#spec = { ...this.#spec, ...Object.fromEntries(given) }
    if (attachTarget !== undefined) this.#target = attachTarget.name
  }
}
