/**
 * QEMU and virtiofsd, unpacked aside. Nothing is installed.
 *
 * QEMU 10 of bookworm-backports, because Linux 6.12 panics in QEMU 7.2; virtiofsd of bookworm's QEMU 7.2, because newer ones
 * come without one. Both run on the libraries of Debian 12, and bring those that the machine lacks.
 */
import { join } from 'node:path'
import { DebianError, debianMirror } from '../setup/debian.mjs'
import { missingClosure, openSuites, readManifest, say, unpackOnce, vmFolder } from './cache.mjs'

const tools = {
  qemu: { wanted: 'qemu-system-x86', suite: 'bookworm-backports' },
  virtiofsd: { wanted: 'qemu-system-common', suite: 'bookworm' },
}

/**
 * The tools, downloaded if they aren't there yet.
 *
 * @returns for each of them the command, arguments that it needs to find its files, and its environment
 * @throws {DebianError} if this is no Debian 12, or the packages can't be had
 */
export function provideEmulator() {
  const qemu = provide('qemu')
  const virtiofsd = provide('virtiofsd')
  return {
    qemu: {
      command: join(qemu, 'usr/bin/qemu-system-x86_64'),
      args: [join(qemu, 'usr/share/qemu'), join(qemu, 'usr/share/seabios')].flatMap((folder) => [
        '-L',
        folder,
      ]),
      env: withLibraries(qemu),
    },
    virtiofsd: {
      command: join(virtiofsd, 'usr/lib/qemu/virtiofsd'),
      args: [],
      env: withLibraries(virtiofsd),
    },
  }
}

function provide(name) {
  if (readManifest(name) !== undefined) return join(vmFolder, name)
  const { uri, codename } = debianMirror()
  if (codename !== 'bookworm')
    throw new DebianError(`virtual machines are set up from Debian 12's packages, and this is ${codename}`)
  const { wanted, suite } = tools[name]
  // The libraries that are installed needn't be downloaded.
  const suites = [...new Set([codename, suite])]
  const apt = openSuites(
    name,
    suites.map((one) => ({ uri, suite: one })),
    { asInstalled: true },
  )
  const packages = missingClosure(apt, wanted, suite)
  say(`${name}: downloading ${packages.length} packages`)
  return unpackOnce(name, apt, packages, { packages })
}

function withLibraries(folder) {
  const places = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'].map((part) => join(folder, part))
  return { ...process.env, LD_LIBRARY_PATH: places.join(':') }
}
