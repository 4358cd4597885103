/** The way in. */
import { OpenObject } from './open-object.js'
import { objectName, readObject, type ObjectSource } from './read-object.js'
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
export function open(source: ObjectSource, options: OpenOptions = {}): OpenObject {
  const file = readObject(source)
  const name = options.name ?? objectName(source)
  const kernel = selectKernel(options.kernel, file)
  return new OpenObject({ name, file, kernel, object: kernel.openObject(file, { name }) })
}
