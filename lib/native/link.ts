/** An attachment in Linux. */
import type { KernelLink, LinkInfo } from '../kernel.js'
import type { AddonLink } from './addon-types.js'

export class NativeLink implements KernelLink {
  readonly info: LinkInfo
  readonly #handle: AddonLink

  constructor(handle: AddonLink, target: string) {
    this.#handle = handle
    this.info = { id: handle.id(), target }
  }

  close(): void {
    this.#handle.close()
  }
}
