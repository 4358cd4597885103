/** Names in a BPF file system. */
import { unlinkSync } from 'node:fs'
import { systemError } from '../errors.js'
import { errno } from '../linux/errno.js'

/** Removes a name, whatever it stands for. */
export function removePin(path: string): void {
  try {
    unlinkSync(path)
  } catch (cause) {
    const { errno: negative = -errno('EIO') } = cause as NodeJS.ErrnoException
    throw systemError('unlink', -negative, `pin ${path}`, { cause })
  }
}
