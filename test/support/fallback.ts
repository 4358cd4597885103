/** What the tests of the fallback kernel share. */
import { createKernel, type FallbackKernel, type FallbackOptions } from '../../lib/fallback/index.js'
import { open } from '../../lib/open.js'
import type { OpenObject } from '../../lib/open-object.js'

export function objectUrl(name: string): URL {
  return new URL(`../../bpf/${name}.bpf.o`, import.meta.url)
}

/** A kernel of one's own, and an object opened on it. */
export function openOn(
  name: string,
  options: FallbackOptions = {},
): { readonly kernel: FallbackKernel; readonly spec: OpenObject } {
  const kernel = createKernel(options)
  return { kernel, spec: open(objectUrl(name), { kernel }) }
}
