/** A program between open and load. */
import { checkBoolean, checkDescriptor, checkName, checkText, checkUint32 } from './checked-settings.js'
import { BpfError } from './errors.js'
import type { KernelObject, ProgramConfig, ProgramSpec } from './kernel.js'
import { BPF_ATTACH_TYPE, attachTypeByName, attachTypeName } from './linux/attach-types.js'
import { PROGRAM_TYPES, programTypeByName, programTypeName } from './linux/program-types.js'
import { Program } from './program.js'

/** BPF_LOG_LEVEL1, BPF_LOG_LEVEL2, BPF_LOG_STATS of Linux's verifier, and all that they add up to. */
const MAX_LOG_LEVEL = 7

/**
 * What `load()` will load.
 *
 * Lifetime: until `load()` or `close()` of its object.
 *
 * @example
 * spec.programs.handle_exit.autoload = false
 * spec.programs.trace.setAttachTarget('tcp_connect')
 * spec.programs.trace.logLevel = 1 // object.program('trace').log
 */
export class ProgramSettings {
  readonly #object: KernelObject
  readonly #find: () => ProgramSpec
  readonly name: string

  /**
   * @internal
   * @param find what the kernel's object says of it now
   */
  constructor(object: KernelObject, name: string, find: () => ProgramSpec) {
    this.#object = object
    this.#find = find
    this.name = name
  }

  /** The `SEC()` name. */
  get section(): string {
    return this.#find().section
  }

  /** Program type under bpftool's name. A program whose type was changed isn't attached by its `SEC()` name any more. */
  get type(): string {
    return programTypeName(this.#find().type)
  }

  set type(type: string) {
    const what = `program '${this.name}': type`
    this.#configure({
      type: checkName(what, type, programTypeByName, () => PROGRAM_TYPES.map(({ name }) => name)),
    })
  }

  /** Attach type under libbpf's name, such as `cgroup_inet_ingress` or `trace_fentry`. The verifier looks at it for many types. */
  get expectedAttachType(): string {
    return attachTypeName(this.#find().expectedAttachType)
  }

  set expectedAttachType(type: string) {
    const names = (): string[] => Object.values(BPF_ATTACH_TYPE).map(attachTypeName)
    const what = `program '${this.name}': expectedAttachType`
    this.#configure({ expectedAttachType: checkName(what, type, attachTypeByName, names) })
  }

  /** BPF_F_* of BPF_PROG_LOAD, such as BPF_F_SLEEPABLE (16), beside what the `SEC()` name stands for. */
  get flags(): number {
    return this.#find().flags
  }

  set flags(flags: number) {
    this.#configure({ flags: checkUint32(`program '${this.name}': flags`, flags) })
  }

  /** Whether `load()` loads it. Off for sections that start with `?`. */
  get autoload(): boolean {
    return this.#find().autoload
  }

  set autoload(autoload: boolean) {
    this.#configure({ autoload: checkBoolean(`program '${this.name}': autoload`, autoload) })
  }

  /** Whether `object.attach()` attaches it. */
  get autoattach(): boolean {
    return this.#find().autoattach
  }

  set autoattach(autoattach: boolean) {
    this.#configure({ autoattach: checkBoolean(`program '${this.name}': autoattach`, autoattach) })
  }

  /**
   * What the verifier is to tell of a program that it accepts, in `program.log`: 1 the paths that it took, 2 every state, 4 added to either
   * or alone, statistics; 0 nothing. Of a program that it refuses it tells in `error.verifier.log` anyway.
   */
  get logLevel(): number {
    return this.#find().logLevel
  }

  set logLevel(logLevel: number) {
    if (!Number.isInteger(logLevel) || logLevel < 0 || logLevel > MAX_LOG_LEVEL)
      throw new BpfError(
        'BAD_VALUE',
        `program '${this.name}': logLevel goes from 0 to ${MAX_LOG_LEVEL}, not ${String(logLevel)}`,
      )
    this.#configure({ logLevel })
  }

  /**
   * What it will be attached to, in place of what the `SEC()` name says: for `fentry`, `fexit`, `fmod_ret`, `freplace`, `tp_btf`, `lsm` and
   * `iter` programs.
   *
   * @param name    function, hook or tracepoint
   * @param program whose function it is, if it isn't the kernel's: a program of the same kernel, or its file descriptor
   * @throws BpfError `ESRCH` or `ENOENT` where there is no such thing
   */
  setAttachTarget(name: string, program?: Program | number): void {
    const what = `program '${this.name}': setAttachTarget()`
    checkText(what, name)
    if (program !== undefined && typeof program !== 'number' && !(program instanceof Program))
      throw new BpfError('BAD_VALUE', `${what} takes a Program or a file descriptor behind the name`)
    const target = program instanceof Program ? program.kernelProgram : program
    if (typeof target === 'number') checkDescriptor(what, target)
    this.#configure({ attachTarget: { name, program: target } })
  }

  #configure(config: ProgramConfig): void {
    this.#object.configureProgram(this.name, config)
  }
}
