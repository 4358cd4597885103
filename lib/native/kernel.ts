/** The native kernel: Linux, through libbpf in the addon. */
import os from 'node:os'
import { BpfError, unsupported } from '../errors.js'
import type {
  Kernel,
  KernelLink,
  LinkReference,
  KernelReader,
  MapAttributes,
  MapReference,
  OpenObjectOptions,
  RecordSink,
  TraceOptions,
  VerifyAnswer,
  VerifyRequest,
} from '../kernel.js'
import type { ObjectFile } from '../object-file/types.js'
import type { Addon, AddonFacts, AddonMap } from './addon-types.js'
import { loadAddon } from './addon.js'
import { toError } from './failure.js'
import { NativeIntrospection } from './introspection.js'
import type { AddonProbes } from './introspection-types.js'
import { NativeLink } from './link.js'
import { NativeMap } from './map.js'
import { NativeObject } from './object.js'
import { tokenPath } from './token.js'
import { openTrace } from './trace.js'
import { checkUsdtLayout } from './usdt-layout.js'
import { verifyNatively } from './verify-program.js'

export class NativeKernel implements Kernel {
  readonly name = 'native'
  readonly description: string
  readonly possibleCpus: number
  readonly introspection: NativeIntrospection
  readonly #addon: Addon

  constructor(addon: Addon) {
    addon.setFailureFactory(toError)
    this.#addon = addon
    this.possibleCpus = addon.possibleCpus()
    this.introspection = new NativeIntrospection(addon)
    const { major, minor } = addon.facts.runsWith
    this.description = `Linux ${os.release()}, libbpf ${major}.${minor}`
  }

  /** What features are asked of. @internal */
  get probes(): AddonProbes {
    return this.#addon
  }

  /** What the addon was built with. */
  get facts(): AddonFacts {
    return this.#addon.facts
  }

  openObject(file: ObjectFile, options: OpenObjectOptions): NativeObject {
    // libbpf makes names of kernel objects of it, and the section's name must stay recognisable behind it.
    const name = options.name.replace(/[^A-Za-z0-9_]/g, '_')
    this.#checkStructOps(file)
    checkUsdtLayout(file, this.facts.runsWith)
    const { pinRootPath, kconfig, btf, bpfTokenPath, kernelLogLevel } = options
    const settings = { name, pinRootPath, kconfig, btf, bpfTokenPath, kernelLogLevel }
    const handle = this.#addon.openObject(file.image, settings, `object '${options.name}'`)
    return new NativeObject(this.#addon, handle, options.name, file.programs)
  }

  verifyProgram(file: ObjectFile, request: VerifyRequest): VerifyAnswer {
    return verifyNatively((one, options) => this.openObject(one, options), file, request)
  }

  /** An older libbpf passes over the sections that it doesn't know, and then fails to load their programs. */
  #checkStructOps({ maps }: ObjectFile): void {
    const linked = maps.find((map) => map.structOps?.link)
    if (linked === undefined || this.facts.features.structOpsLink) return
    throw unsupported(
      `struct_ops map '${linked.name}' in SEC(".struct_ops.link"), for which the addon must be built with libbpf 1.2 or newer`,
      'Put it into SEC(".struct_ops") to attach it without a link',
    )
  }

  openTrace(sink: RecordSink, options: TraceOptions): KernelReader {
    return openTrace(this.#addon, sink, options)
  }

  createMap(attributes: MapAttributes): NativeMap {
    const { name, inner, types, bpfTokenPath, ...rest } = attributes
    if (inner !== undefined && !(inner instanceof NativeMap)) {
      throw new BpfError('BAD_VALUE', `map '${name}': its inner map '${inner.info.name}' is not in the native kernel`)
    }
    const handle = this.#addon.createMap(
      {
        ...rest,
        name: name.replace(/[^A-Za-z0-9_.]/g, '_'),
        innerMapFd: inner?.fd,
        btf: types?.btf,
        btfKeyType: types?.keyType ?? 0,
        btfValueType: types?.valueType ?? 0,
        bpfTokenPath: this.facts.features.token ? tokenPath(bpfTokenPath) : bpfTokenPath || undefined,
      },
      `map '${name}'`,
    )
    return new NativeMap(this.#addon, handle, name)
  }

  openMap(reference: MapReference): NativeMap {
    const handle = this.#openMap(reference)
    return new NativeMap(this.#addon, handle, handle.details().name)
  }

  openLink(reference: LinkReference): KernelLink {
    const addon = this.#addon
    if ('id' in reference) return new NativeLink(addon.openLinkById(reference.id, `link ${reference.id}`))
    if ('fd' in reference)
      return new NativeLink(addon.openLinkByFd(reference.fd, `link of file descriptor ${reference.fd}`))
    const { pin } = reference
    return new NativeLink(addon.openLinkByPin(pin, `link pinned at ${pin}`), undefined, pin)
  }

  openPidfd(pid: number): number {
    return this.#addon.openPidfd(pid, `process ${pid}`)
  }

  #openMap(reference: MapReference): AddonMap {
    if ('id' in reference) return this.#addon.openMapById(reference.id, `map ${reference.id}`)
    if ('pin' in reference) return this.#addon.openMapByPin(reference.pin, `map pinned at ${reference.pin}`)
    return this.#addon.openMapByFd(reference.fd, `map of file descriptor ${reference.fd}`)
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
