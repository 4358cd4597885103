/** The native kernel: Linux, through libbpf in the addon. */
import os from 'node:os'
import { BpfError } from '../errors.js'
import type { Kernel, OpenObjectOptions } from '../kernel.js'
import type { ObjectFile } from '../object-file/types.js'
import type { Addon, AddonFacts } from './addon-types.js'
import { loadAddon } from './addon.js'
import { toError } from './failure.js'
import { NativeObject } from './object.js'

export class NativeKernel implements Kernel {
  readonly name = 'native'
  readonly description: string
  readonly possibleCpus: number
  readonly #addon: Addon

  constructor(addon: Addon) {
    addon.setFailureFactory(toError)
    this.#addon = addon
    this.possibleCpus = addon.possibleCpus()
    const { major, minor } = addon.facts.runsWith
    this.description = `Linux ${os.release()}, libbpf ${major}.${minor}`
  }

  /** What the addon was built with. */
  get facts(): AddonFacts {
    return this.#addon.facts
  }

  openObject(file: ObjectFile, options: OpenObjectOptions): NativeObject {
    // libbpf makes names of kernel objects of it, and the section's name must stay recognisable behind it.
    const name = options.name.replace(/[^A-Za-z0-9_]/g, '_')
    const handle = this.#addon.openObject(file.image, name, `object '${options.name}'`)
    return new NativeObject(handle, options.name, file.programs)
  }
}

let shared: NativeKernel | undefined

/**
 * The native kernel; the same one at each call. Needs Linux 5.8 or newer and an addon that loads; what a process may do
 * with it, `privileges.ts` tells.
 *
 * @throws BpfError `NO_NATIVE_KERNEL` with the reason
 */
export function nativeKernel(): NativeKernel {
  return (shared ??= openNativeKernel())
}

/** A native kernel of one's own. @throws BpfError `NO_NATIVE_KERNEL` with the reason */
export function openNativeKernel(): NativeKernel {
  const load = loadAddon()
  if ('addon' in load) return new NativeKernel(load.addon)
  throw new BpfError('NO_NATIVE_KERNEL', `there is no native kernel: ${load.reason}`, {
    hint: "npm rebuild libbpf-node compiles the addon (it takes cmake, a C++ compiler and libbpf-dev 1.1 or newer); kernel 'fallback' works without",
  })
}
