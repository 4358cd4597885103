/** A map that only the verifier looks at: attributes and an address, no elements. So it may be of any type and size. */
import { isMapOfMaps, sizesToVerify } from '../../linux/map-types.js'
import { ENOTSUPP } from '../errors.js'
import { checkAttributes } from './create.js'
import { LoadedMap, type MapHost } from './loaded-map.js'
import type { MapAttributes, MapStorage } from './types.js'

/** @throws BpfError as BPF_MAP_CREATE does for attributes that Linux refuses, as far as they are known here */
export function describedMap(machine: MapHost, attributes: MapAttributes): LoadedMap {
  const sized = { ...attributes, ...sizesToVerify(attributes) }
  checkAttributes(sized)
  return new LoadedMap(machine, sized, new DescribedStorage(sized))
}

class DescribedStorage implements MapStorage {
  readonly attributes: MapAttributes
  readonly bufferSize: number
  readonly forEach = undefined
  readonly mapped = undefined
  readonly direct = undefined
  readonly updateMap?: NonNullable<MapStorage['updateMap']>

  constructor(attributes: MapAttributes) {
    this.attributes = attributes
    this.bufferSize = attributes.valueSize
    // What holds maps is told by this, as in storage with elements.
    if (isMapOfMaps(attributes.type)) this.updateMap = () => ENOTSUPP
    attributes.innerMap?.retain()
  }

  lookup(): number {
    return 0
  }

  lookupAll(): number {
    return 0
  }

  update(): number {
    return ENOTSUPP
  }

  updateAll(): number {
    return ENOTSUPP
  }

  delete(): number {
    return ENOTSUPP
  }

  nextKey(): number {
    return ENOTSUPP
  }

  destroy(): void {
    this.attributes.innerMap?.release()
  }
}
