/** How a process runs on the addon with sanitizers. */
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'

/** The module first: reports.mjs asks whose a frame is. */
const STACK_TRACE_FORMAT = '"    #%n %m %f %S"'

/** Where the compiler has a sanitizer's library. @throws Error if it has none */
function runtime(name) {
  const compiler = process.env.CXX ?? 'c++'
  const path = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout?.trim() ?? ''
  if (!isAbsolute(path)) throw new Error(`${compiler} has no ${name}: install g++`)
  return realpathSync(path)
}

/**
 * The variables that put the addon with sanitizers into a process and its children.
 *
 * @param addon   path of the addon
 * @param reports folder that takes a file per process that has something to say
 * @throws Error if the compiler has no sanitizers
 */
export function sanitizedEnvironment(addon, reports) {
  const options = (log, more) =>
    Object.entries({ log_path: join(reports, log), stack_trace_format: STACK_TRACE_FORMAT, ...more })
      .map(([name, value]) => `${name}=${value}`)
      .join(':')
  return {
    SANITIZED: '1',
    LIBBPF_NODE_ADDON: addon,
    // Node itself is without sanitizers: their library must be there before its own malloc is.
    LD_PRELOAD: runtime('libasan.so'),
    ASAN_OPTIONS: options('memory', {
      quarantine_size_mb: 64,
      strict_string_checks: 1,
      detect_stack_use_after_return: 1,
      abort_on_error: 1,
    }),
    UBSAN_OPTIONS: options('undefined', { print_stacktrace: 1 }),
    // The variables of a thread in a library that was loaded later, the search takes to lie where a header before them says; the C library of
    // today has none. One block in 256 lies where it believes in it: what it then follows leads anywhere, and it crashes. What only such a
    // variable knows is no leak of ours: native/log.cc has the only one, and it points to a stack.
    // Most of what it finds is V8's, whose heap it doesn't search: exit codes remain those of the programs.
    LSAN_OPTIONS: 'exitcode=0:use_tls=0:print_suppressions=0',
  }
}
