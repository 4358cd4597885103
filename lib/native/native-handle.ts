/** Maps and programs of the native kernel, told from those of others. */
import type { HandleOrFd } from '../attach-request.js'
import { BpfError } from '../errors.js'
import type { AddonLink } from './addon-types.js'

/** What Linux knows by a file descriptor. */
export abstract class NativeHandle {
  /** It stays the handle's. */
  abstract readonly fd: number

  /**
   * Takes the place of what a link has, where that isn't done by descriptor: struct_ops maps, which libbpf fills first.
   * @returns false: it is done by descriptor
   */
  takeLink(_link: AddonLink): boolean {
    return false
  }
}

/**
 * The file descriptor of something that must be Linux's.
 *
 * @param what for the error: `inner map of 'outer'`
 */
export function fdOf(handle: HandleOrFd, what: string): number {
  if (typeof handle === 'number') return handle
  if (handle instanceof NativeHandle) return handle.fd
  throw new BpfError('BAD_VALUE', `${what}: '${handle.info.name}' is not in the native kernel`)
}
