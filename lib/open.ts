/** The way in. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BpfError } from './errors.js'
import { parseObjectFile } from './object-file/parse.js'
import type { ObjectFile } from './object-file/types.js'
import { OpenObject } from './open-object.js'
import { selectKernel, type KernelChoice } from './select-kernel.js'

export interface OpenOptions {
  /** Default: `'auto'`, or what `LIBBPF_NODE_KERNEL` says. */
  readonly kernel?: KernelChoice
  /** Name of the object. Default: the file's name without `.bpf.o`; `object` for bytes. Linux shows maps of global data under it. */
  readonly name?: string
}

/**
 * Opens a compiled BPF object: parses it, and checks it. Nothing is in the kernel until `load()`.
 *
 * @param source path, `file:` URL, or the bytes of an ELF file that `clang -g -O2 -target bpf` made
 * @throws BpfError `ENOENT` and other file errors; `BAD_OBJECT`, `BAD_BTF`, `NO_BTF` for what is no usable object, saying what's wrong;
 *   `NO_NATIVE_KERNEL` where `'native'` was asked for and can't be had
 *
 * @example
 * using object = open('counter.bpf.o').load()
 * using links = object.attach()
 * console.log(object.bss.count)
 */
export function open(source: string | URL | Uint8Array, options: OpenOptions = {}): OpenObject {
  const file = readObject(source)
  const name = options.name ?? nameOf(source)
  const kernel = selectKernel(options.kernel, file)
  return new OpenObject({ name, file, kernel, object: kernel.openObject(file, { name }) })
}

/** Parses an object without a kernel. */
export function readObject(source: string | URL | Uint8Array): ObjectFile {
  if (source instanceof Uint8Array) return parseObjectFile(source)
  if (typeof source !== 'string' && !(source instanceof URL)) {
    throw new BpfError('BAD_VALUE', `open() takes a path, a file: URL or a Uint8Array, not ${source === null ? 'null' : typeof source}`)
  }
  let image: Uint8Array
  try {
    image = readFileSync(source)
  } catch (cause) {
    const { code = 'EIO', message } = cause as NodeJS.ErrnoException
    throw new BpfError(code, `can't read the object: ${message}`, { cause, call: 'read' })
  }
  try {
    return parseObjectFile(image)
  } catch (error) {
    if (!(error instanceof BpfError)) throw error
    throw new BpfError(error.code, `${pathOf(source)}: ${error.message}`, { cause: error })
  }
}

function nameOf(source: string | URL | Uint8Array): string {
  if (source instanceof Uint8Array) return 'object'
  return basename(pathOf(source)).replace(/(\.bpf)?\.o$/, '') || 'object'
}

function pathOf(source: string | URL): string {
  return source instanceof URL ? fileURLToPath(source) : source
}
