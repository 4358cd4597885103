/** Negative error numbers, as map operations and helpers return them. */
import { errno } from '../linux/errno.js'

export const EPERM = -errno('EPERM')
export const ENOENT = -errno('ENOENT')
export const E2BIG = -errno('E2BIG')
export const EAGAIN = -errno('EAGAIN')
export const EFAULT = -errno('EFAULT')
export const EBUSY = -errno('EBUSY')
export const EEXIST = -errno('EEXIST')
export const EINVAL = -errno('EINVAL')
export const ERANGE = -errno('ERANGE')
export const ENOTSUPP = -errno('ENOTSUPP')
export const EOPNOTSUPP = -errno('EOPNOTSUPP')
export const ENOSPC = -errno('ENOSPC')
export const EBADF = -errno('EBADF')
