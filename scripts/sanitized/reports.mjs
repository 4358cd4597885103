/** What the sanitizers wrote, and which of it is ours. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Modules whose allocations are ours: the addon, and what it calls. */
const OURS = /\b(?:libbpf_node\.node|libbpf\.so|libelf|libz\.so)/

/** Frames between the allocator and who wants the memory: templates of the standard library, Node-API, and its C++ face. */
const BETWEEN = /^(?:operator new|malloc|calloc|realloc|strdup|std::|__gnu_cxx::|napi_|v8impl::|Napi::)/

/**
 * Leaks of Node, by name. A worker that is terminated while a promise of ours is pending leaves the promise's handle: Node-API refuses to
 * settle it in an environment that may run no JavaScript, and frees it only when it is settled.
 */
const NODES_OWN = [/^napi_create_promise\b/]

/** A frame as STACK_TRACE_FORMAT of environment.mjs has it: `#1 /usr/bin/node napi_create_promise`. */
const FRAME = /^\s*#\d+ (?<module>\S+) (?<name>.*)$/

/** Of a report of AddressSanitizer; memory and legend follow. */
const FATAL_LINES = 50

/** Whose a leaked block is: of the frame that wanted the memory. V8's own live on its heap, which LeakSanitizer doesn't search. */
function isOurLeak(block) {
  const frames = block.split('\n').flatMap((line) => FRAME.exec(line)?.groups ?? [])
  if (frames.some(({ name }) => NODES_OWN.some((own) => own.test(name)))) return false
  const owner = frames.slice(1).find(({ name }) => !BETWEEN.test(name))
  return owner !== undefined && OURS.test(owner.module)
}

/** What of a process's report matters: all but leaks of others, and what is said around them. */
function complaintsIn(report) {
  // AddressSanitizer ends the process: what it says is one thing, and the last one.
  const end = report.search(/^==\d+==ERROR: AddressSanitizer/m)
  const fatal = end < 0 ? [] : [report.slice(end).split('\n').slice(0, FATAL_LINES).join('\n')]
  const others = (end < 0 ? report : report.slice(0, end)).split(/\n\n+/).filter((block) => {
    if (/^(?:Direct|Indirect) leak of /m.test(block)) return isOurLeak(block)
    return !/^\s*=*\s*$|^SUMMARY: .* leaked in |ERROR: LeakSanitizer: detected memory leaks/m.test(block)
  })
  return [...others.map((block) => block.trim()), ...fatal]
}

/**
 * Reads the reports in a folder, a file per process.
 *
 * @returns how many processes wrote one; what is ours in them, each thing once; and those whose search for leaks crashed, which ends a process
 */
export function readReports(folder) {
  const files = readdirSync(folder)
  const found = new Map()
  const crashed = []
  for (const file of files) {
    const report = readFileSync(join(folder, file), 'utf8')
    if (report.includes('LeakSanitizer has encountered a fatal error')) crashed.push(file)
    for (const complaint of complaintsIn(report)) {
      // The same place in another process has other addresses.
      const place = complaint.replaceAll(/==\d+==|0x[0-9a-f]+|\d+ byte\(s\) in \d+/g, '')
      if (!found.has(place)) found.set(place, `${file}:\n${complaint}`)
    }
  }
  return { processes: files.length, complaints: [...found.values()], crashed }
}
