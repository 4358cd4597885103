/** The kernel has no function, hook, tracepoint or iterator that a program is for, by SEC() or setAttachTarget(): which one was probably meant. */
import { BpfError } from '../errors.js'
import type { ProgramSpec } from '../kernel.js'
import { resolveSection } from '../linux/sections.js'
import { kernelFunctions, rawTracepoints, traceableFunctions } from './kernel-functions.js'
import { didYouMeanHint, nearestOfMany } from './suggest.js'

interface Kind {
  readonly section: RegExp
  /** `LSM hook` */
  readonly noun: string
  readonly known: () => Iterable<string>
  /** Where they are listed, or why there may be none. */
  readonly advice: string
}

const KINDS: readonly Kind[] = [
  {
    section: /^lsm/,
    noun: 'LSM hook',
    known: () => functionsAfter('bpf_lsm_'),
    advice: 'Hooks are listed in include/linux/lsm_hook_defs.h of its version',
  },
  {
    section: /^tp_btf/,
    noun: 'tracepoint',
    known: rawTracepoints,
    advice: 'It goes by the name of the tracepoint without its category: sched_switch',
  },
  {
    section: /^iter/,
    noun: 'iterator',
    known: () => functionsAfter('bpf_iter_'),
    advice: 'There are task, task_file, bpf_map, bpf_map_elem, bpf_prog, cgroup …: bpf_iter_* in /proc/kallsyms',
  },
  {
    section: /^(fentry|fexit|fmod_ret|fsession)/,
    noun: 'function',
    known: traceableFunctions,
    advice: 'It does not exist here, was inlined, or is in a module that is not loaded: see /proc/kallsyms',
  },
]

/**
 * The better error for a target that the kernel doesn't have.
 *
 * @param error   what libbpf and the kernel say; other errors than that of a target that isn't there explain nothing
 * @param program whose target it is
 * @param target  its name, as SEC() has it
 * @returns undefined if the program is for nothing that has a name, or the target is there
 */
export function noTraceTarget(
  { call, errno }: Pick<BpfError, 'call' | 'errno'>,
  { name, section }: Pick<ProgramSpec, 'name' | 'section'>,
  target: string,
): BpfError | undefined {
  const prefix = resolveSection(section)?.prefix ?? ''
  const kind = KINDS.find((one) => one.section.test(prefix))
  if (kind === undefined) return undefined
  const known = new Set(kind.known())
  if (known.has(target)) return undefined
  return new BpfError('ESRCH', `program '${name}': this kernel has no ${kind.noun} '${target}'`, {
    ...(call !== undefined && { call }),
    ...(errno !== undefined && { errno }),
    hint: didYouMeanHint(nearestOfMany(target, known)) ?? kind.advice,
  })
}

/** The better error for an object that wasn't loaded because of that; undefined if it is another error. */
export function explainTarget(error: unknown, programs: readonly Pick<ProgramSpec, 'name' | 'section'>[]): BpfError | undefined {
  if (!(error instanceof BpfError)) return undefined
  const [, name, target] = /^program '([^']*)': this kernel's type information has no '([^']*)'/.exec(error.message) ?? []
  const program = programs.find((one) => one.name === name)
  return program && noTraceTarget(error, program, target ?? '')
}

/** Names that are part of functions: LSM hooks of `bpf_lsm_file_open`. */
function* functionsAfter(prefix: string): Generator<string> {
  for (const name of kernelFunctions()) if (name.startsWith(prefix)) yield name.slice(prefix.length)
}
