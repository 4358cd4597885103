/** Why a program is refused: thrown anywhere in the verifier, caught once. */
export class Rejection extends Error {
  override readonly name = 'Rejection'
  /** Lines of the log before the deciding one. */
  readonly details: readonly string[]
  /** Slot of the instruction that it is about, where nothing has been simulated yet. */
  slot: number | undefined = undefined
  /** Lines of the log behind the deciding one. */
  sequel: readonly string[] = []

  /**
   * @param errno  positive
   * @param reason the deciding line of the log, as Linux words it
   */
  constructor(
    readonly errno: number,
    readonly reason: string,
    ...details: readonly string[]
  ) {
    super(reason)
    this.details = details
  }
}

export const EACCES = 13
export const EBUSY = 16
export const EEXIST = 17
export const EINVAL = 22
export const EPERM = 1
export const ENOENT = 2
export const ESRCH = 3
export const E2BIG = 7
export const EFAULT = 14
export const ENOMEM = 12
export const EOPNOTSUPP = 95
export const ENOTSUPP = 524

/** What reasons start with that name what isn't modelled. */
export const UNMODELLED = 'UNSUPPORTED: '

/** Linux may accept it, this verifier doesn't know: it is refused by name. */
export class Unmodelled extends Rejection {
  constructor(readonly what: string) {
    super(EOPNOTSUPP, `${UNMODELLED}${what}`)
  }
}

export function invalid(reason: string, ...details: string[]): never {
  throw new Rejection(EINVAL, reason, ...details)
}

/** Refuses an instruction for its form, before anything is simulated. */
export function malformed(slot: number, reason: string): never {
  const rejection = new Rejection(EINVAL, reason)
  rejection.slot = slot
  throw rejection
}

export function denied(reason: string, ...details: string[]): never {
  throw new Rejection(EACCES, reason, ...details)
}
