/** The way in. */
import { checkText, checkUint32 } from './checked-settings.js'
import type { OpenObjectOptions } from './kernel.js'
import { parseKconfig } from './linux/kconfig.js'
import { OpenObject } from './open-object.js'
import { objectName, readBtf, readObject, type ObjectSource } from './read-object.js'
import { selectKernel, type KernelChoice } from './select-kernel.js'

export interface OpenOptions {
  /** Default: `'auto'`, or what `LIBBPF_NODE_KERNEL` says. */
  readonly kernel?: KernelChoice
  /** Name of the object. Default: the file's name without `.bpf.o`; `object` for bytes. Linux shows maps of global data under it. */
  readonly name?: string
  /** Kernel options for `extern … __kconfig`: lines `CONFIG_NAME=value` as in .config. They count before what the kernel says. */
  readonly kconfig?: string
  /** The types that CO-RE resolves against, in place of the running kernel's: path of a BTF file (or the bytes), as from btfhub. */
  readonly btf?: string | URL | Uint8Array
  /** Folder of a BPF file system where `LIBBPF_PIN_BY_NAME` maps are pinned. Default: `/sys/fs/bpf`. */
  readonly pinRootPath?: string
  /**
   * Mount point of a BPF file system that hands out tokens, which stand for capabilities that this process lacks. Empty: take none. Default:
   * the environment's `LIBBPF_BPF_TOKEN_PATH`, or `/sys/fs/bpf` if that does. Linux 6.9, libbpf 1.4.
   */
  readonly bpfTokenPath?: string
  /** Log level of every program that isn't given another: see `ProgramSettings.logLevel`. */
  readonly kernelLogLevel?: number
}

/**
 * Opens a compiled BPF object: parses it, and checks it. Nothing is in the kernel until `load()`.
 *
 * @param source path, `file:` URL, or the bytes of an ELF file that `clang -g -O2 -target bpf` made
 * @throws BpfError `ENOENT` and other file errors; `BAD_OBJECT`, `BAD_BTF`, `NO_BTF` for what is no usable object, saying what's wrong;
 *   `NO_NATIVE_KERNEL` where `'native'` was asked for and can't be had; `UNSUPPORTED` naming an option that isn't there
 *
 * @example
 * using object = open('counter.bpf.o').load()
 * using links = object.attach()
 * console.log(object.bss.count)
 */
export function open(source: ObjectSource, options: OpenOptions = {}): OpenObject {
  const file = readObject(source)
  const name = options.name ?? objectName(source)
  const settings: OpenObjectOptions = { name, ...readOptions(options) }
  const kernel = selectKernel(options.kernel, {
    programs: file.programs,
    token: { path: options.bpfTokenPath },
  })
  return new OpenObject({ name, file, kernel, object: kernel.openObject(file, settings) })
}

type ObjectSettings = Omit<OpenObjectOptions, 'name'>

/** The options, checked; files are read. */
function readOptions({
  kconfig,
  btf,
  pinRootPath,
  bpfTokenPath,
  kernelLogLevel,
}: OpenOptions): ObjectSettings {
  if (kconfig !== undefined) {
    if (kconfig !== '') checkText('option kconfig', kconfig)
    // What is malformed is refused here for both kernels, in the same words.
    parseKconfig(kconfig)
  }
  if (pinRootPath !== undefined) checkText('option pinRootPath', pinRootPath)
  if (bpfTokenPath !== undefined && bpfTokenPath !== '') checkText('option bpfTokenPath', bpfTokenPath)
  if (kernelLogLevel !== undefined) checkUint32('option kernelLogLevel', kernelLogLevel)
  return {
    kconfig,
    btf: btf === undefined ? undefined : readBtf(btf),
    pinRootPath,
    bpfTokenPath,
    kernelLogLevel,
  }
}
