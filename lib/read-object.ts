/** From a path or bytes to a parsed object file. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BpfError } from './errors.js'
import { parseObjectFile } from './object-file/parse.js'
import type { ObjectFile } from './object-file/types.js'

/** The largest objects that are known have some 10 MB. */
const MAX_OBJECT_BYTES = 256 << 20

const HOST_BTF = '/sys/kernel/btf/vmlinux'

/** A path, a `file:` URL, or the bytes of an ELF file. */
export type ObjectSource = string | URL | Uint8Array

/** Reads and parses an object; no kernel takes part. @throws BpfError as `open()` does */
export function readObject(source: ObjectSource): ObjectFile {
  if (source instanceof Uint8Array) return parseObjectFile(source)
  if (typeof source !== 'string' && !(source instanceof URL)) {
    throw new BpfError(
      'BAD_VALUE',
      `open() takes a path, a file: URL or a Uint8Array, not ${source === null ? 'null' : typeof source}`,
    )
  }
  const image = readBytes(source, 'the object')
  try {
    return parseObjectFile(image)
  } catch (error) {
    if (!(error instanceof BpfError)) throw error
    throw new BpfError(error.code, `${pathOf(source)}: ${error.message}`, { cause: error })
  }
}

/** The bytes of a BTF file. @throws BpfError for what can't be read, and for an empty one */
export function readBtf(source: string | URL | Uint8Array): Uint8Array {
  if (!(source instanceof Uint8Array) && !(source instanceof URL) && typeof source !== 'string') {
    throw new BpfError(
      'BAD_VALUE',
      `option btf takes a path, a file: URL or a Uint8Array, not ${typeof source}`,
    )
  }
  const bytes = source instanceof Uint8Array ? source : readBytes(source, 'the type information')
  if (bytes.length === 0) throw new BpfError('BAD_BTF', 'option btf: the type information is empty')
  return bytes
}

/** The kernel's own types, where this machine has them. */
export function hostBtf(): Uint8Array | undefined {
  try {
    return readRegularFile(HOST_BTF)
  } catch {
    return undefined
  }
}

function readBytes(source: string | URL, what: string): Uint8Array {
  try {
    return readRegularFile(source)
  } catch (cause) {
    const { code = 'EIO', message } = cause as NodeJS.ErrnoException
    throw new BpfError(code, `can't read ${what} ${pathOf(source)}: ${message}`, { cause, call: 'read' })
  }
}

/** Devices and pipes may have no end: they aren't read. */
function readRegularFile(path: string | URL): Uint8Array {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const status = fstatSync(descriptor)
    if (status.isDirectory()) throw fileError('EISDIR', 'it is a directory')
    if (!status.isFile()) throw fileError('EINVAL', 'it is no regular file')
    if (status.size > MAX_OBJECT_BYTES)
      throw fileError('EFBIG', `it has ${status.size} bytes, objects have ${MAX_OBJECT_BYTES} at most`)
    return readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function fileError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}

/** `execsnoop` for `…/execsnoop.bpf.o`. */
export function objectName(source: ObjectSource): string {
  if (source instanceof Uint8Array) return 'object'
  return basename(pathOf(source)).replace(/(\.bpf)?\.o$/, '') || 'object'
}

function pathOf(source: string | URL): string {
  return source instanceof URL ? fileURLToPath(source) : source
}
