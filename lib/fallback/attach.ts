/** Attaching programs of the simulated kernel: to its tracepoints, by `tp_btf` and `raw_tp` programs. */
import type { AttachRequest } from '../attach-request.js'
import { systemError, unsupported } from '../errors.js'
import type { KernelLink, ProgramInfo } from '../kernel.js'
import { BPF_ATTACH_TYPE } from '../linux/attach-types.js'
import { BPF_PROG_TYPE, programTypeName } from '../linux/program-types.js'
import { whyNotAttachable } from '../linux/sections.js'
import type { ProgramDefinition } from '../object-file/types.js'
import { EINVAL } from './errors.js'
import type { TracepointProgram, Tracepoints } from './hooks/tracepoints.js'
import { FallbackLink, LoadedLink, type LinkHost } from './link.js'

/** A program that was loaded, as far as attaching it goes. */
export interface AttachableProgram extends TracepointProgram {
  readonly definition: ProgramDefinition
  /** Bytes of its context that it reads. */
  readonly contextSize: number
  retain(): unknown
  release(): void
}

/** Whether the program is a `tp_btf` one: Linux looks for its tracepoint when it is loaded, not when it is attached. */
export function isTypedTracepoint({
  type,
  expectedAttachType,
}: Pick<ProgramDefinition, 'type' | 'expectedAttachType'>): boolean {
  return type === BPF_PROG_TYPE.TRACING && expectedAttachType === BPF_ATTACH_TYPE.TRACE_RAW_TP
}

/**
 * @param request undefined: where the SEC() name says
 * @throws BpfError `UNSUPPORTED` for places that aren't simulated, `ENOENT` for an unknown tracepoint, `EINVAL` for one with fewer
 *   arguments than the program reads
 */
export function attachToTracepoint<P extends AttachableProgram>(
  host: LinkHost,
  tracepoints: Tracepoints<P>,
  program: P,
  info: ProgramInfo,
  request: AttachRequest | undefined,
): KernelLink {
  const { name, section } = info
  const target = tracepointOf(program.definition, info, request)
  if (target === '') {
    throw systemError('bpf_program__attach', -EINVAL, `program '${name}'`, {
      hint: `SEC("${section}") names no tracepoint: SEC("${section}/sched_process_exec") would`,
    })
  }
  const { contextSize } = program
  if (tracepoints.has(target) && contextSize > 8 * tracepoints.argumentsOf(target).length) {
    throw systemError('bpf_program__attach', -EINVAL, `program '${name}'`, {
      hint: `It reads ${contextSize} bytes of arguments; tracepoint '${target}' has ${tracepoints.argumentsOf(target).length} arguments of 8 bytes`,
    })
  }
  const remove = tracepoints.attach(target, program)
  program.retain()
  const link = new LoadedLink(host, {
    target:
      request === undefined || request.kind === 'trace' ? section.replace(/^\?/, '') : `raw_tp/${target}`,
    info: (id) => ({ type: 'raw_tracepoint', id, programId: info.id, name: target, cookie: undefined }),
    detach() {
      remove()
      program.release()
    },
  })
  return new FallbackLink(link)
}

function tracepointOf(
  definition: ProgramDefinition,
  { name, section, type }: ProgramInfo,
  request: AttachRequest | undefined,
): string {
  const { target } = definition
  if (request !== undefined && 'cookie' in request && request.cookie !== undefined)
    throw unsupported('cookies of attachments in the fallback kernel')
  if (request?.kind === 'rawTracepoint' && type === BPF_PROG_TYPE.RAW_TRACEPOINT) return request.name
  if (request !== undefined && !(request.kind === 'trace' && isTypedTracepoint(definition)))
    throw unsupported(
      `attaching program '${name}' to ${request.kind} in the fallback kernel`,
      'It attaches tp_btf and raw_tp programs',
    )
  if (isTypedTracepoint(definition) || type === BPF_PROG_TYPE.RAW_TRACEPOINT) return target
  const reason = whyNotAttachable(section)
  throw unsupported(
    `attaching program '${name}' of type ${programTypeName(type)}, SEC("${section}"), in the fallback kernel`,
    reason === undefined
      ? 'It attaches tp_btf and raw_tp programs'
      : `By its section alone Linux can't either: ${reason}`,
  )
}
