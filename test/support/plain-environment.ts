/**
 * The environment for children that can't start with the sanitizers' library (scripts/test-sanitized.mjs), nor therefore load the addon
 * that needs it: what isn't Node (compilers and bpftool take a minute under it), and programs with capabilities of their file, before
 * which the linker ignores it.
 */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const { LD_PRELOAD: _, LIBBPF_NODE_ADDON: __, ...plain } = process.env
  return plain
}
