/** A program in Linux, and its attachments. */
import type { AttachRequest } from '../attach-request.js'
import type { KernelLink, KernelProgram, ProgramInfo, RunOptions, RunResult } from '../kernel.js'
import { toHex } from '../linux/struct-view.js'
import type { Addon, AddonProgram } from './addon-types.js'
import { attachProgram } from './attach.js'
import { NativeLink } from './link.js'
import { assertLsmRuns } from './lsm.js'
import { NativeHandle } from './native-handle.js'
import { explainSection, requestOfSection } from './section-request.js'
import { explainRun, toRunRequest, toRunResult } from './test-run.js'

/** What the object knows of a program. */
export interface ProgramOrigin extends Pick<ProgramInfo, 'name' | 'section' | 'expectedAttachType'> {
  /** Whether this libbpf knows its section. */
  readonly attachedByLibbpf: boolean
}

export class NativeProgram extends NativeHandle implements KernelProgram {
  readonly info: ProgramInfo
  readonly #addon: Addon
  readonly #bySection: AttachRequest | undefined
  readonly #handle: AddonProgram

  /** @param log what the verifier told of it */
  constructor(addon: Addon, handle: AddonProgram, { name, section, expectedAttachType, attachedByLibbpf }: ProgramOrigin, log: string) {
    super()
    const { id, type, tag } = handle.info()
    this.#addon = addon
    this.#bySection = attachedByLibbpf ? undefined : requestOfSection(section)
    this.#handle = handle
    this.info = { name, section, id, type, expectedAttachType, tag: toHex(tag), log }
  }

  /** The file descriptor, which stays the program's. */
  get fd(): number {
    return this.#handle.fd()
  }

  attach(request?: AttachRequest): KernelLink {
    assertLsmRuns(this.info)
    const place = request ?? this.#bySection
    if (place !== undefined) return attachProgram(this.#addon, this.#handle, this.info, place)
    const { section } = this.info
    try {
      return new NativeLink(this.#handle.attach(`link of SEC("${section}")`), section)
    } catch (error) {
      throw explainSection(section, error)
    }
  }

  run(options: RunOptions): RunResult {
    const { type } = this.info
    try {
      return toRunResult(type, this.#handle.run(toRunRequest(type, options)))
    } catch (error) {
      throw explainRun(error, this.info)
    }
  }

  async runAsync(options: RunOptions): Promise<RunResult> {
    const { type } = this.info
    try {
      return toRunResult(type, await this.#handle.runAsync(toRunRequest(type, options)))
    } catch (error) {
      throw explainRun(error, this.info)
    }
  }

  readStream(stream: number, into: Uint8Array): number {
    return this.#handle.readStream(stream, into)
  }

  close(): void {
    this.#handle.close()
  }
}
