/** What the tests of the fallback kernel share. */
import { createKernel, type FallbackKernel, type FallbackOptions } from '../../lib/fallback/index.js'
import { open } from '../../lib/open.js'
import type { OpenObject } from '../../lib/open-object.js'

export function objectUrl(name: string): URL {
  return new URL(`../../bpf/${name}.bpf.o`, import.meta.url)
}

/** A kernel of one's own, with the tracepoint that bpf/test/fallback_core.bpf.c wants. */
export function kernelWithProbe(options: FallbackOptions = {}): FallbackKernel {
  const kernel = createKernel(options)
  kernel.tracepoints.define('probe_outer', [{ name: 'outer', type: 'struct outer *' }])
  return kernel
}

/** Such a kernel, and an object opened on it. */
export function openOn(
  name: string,
  options: FallbackOptions = {},
): { readonly kernel: FallbackKernel; readonly spec: OpenObject } {
  const kernel = kernelWithProbe(options)
  return { kernel, spec: open(objectUrl(name), { kernel }) }
}
