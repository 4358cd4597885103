/** Maps that user space reads and writes through their pages alone: the system calls for elements answer ENOTSUPP. */
import { ENOTSUPP } from '../errors.js'

export abstract class WithoutElements {
  lookup = (): number => 0
  lookupAll = (): number => ENOTSUPP
  update = (): number => ENOTSUPP
  updateAll = (): number => ENOTSUPP
  delete = (): number => ENOTSUPP
  nextKey = (): number => ENOTSUPP
}
