/** Versions of Linux, as `uname -r` tells them. */

/**
 * Whether a kernel comes before a version, by major and minor number. Distributions carry features back to older versions: ask
 * for a feature itself where that is possible, and this where an error has to be explained.
 *
 * @param release `uname -r`: `5.10.0-46-cloud-amd64`
 * @param version major and minor number: `5.14`
 */
export function isOlderThan(release: string, version: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10))
  const [wantedMajor = 0, wantedMinor = 0] = version.split('.').map(Number)
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor)
}
