/** The fallback kernel: Linux's part of eBPF, simulated. */
import { parseBtf } from '../btf/parse.js'
import { BpfError, unsupported } from '../errors.js'
import type {
  Kernel,
  KernelLink,
  LinkReference,
  KernelMap,
  KernelObject,
  KernelReader,
  MapAttributes,
  MapReference,
  OpenObjectOptions,
  RecordSink,
  TraceOptions,
  VerifyAnswer,
  VerifyRequest,
} from '../kernel.js'
import { parseKconfig } from '../linux/kconfig.js'
import { didYouMean } from '../nearest.js'
import type { ObjectFile } from '../object-file/types.js'
import { describe } from './describe.js'
import { Debugger } from './debug/debugger.js'
import { FallbackIntrospection } from './introspection.js'
import { createHelpers } from './helpers/index.js'
import type { Clock, ClockMode } from './hooks/clock.js'
import { prepareArguments, withContext, type TracepointArguments } from './hooks/context.js'
import { KernelStruct, type FieldValues } from './hooks/kernel-struct.js'
import type { Tasks } from './hooks/tasks.js'
import { Tracepoints } from './hooks/tracepoints.js'
import type { KernelVariable } from './hooks/variables.js'
import { TargetTypes } from './loader/core/match.js'
import { FallbackObject, type ObjectHost } from './loader/object.js'
import { hiddenContexts } from './packets/hidden-context.js'
import { SkBuff } from './packets/sk-buff.js'
import { Machine } from './machine.js'
import { valueAccess } from './maps/types.js'
import { createKernelMap, openKernelMap } from './maps/open.js'
import { RingReader } from './maps/ring-reader.js'
import { openKernelLink } from './link.js'
import type { LoadedProgram } from './program.js'
import type { TraceLog } from './trace-log.js'
import { createTailCall } from './tail-call.js'
import { TraceSource } from './trace-source.js'
import { ENGINE_NAMES } from './vm/engine.js'
import type { EngineEnvironment, EngineName } from './vm/types.js'
import type { IntrinsicTables } from './vm/wasm/intrinsic-tables.js'

export interface FallbackOptions {
  /** Possible CPUs. Default 1. */
  readonly cpus?: number
  /** Default `'manual'`: time stands still until `kernel.clock.advance()`. */
  readonly clock?: ClockMode
  /** Of bpf_get_prandom_u32. Default 1. */
  readonly seed?: number
  /**
   * The types that CO-RE resolves against, and by which simulated kernel objects are laid out: `'own'` (default), those of each object; or
   * the bytes of a kernel's BTF, such as `/sys/kernel/btf/vmlinux`.
   */
  readonly btf?: 'own' | Uint8Array
  /** Instructions after which a program is stopped with a trap. Default 100 million. */
  readonly fuel?: number
  /**
   * What runs programs: the interpreter; a compiler to WebAssembly; or `'auto'` (default), the compiler where WebAssembly may be compiled and the
   * program isn't too large for it, else the interpreter. They differ in speed alone.
   */
  readonly engine?: EngineName
  /**
   * Whether programs are verified when they are loaded. Default true. With `false` they run as they are, in a sandbox: every access is
   * checked and every loop counted, so that what a verifier would have found is a `TRAP` where it happens, which names the instruction, its
   * source line and the address. Nothing runs for ever, and nothing is touched but what programs of this kernel may access.
   */
  readonly verify?: boolean
  /**
   * Bytes of the simulated kernel's memory: maps, tasks, stacks. What doesn't fit is `ENOMEM`. From 128 KiB to 4 GiB - 64 KiB, in steps of
   * 64 KiB; default 1 GiB, of which only what is used is taken.
   */
  readonly memoryBytes?: number
  /**
   * Variables of the kernel, by name: what `extern … __ksym` finds. Programs can read them, and no more. Contents are bytes or values by member; an
   * array has one for each CPU; a bigint is an address and nothing else.
   *
   * @example
   * createKernel({ cpus: 2, variables: { runqueues: [{ nr_running: 3 }, { nr_running: 0 }], jiffies: bytes, schedule: 0xffffffff81000000n } })
   */
  readonly variables?: Readonly<Record<string, KernelVariable>>
  /** Indices of network interfaces that device maps may name, besides the loopback, which is 1. They have no packets of their own. Default: none. */
  readonly interfaces?: readonly number[]
  /** Kernel options for `extern … __kconfig`, as lines `CONFIG_NAME=value` of .config. What `open({ kconfig })` says counts before them. */
  readonly kconfig?: string
}

/** What one attached program answered. */
export interface FireResult {
  readonly program: string
  /** r0 as an unsigned 32-bit number. Tracepoints don't look at it. */
  readonly retval: number
}

const MAX_CPUS = 8192
const MIN_MEMORY = 128 << 10
const MAX_MEMORY = 2 ** 32 - 65536
const OPTIONS: readonly string[] = [
  'cpus',
  'clock',
  'seed',
  'btf',
  'fuel',
  'engine',
  'verify',
  'memoryBytes',
  'variables',
  'interfaces',
  'kconfig',
]
const DEFAULT_FUEL = 100_000_000
/** Names in front of a tracepoint's own, with the spellings that libbpf knows. */
const PREFIXES: readonly string[] = ['tp_btf', 'raw_tp', 'raw_tracepoint']

/**
 * A kernel of one's own. Several can live side by side: they share nothing.
 *
 * It is driven by a test: tasks and clock do what they are told, and tracepoints fire when tasks start and end or when `fire()` says so.
 * Nothing of it holds the event loop, save open ring-buffer readers.
 */
export class FallbackKernel implements Kernel {
  readonly name = 'fallback'
  readonly description = 'simulated kernel in TypeScript (as Linux 6.18)'
  readonly possibleCpus: number
  readonly introspection: FallbackIntrospection
  readonly clock: Clock
  readonly tasks: Tasks
  /** What programs print with bpf_printk(). */
  readonly printk: TraceLog
  /** Known tracepoints; `define()` adds one's own. */
  readonly tracepoints: Tracepoints<LoadedProgram> = new Tracepoints<LoadedProgram>()
  readonly #machine: Machine
  readonly #host: ObjectHost

  /**
   * @param parts what takes the place of the kernel's own parts: not for users
   * @throws BpfError `BAD_VALUE` for an option out of range, `BAD_BTF`
   */
  constructor(options: FallbackOptions = {}, parts: Pick<EngineEnvironment, 'proof'> = {}) {
    checkOptions(options)
    const { clock = 'manual', btf = 'own', engine = 'auto', verify = true, memoryBytes } = options
    const { variables = {}, interfaces = [], kconfig = '' } = options
    if (typeof kconfig !== 'string')
      throw new BpfError('BAD_VALUE', `option kconfig is lines of .config, not ${describe(kconfig)}`)
    if (clock !== 'manual' && clock !== 'real')
      throw new BpfError('BAD_VALUE', `option clock is 'manual' or 'real', not '${String(clock)}'`)
    if (!ENGINE_NAMES.includes(engine))
      throw new BpfError(
        'BAD_VALUE',
        `option engine is one of ${ENGINE_NAMES.join(', ')}, not ${describe(engine)}`,
      )
    if (typeof verify !== 'boolean')
      throw new BpfError('BAD_VALUE', `option verify is true or false, not ${describe(verify)}`)
    this.possibleCpus = integer('cpus', options.cpus ?? 1, 1, MAX_CPUS)
    const fuel = integer('fuel', options.fuel ?? DEFAULT_FUEL, 1, Number.MAX_SAFE_INTEGER)
    const seed = integer('seed', options.seed ?? 1, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    this.#machine = new Machine({
      cpus: this.possibleCpus,
      clock,
      seed,
      fuel,
      memoryBytes:
        memoryBytes === undefined ? undefined : integer('memoryBytes', memoryBytes, MIN_MEMORY, MAX_MEMORY),
      variables,
      interfaces: interfaceIndices(interfaces),
      fire: (name, args) => void this.#fire(name, args),
    })
    this.introspection = new FallbackIntrospection(this.#machine)
    this.clock = this.#machine.clock
    this.tasks = this.#machine.tasks
    this.printk = this.#machine.trace
    const { memory } = this.#machine
    const target = targets(btf)
    this.#host = {
      machine: this.#machine,
      environment: {
        memory,
        fuel,
        engine,
        sandboxed: !verify,
        helpers: createHelpers(this.#machine),
        tailCall: createTailCall(this.#machine),
        packetAt: (context, offset, size) => packetAt(this.#machine, context, offset, size),
        ...(!verify && {
          hiddenContexts: (type, attachType) => hiddenContexts(this.#machine.packets, type, attachType),
        }),
        intrinsics: intrinsicsOf(this.#machine),
        ...(parts.proof !== undefined && { proof: parts.proof }),
      },
      tracepoints: this.tracepoints,
      targetFor: target,
      kconfig: parseKconfig(kconfig),
    }
  }

  /** The CPU on which programs run: 0 … possibleCpus - 1. */
  get cpu(): number {
    return this.#machine.cpus.current
  }

  set cpu(cpu: number) {
    this.#machine.cpus.current = integer('cpu', cpu, 0, this.possibleCpus - 1)
  }

  /** Bytes of the simulated kernel's memory that are in use: a test can see that nothing is left behind. */
  get usedBytes(): number {
    return this.#machine.memory.usedBytes
  }

  openTrace(sink: RecordSink, options: TraceOptions): KernelReader {
    return new RingReader([new TraceSource(this.#machine.trace)], sink, options)
  }

  openObject(file: ObjectFile, options: OpenObjectOptions): KernelObject {
    return new FallbackObject(this.#host, file, options)
  }

  verifyProgram(file: ObjectFile, request: VerifyRequest): VerifyAnswer {
    const { program, type, attachType, object: options, target } = request
    const object = new FallbackObject(this.#host, file, options)
    if (type !== undefined) object.configureProgram(program, { type })
    if (attachType !== undefined) object.configureProgram(program, { expectedAttachType: attachType })
    if (target?.name !== undefined) object.configureProgram(program, { attachTarget: { name: target.name } })
    const extended =
      target && new FallbackObject(this.#host, target.file, target.object).describe(target.program)
    const { errno, reason, log, milliseconds } = object.judge(program, { ...request, extended })
    return { errno, reason, log, milliseconds }
  }

  createMap(attributes: MapAttributes): KernelMap {
    return createKernelMap(this.#machine, attributes)
  }

  openMap(reference: MapReference): KernelMap {
    return openKernelMap(this.#machine, reference)
  }

  openLink(reference: LinkReference): KernelLink {
    return openKernelLink(this.#machine, reference)
  }

  openPidfd(): never {
    throw unsupported('file descriptors of processes in the fallback kernel')
  }

  /** A simulated kernel object, for arguments of `fire()` and fields of tasks: `kernel.struct('pt_regs', { di: 1 })`. */
  struct(type: string, fields: FieldValues): KernelStruct {
    if (typeof type !== 'string' || typeof fields !== 'object' || fields === null)
      throw new BpfError(
        'BAD_VALUE',
        `struct() takes a name and values by member: struct('pt_regs', { di: 1 })`,
      )
    return new KernelStruct(type, fields, this.#machine.changes, 'test')
  }

  /**
   * Opens a debugger of a program of this kernel. The program runs in the interpreter until it is closed.
   *
   * @throws BpfError `BAD_VALUE` for a program of another kernel or one that isn't loaded any more, `EBUSY` where it has a debugger
   *
   * @example
   * using debug = kernel.debug(object.program('handle_exec'))
   * debug.breakpoint({ line: 42 }, (stop) => console.log(stop.text, stop.registers))
   */
  debug(program: { readonly id: number; readonly name: string }): Debugger {
    const loaded = this.#machine.programs.get(program?.id)
    if (loaded === undefined || loaded.name !== program.name)
      throw new BpfError(
        'BAD_VALUE',
        `debug() takes a loaded program of this kernel, not ${describe(program)}`,
      )
    return new Debugger(loaded)
  }

  /**
   * Fires a tracepoint: everything that is attached to it runs, `tp_btf` and `raw_tp` programs alike, in the order in which it was
   * attached, with the current task and CPU.
   *
   * @param target `tp_btf/sched_process_exec` or `raw_tp/sched_process_exec`
   * @param args   values in order, or by name
   * @throws BpfError `ENOENT` for an unknown tracepoint, `BAD_VALUE` for arguments that don't fit it, `TRAP` for what a program did
   *
   * @example
   * kernel.fire('tp_btf/sched_process_exec', { p: kernel.tasks.current, bprm: { filename: '/bin/ls' } })
   */
  fire(target: string, args: TracepointArguments = []): readonly FireResult[] {
    if (typeof target !== 'string')
      throw new BpfError(
        'BAD_VALUE',
        `fire() takes a tracepoint: 'tp_btf/sched_process_exec', not ${describe(target)}`,
      )
    const slash = target.indexOf('/')
    const prefix = target.slice(0, Math.max(slash, 0))
    if (!PREFIXES.includes(prefix)) {
      const hint = didYouMean(
        target,
        PREFIXES.flatMap((known) => this.tracepoints.names.map((name) => `${known}/${name}`)),
      )
      throw new BpfError(
        'UNSUPPORTED',
        `UNSUPPORTED: firing '${target}' in the fallback kernel: it fires tp_btf/… and raw_tp/…`,
        {
          ...(hint?.startsWith('Did') === true && { hint }),
        },
      )
    }
    return this.#fire(target.slice(slash + 1), args)
  }

  #fire(tracepoint: string, values: TracepointArguments | readonly unknown[]): readonly FireResult[] {
    const machine = this.#machine
    const args = this.tracepoints.argumentsOf(tracepoint)
    const prepared = prepareArguments(machine, tracepoint, args, values as TracepointArguments)
    return this.tracepoints.attachedTo(tracepoint).map((program) => {
      const { space } = program.space
      if (machine.running === 0) space.sweep(() => machine.roots())
      const retval = withContext(machine, space, prepared, (context) => program.execute(context))
      return { program: program.name, retval }
    })
  }
}

/** Where bytes of the packet behind a context lie; -1: it has none there; undefined: it is no context of one. */
function packetAt({ packets }: Machine, context: number, offset: number, size: number): number | undefined {
  const packet = packets.get(context)
  return packet instanceof SkBuff ? packet.addressOf(offset, size) : undefined
}

/** What compiled programs find in the machine's memory. */
function intrinsicsOf({ clock, maps }: Machine): IntrinsicTables {
  return {
    keepsWords: true,
    keepsClock: clock.mode === 'manual',
    mapAt: (address) => maps.get(address)?.storage.layout,
    regionAt(address) {
      for (const { storage } of maps.values()) {
        const { direct, attributes } = storage
        if (direct === undefined || address < direct.address || address >= direct.address + direct.size)
          continue
        return { address: direct.address, size: attributes.valueSize, access: valueAccess(attributes.flags) }
      }
      return undefined
    },
  }
}

/** How an object's target types are found. */
function targets(btf: 'own' | Uint8Array): (file: ObjectFile) => TargetTypes | undefined {
  if (btf === 'own') return (file) => (file.btf === undefined ? undefined : new TargetTypes(file.btf, true))
  if (!(btf instanceof Uint8Array))
    throw new BpfError('BAD_VALUE', `option btf is 'own' or the bytes of a BTF blob, not ${typeof btf}`)
  const target = new TargetTypes(parseBtf(btf), false)
  return () => target
}

function checkOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null)
    throw new BpfError('BAD_VALUE', `createKernel() takes options: { cpus: 2 }, not ${describe(options)}`)
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue
    const hint = didYouMean(name, OPTIONS)
    throw new BpfError(
      'BAD_VALUE',
      `createKernel() has no option '${name}'`,
      hint === undefined ? {} : { hint },
    )
  }
}

function interfaceIndices(given: readonly number[]): readonly number[] {
  if (Array.isArray(given)) return given.map((index: number) => integer('interfaces', index, 1, 0x7fffffff))
  throw new BpfError('BAD_VALUE', `option interfaces is a list of indices, not ${describe(given)}`)
}

function integer(option: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new BpfError(
    'BAD_VALUE',
    `option ${option} is an integer from ${least} to ${most}, not ${String(value)}`,
  )
}
