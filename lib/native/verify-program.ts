/** One program before Linux's verifier, alone: loaded, and closed at once. */
import { BpfError, unsupported } from '../errors.js'
import { sizesToVerify } from '../linux/map-types.js'
import { BPF_PROGRAM_FLAGS } from '../linux/program-types.js'
import type { KernelObject, MapConfig, MapSpec, OpenObjectOptions, VerifyAnswer, VerifyRequest } from '../kernel.js'

const STATISTICS = 4
const TIME = /^verification time (\d+) usec/m

/**
 * @param open opens the object anew
 * @throws BpfError for what keeps the program from the verifier
 */
export function verifyNatively(
  open: (options: OpenObjectOptions) => KernelObject,
  { program, type, attachType, privileges, strictAlignment, logLevel, object: options }: VerifyRequest,
): VerifyAnswer {
  if (privileges !== undefined && privileges !== 'all')
    throw unsupported(
      `privileges '${privileges}' before Linux's own verifier`,
      'It judges by who asks: run without those capabilities, or ask the fallback',
    )
  const object = open(options)
  const started = performance.now()
  try {
    for (const map of object.maps) object.configureMap(map.name, configToVerify(map))
    for (const { name } of object.programs) object.configureProgram(name, { autoload: name === program })
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
