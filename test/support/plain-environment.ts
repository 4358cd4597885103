/**
 * The environment for children that aren't Node: without the sanitizers' library (scripts/test-sanitized.mjs), which every process would
 * start with, and under which compilers and bpftool take a minute.
 */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const { LD_PRELOAD: _, ...plain } = process.env
  return plain
}
