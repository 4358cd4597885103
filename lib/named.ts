/** Collections by name, as `object.maps.events` and `object.rodata.target_pid` use them. */
import { BpfError } from './errors.js'
import { nearest } from './nearest.js'

/** What JavaScript itself asks of objects: promises, JSON, inspection. These names are never reported as missing. */
const ASKED_BY_THE_LANGUAGE = new Set([
  'then',
  'toJSON',
  'constructor',
  'toString',
  'valueOf',
  'nodeType',
  'asymmetricMatch',
  '$$typeof',
  '@@__IMMUTABLE_ITERABLE__@@',
  '@@__IMMUTABLE_RECORD__@@',
])

export function notFound(kind: string, name: string, owner: string, candidates: Iterable<string>): BpfError {
  const names = [...candidates]
  const suggestion = nearest(name, names)
  const hint =
    suggestion !== undefined
      ? `Did you mean '${suggestion}'?`
      : names.length === 0
        ? `It has none`
        : `There are: ${names.join(', ')}`
  return new BpfError('NOT_FOUND', `${owner} has no ${kind} '${name}'`, { hint })
}

/**
 * A plain object over properties that exist; a read or write of any other name throws `NOT_FOUND` with the nearest one.
 *
 * The properties are the object's own, so that reading one costs what a getter costs; only a miss reaches the proxy, which is the
 * object's prototype.
 */
export function namedObject<T extends object>(
  kind: string,
  owner: string,
  properties: ReadonlyMap<string, PropertyDescriptor>,
): T {
  const miss = (name: string | symbol): BpfError | undefined =>
    typeof name === 'symbol' || ASKED_BY_THE_LANGUAGE.has(name)
      ? undefined
      : notFound(kind, name, owner, properties.keys())
  const prototype = new Proxy(Object.freeze(Object.create(null) as object), {
    get(_target, name) {
      const error = miss(name)
      if (error !== undefined) throw error
      return undefined
    },
    set(_target, name) {
      throw miss(name) ?? new TypeError(`${owner}: ${String(name)} can't be set`)
    },
  })
  const object = Object.create(prototype) as T
  for (const [name, property] of properties) {
    Object.defineProperty(object, name, { enumerable: true, ...property })
  }
  return Object.preventExtensions(object)
}
