/** Which processes hold which objects, as /proc tells: `bpf_*` of /proc/PID/fdinfo is what bpftool finds with an iterator. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Holder, ObjectKind } from '../kernel-introspection.js'

/** The lines of fdinfo, by kind. A link's file names its program too, and it holds it. */
const LINES: Readonly<Record<Exclude<ObjectKind, 'btf'>, RegExp>> = {
  program: /^prog_id:\t(\d+)$/m,
  map: /^map_id:\t(\d+)$/m,
  link: /^link_id:\t(\d+)$/m,
}

/** Processes that end meanwhile, and those that this one may not look into (`CAP_SYS_PTRACE`), are left out. */
export function holders(kind: Exclude<ObjectKind, 'btf'>): readonly Holder[] {
  const line = LINES[kind]
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) =>
      namesIn(`/proc/${pid}/fdinfo`).flatMap((fd) => {
        const id = line.exec(read(`/proc/${pid}/fdinfo/${fd}`))?.[1]
        if (id === undefined) return []
        return [{ id: Number(id), pid: Number(pid), comm: read(`/proc/${pid}/comm`).trimEnd(), fd: Number(fd) }]
      }),
    )
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
