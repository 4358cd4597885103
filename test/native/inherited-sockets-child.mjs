/** Puts sockets that it has inherited into maps: started by map-types.test.ts through with-sockets.pl. */
import { createMap } from '../../dist/lib/index.js'

const xsk = { fd: Number(process.env.XSK_FD) }
const udp = { fd: Number(process.env.REUSEPORT_FD) }

/** The code of what is thrown, or the result. */
function outcome(action) {
  try {
    return action()
  } catch (error) {
    return error.code
  }
}

function tryXskmap() {
  const map = createMap({ kernel: 'native', type: 'xskmap', maxEntries: 2 })
  map.set(0, xsk)
  return {
    replaced: outcome(() => (map.set(0, xsk, { mode: 'exist' }), 'ok')),
    missing: outcome(() => map.set(1, xsk, { mode: 'exist' })),
    deleted: map.delete(0),
    deletedAgain: outcome(() => map.set(0, xsk, { mode: 'exist' })),
    otherSocket: outcome(() => map.set(0, udp)),
  }
}

function tryReuseport() {
  const map = createMap({ kernel: 'native', type: 'reuseport_sockarray', maxEntries: 2 })
  map.set(1, udp)
  return {
    isCookie: map.get(1) > 0n,
    empty: map.get(0) === undefined,
    deleted: map.delete(1),
    deletedTwice: map.delete(1),
    otherSocket: outcome(() => map.set(1, xsk)),
  }
}

console.log(JSON.stringify({ xskmap: tryXskmap(), reuseport: tryReuseport() }))
