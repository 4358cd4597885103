/** The Linux kernels on which the tests are run: Debian's cloud kernels, unpacked aside. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DebianError, debianMirror, read } from '../setup/debian.mjs'
import { openSuites, packageFields, readManifest, say, unpackOnce, vmFolder } from './cache.mjs'

/** Depends on the image of the suite's current kernel, whose own name changes with every update. */
const META_PACKAGE = 'linux-image-cloud-amd64'

/**
 * Where each kernel comes from, by the name that `--kernel` takes; oldest first. `newest` is whatever sid has, the others are
 * the long-term kernels of Debian's releases. One `onDemand` is run only where it is named: 6.18 is the version whose verifier the fallback
 * kernel follows to the letter, so it judges programs that no machine's own kernel should see.
 */
export const kernelSuites = new Map([
  ['5.10', { suite: 'bullseye-security', isSecurity: true }],
  ['6.1', { suite: 'bookworm', isSecurity: false }],
  ['6.12', { suite: 'bookworm-backports', isSecurity: false }],
  ['6.18', { suite: 'trixie-backports', isSecurity: false, series: '6.18', onDemand: true }],
  ['newest', { suite: 'sid', isSecurity: false }],
])

/**
 * A kernel, downloaded if it isn't there yet.
 *
 * @param name           a key of {@link kernelSuites}
 * @param options.renew  whether to look for a newer package than the one that is there
 * @returns its release (`uname -r`), Debian version, the paths of its image and its configuration, and of the folder of its modules
 * @throws {DebianError} if the mirror has no such kernel
 */
export function provideKernel(name, { renew = false } = {}) {
  const folder = `linux-${name}`
  let manifest = readManifest(folder)
  if (manifest === undefined || renew) {
    const current = resolve(name)
    if (manifest?.version !== current.version) {
      say(`Linux ${current.release} (${current.version}): downloading`)
      unpackOnce(folder, current.apt, current.packages, {
        release: current.release,
        version: current.version,
      })
    }
    manifest = { release: current.release, version: current.version }
  }
  return { name, ...manifest, ...locate(folder, manifest.release) }
}

/** What to download for a kernel today. */
function resolve(name) {
  const { suite, isSecurity, series } = kernelSuites.get(name)
  const mirror = debianMirror()
  const uri = isSecurity ? mirror.securityUri : mirror.uri
  if (uri === undefined)
    throw new DebianError(`apt knows no security archive here, and ${suite} is in none other`)
  const apt = openSuites(suite, [{ uri, suite }])
  const image =
    series === undefined
      ? dependencies(apt, META_PACKAGE).find((entry) => /^linux-image-\d/.test(entry))
      : newestOf(apt, series)
  if (image === undefined) throw new DebianError(`${suite} has no ${META_PACKAGE}: it may have been archived`)
  const fields = packageFields(apt, image)
  if (fields === undefined)
    throw new DebianError(`${suite} has ${META_PACKAGE}, but not the ${image} it asks for`)
  return {
    apt,
    release: image.slice('linux-image-'.length),
    version: fields.Version,
    packages: parts(apt, image),
  }
}

/** Backports keep what they had before: the youngest cloud kernel of a series among them. */
function newestOf(apt, series) {
  const names = read('apt-cache', [...apt, 'pkgnames', `linux-image-${series}.`]).split('\n')
  const point = (name) => Number(/^linux-image-\d+\.\d+\.(\d+)\+\w+-cloud-amd64$/.exec(name)?.[1] ?? -1)
  return names
    .filter((name) => point(name) >= 0)
    .sort((a, b) => point(a) - point(b))
    .at(-1)
}

/** A kernel's image was one package until Linux 7; since then its parts are packages that it depends on. */
function parts(apt, image) {
  const release = image.slice('linux-image-'.length)
  // Of alternatives only one has to be there.
  const isPart = (name) =>
    name.startsWith('linux-') && name.endsWith(release) && packageFields(apt, name)?.Version !== undefined
  return [image, ...dependencies(apt, image).filter(isPart)]
}

/** Names of the packages that one depends on, first alternatives only. */
function dependencies(apt, name) {
  const depends = packageFields(apt, name)?.Depends ?? ''
  return depends
    .split(',')
    .map((entry) => /^\s*([^\s|(:]+)/.exec(entry)?.[1])
    .filter((entry) => entry !== undefined)
}

/** Where an unpacked kernel keeps its image, configuration and modules: in /boot and /lib, or since Linux 7 all in /usr. */
function locate(folder, release) {
  const root = join(vmFolder, folder)
  const modules = [`usr/lib/modules/${release}`, `lib/modules/${release}`].map((part) => join(root, part))
  const files = (name) => [join(root, `boot/${name}-${release}`), ...modules.map((part) => join(part, name))]
  const found = {
    image: files('vmlinuz').find(existsSync),
    config: files('config').find(existsSync),
    modules: modules.find(existsSync),
  }
  if (Object.values(found).includes(undefined))
    throw new DebianError(
      `the package of Linux ${release} has an unknown layout: delete .cache/vm/${folder} and try again`,
    )
  return found
}
