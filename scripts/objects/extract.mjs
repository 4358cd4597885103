/** BPF objects inside of other files: tools carry them in their read-only data. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
const EM_BPF = 247
const SHT_NOBITS = 8
/** Offsets in the headers of a 64-bit ELF file. */
const HEADER = { size: 64, machine: 18, sections: 40, entrySize: 58, entries: 60 }
const SECTION = { type: 4, offset: 24, size: 32 }

/** @returns paths of all regular files below a folder */
export function* filesBelow(folder) {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name)
    const status = lstatSync(path)
    if (status.isDirectory()) yield* filesBelow(path)
    else if (status.isFile()) yield path
  }
}

/** @returns the bytes of each BPF object that a file is or holds */
export function* objectsIn(path) {
  const bytes = readFileSync(path)
  for (let start = bytes.indexOf(MAGIC); start >= 0; start = bytes.indexOf(MAGIC, start + 1)) {
    const file = bytes.subarray(start)
    if (file.length < HEADER.size || file.readUInt16LE(HEADER.machine) !== EM_BPF) continue
    yield file.subarray(0, endOf(file))
  }
}

/** Behind the last section, and behind the table of sections. */
function endOf(file) {
  const table = Number(file.readBigUInt64LE(HEADER.sections))
  const entrySize = file.readUInt16LE(HEADER.entrySize)
  let end = table + file.readUInt16LE(HEADER.entries) * entrySize
  for (let at = table; at + entrySize <= Math.min(end, file.length); at += entrySize) {
    if (file.readUInt32LE(at + SECTION.type) === SHT_NOBITS) continue
    const offset = Number(file.readBigUInt64LE(at + SECTION.offset))
    end = Math.max(end, offset + Number(file.readBigUInt64LE(at + SECTION.size)))
    if (end > file.length) return file.length
  }
  return end
}
