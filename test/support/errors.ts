import { BpfError } from '../../lib/errors.js'

/** The code of the BpfError that `action` throws; what it throws else, it throws on. */
export function code(action: () => unknown): string | undefined {
  try {
    action()
  } catch (error) {
    if (error instanceof BpfError) return error.code
    throw error
  }
  return undefined
}
