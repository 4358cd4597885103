/** One program before Linux's verifier, alone: loaded, and closed at once. */
import { BpfError, unsupported } from '../errors.js'
import { sizesToVerify } from '../linux/map-types.js'
import { BPF_PROGRAM_FLAGS } from '../linux/program-types.js'
import type {
  ExtendedProgram,
  KernelObject,
  MapConfig,
  MapSpec,
  OpenObjectOptions,
  VerifyAnswer,
  VerifyRequest,
} from '../kernel.js'
import type { ObjectFile } from '../object-file/types.js'

const STATISTICS = 4
const TIME = /^verification time (\d+) usec/m

type Open = (file: ObjectFile, options: OpenObjectOptions) => KernelObject

/**
 * @param open opens an object anew
 * @throws BpfError for what keeps the program from the verifier
 */
export function verifyNatively(
  open: Open,
  file: ObjectFile,
  { program, type, attachType, privileges, strictAlignment, logLevel, object: options, target }: VerifyRequest,
): VerifyAnswer {
  if (privileges !== undefined && privileges !== 'all')
    throw unsupported(
      `privileges '${privileges}' before Linux's own verifier`,
      'It judges by who asks: run without those capabilities, or ask the fallback',
    )
  const object = open(file, options)
  const started = performance.now()
  let extended: KernelObject | undefined
  try {
    chooseProgram(object, program)
    if (target !== undefined) {
      extended = loadExtended(open, target)
      const { section } = object.programs.find(({ name }) => name === program) ?? { section: '' }
      const name = target.name ?? section.slice(section.indexOf('/') + 1)
      object.configureProgram(program, { attachTarget: { name, program: extended.program(target.program) } })
    }
    object.configureProgram(program, {
      logLevel: logLevel | STATISTICS,
      ...(type !== undefined && { type }),
      ...(attachType !== undefined && { expectedAttachType: attachType }),
      ...(strictAlignment === true && { flags: BPF_PROGRAM_FLAGS.BPF_F_STRICT_ALIGNMENT }),
    })
    object.load()
    return answer(0, undefined, object.program(program).info.log, performance.now() - started)
  } catch (error) {
    const { verifier, errno = 0 } = error instanceof BpfError ? error : {}
    if (verifier === undefined || (error as BpfError).code !== 'VERIFIER_REJECTED') throw error
    return answer(errno, verifier.summary, verifier.log, performance.now() - started)
  } finally {
    object.close()
    extended?.close()
  }
}

/** One program is loaded, and maps that fit it. */
function chooseProgram(object: KernelObject, program: string): void {
  for (const map of object.maps) object.configureMap(map.name, configToVerify(map))
  for (const { name } of object.programs) object.configureProgram(name, { autoload: name === program })
}

/** The program that an extension extends must be there. */
function loadExtended(open: Open, { file, object: options, program }: ExtendedProgram): KernelObject {
  const object = open(file, options)
  try {
    chooseProgram(object, program)
    object.load()
    return object
  } catch (error) {
    object.close()
    if (!(error instanceof BpfError) || error.code !== 'VERIFIER_REJECTED') throw error
    const reason = error.verifier?.summary ?? error.message
    throw new BpfError('BAD_VALUE', `the program that it extends is refused: ${reason}`, {
      cause: error,
      ...(error.errno !== undefined && { errno: error.errno }),
    })
  }
}

/** Nothing is pinned. Only what differs is set: libbpf refuses to change sizes of some maps, even to what they are. */
function configToVerify(map: MapSpec): MapConfig {
  const { valueSize, maxEntries } = sizesToVerify(map)
  return {
    ...(valueSize !== map.valueSize && { valueSize }),
    ...(maxEntries !== map.maxEntries && { maxEntries }),
    ...(map.pinPath !== undefined && { pinPath: null }),
  }
}

/** Linux knows better how long it took: loading is more than verification. */
function answer(errno: number, reason: string | undefined, log: string, elapsed: number): VerifyAnswer {
  const microseconds = TIME.exec(log)?.[1]
  return { errno, reason, log, milliseconds: microseconds === undefined ? elapsed : Number(microseconds) / 1000 }
}
