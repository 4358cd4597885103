/** Which kernel an object is for: the caller's, the environment's, or the best one here. */
import { BpfError } from './errors.js'
import { createKernel } from './fallback/index.js'
import type { Kernel } from './kernel.js'
import { nativeKernel } from './native/kernel.js'
import { whyNotAllowed } from './native/privileges.js'
import { findsToken } from './native/token.js'
import type { ObjectFile } from './object-file/types.js'

/**
 * - `'auto'`: the native kernel where the addon loads and this process may use bpf() for the object's programs; else the fallback, with
 *   one process warning that says why.
 * - `'native'`: the Linux kernel, or an error; never a simulation.
 * - `'fallback'`: the kernel in TypeScript.
 * - a kernel of one's own, such as `createKernel()` of `libbpf-node/fallback` makes.
 */
export type KernelChoice = 'auto' | 'native' | 'fallback' | Kernel

const NAMES = ['auto', 'native', 'fallback'] as const

/** One simulated kernel a thread, so that objects that are opened without one of their own see each other's events. */
let sharedFallback: Kernel | undefined
let warned = false

/** What a kernel is wanted for. */
export interface Purpose extends Pick<ObjectFile, 'programs'> {
  /** Of an object, for which libbpf takes a token that stands for capabilities: from where, see `findsToken()`. */
  readonly token?: { readonly path: string | undefined }
}

/** @throws BpfError `NO_NATIVE_KERNEL` naming what is missing */
export function selectKernel(choice: KernelChoice | undefined, purpose: Purpose): Kernel {
  if (typeof choice === 'object') return choice
  switch (named(choice)) {
    case 'fallback':
      return (sharedFallback ??= createKernel({ clock: 'real' }))
    case 'native':
      // Which programs a process may load, load() tells: it can do without some of them.
      return whyNotAllowed([]) === undefined ? nativeKernel() : native(purpose)
    case 'auto':
      try {
        return native(purpose)
      } catch (error) {
        if (!(error instanceof BpfError && error.code === 'NO_NATIVE_KERNEL')) throw error
        warnOfFallback(error.message)
        return (sharedFallback ??= createKernel({ clock: 'real' }))
      }
  }
}

function named(choice: string | undefined): (typeof NAMES)[number] {
  const fromEnvironment = process.env['LIBBPF_NODE_KERNEL'] || undefined
  // The environment overrides `auto`, not a choice that the program made on purpose.
  const name = choice === undefined || choice === 'auto' ? (fromEnvironment ?? 'auto') : choice
  const known = NAMES.find((candidate) => candidate === name)
  if (known !== undefined) return known
  const origin = name === choice ? 'option kernel' : 'environment variable LIBBPF_NODE_KERNEL'
  throw new BpfError(
    'BAD_VALUE',
    `${origin} must be one of ${NAMES.join(', ')}, or a kernel object, not '${name}'`,
  )
}

function native({ programs, token }: Purpose): Kernel {
  const kernel = nativeKernel()
  // What a token allows, its maker knows: load() will tell.
  if (kernel.facts.features.token && token !== undefined && findsToken(token.path)) return kernel
  const types = programs.flatMap(({ type, autoload }) => (autoload && type !== undefined ? [type] : []))
  const reason = whyNotAllowed(types)
  if (reason === undefined) return kernel
  throw new BpfError(
    'NO_NATIVE_KERNEL',
    `this process may not load the object's programs: ${reason.problem}`,
    {
      hint: reason.hint,
    },
  )
}

function warnOfFallback(reason: string): void {
  if (warned) return
  warned = true
  process.emitWarning(`programs run in the simulated kernel, not in Linux: ${reason}`, {
    type: 'LibbpfNodeWarning',
    code: 'LIBBPF_NODE_FALLBACK',
  })
}
