/** npm's older binding, `bpf`: a peer where it can do the job. It is fetched when the bench runs, no dependency of ours. */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BENCH_CACHE } from './c-reference.js'

const VERSION = '1.3.0'

interface Type<T> {
  readonly size: number
  format(buffer: Buffer, value: T): void
  parse(buffer: Buffer): T
}

export interface PeerMap {
  get(key: number): bigint | undefined
  set(key: number, value: bigint): void
  getBatch(count: number): Iterable<readonly (readonly [number, bigint])[]>
}

interface Peer {
  readonly MapType: { readonly HASH: number }
  readonly u32type: Type<number>
  createMap(attributes: object): object
  readonly ConvMap: new (map: object, key: Type<number>, value: Type<bigint>) => PeerMap
}

const U64: Type<bigint> = {
  size: 8,
  format: (buffer, value) => void buffer.writeBigUInt64LE(value),
  parse: (buffer) => buffer.readBigUInt64LE(),
}

/** @returns undefined where it can't be had: no network, or it doesn't load */
export async function loadPeer(): Promise<Peer | undefined> {
  const folder = join(BENCH_CACHE, 'npm')
  const resolve = createRequire(join(folder, 'node_modules', 'any.js'))
  try {
    await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder, `bpf@${VERSION}`], {
      timeout: 60_000,
    })
    return resolve('bpf') as Peer
  } catch (error) {
    console.warn(`npm bpf is left out: ${(error as Error).message.split('\n')[0]}`)
    return undefined
  }
}

/** A hash map of u32 to u64, as the other sides have it. Its garbage collection closes it: there is no other way. */
export function peerMap(peer: Peer, entries: number): PeerMap {
  const handle = peer.createMap({ type: peer.MapType.HASH, keySize: 4, valueSize: 8, maxEntries: entries, name: 'bench' })
  const map = new peer.ConvMap(handle, peer.u32type, U64)
  for (let key = 0; key < entries; key++) map.set(key, BigInt(key))
  return map
}
