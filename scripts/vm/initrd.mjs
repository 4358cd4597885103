/** The file system that a virtual machine starts from: process 1 (init.c), the modules that it loads, the command that it runs. */
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { read } from '../setup/debian.mjs'
import { root } from '../setup/project.mjs'
import { vmFolder } from './cache.mjs'

/**
 * The modules between a bare kernel and the host's files, those of the networks that tests make, and one with a writable tracepoint, each after those it needs. Which of
 * them exist differs from kernel to kernel: the rest is built in.
 */
const MODULES = [
  'virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_console', 'fuse', 'virtiofs', 'overlay',
  'veth', 'sch_ingress', 'cls_bpf', 'nf_defrag_ipv4', 'nf_defrag_ipv6', 'nbd',
] // prettier-ignore

const FOLDER = 0o040755
const PROGRAM = 0o100755
const FILE = 0o100644

/**
 * @param modules  the folder of a kernel's modules
 * @param command  the working folder, then the program and its arguments
 * @returns an uncompressed cpio archive
 * @throws {DebianError} if the C compiler or xz is missing
 */
export function makeInitrd(modules, command) {
  const found = findModules(modules)
  const files = MODULES.filter((name) => found.has(name)).map((name) => [
    `modules.d/${name}.ko`,
    FILE,
    readModule(found.get(name)),
  ])
  return archive([
    ...['dev', 'proc', 'sys', 'host', 'memory', 'root', 'modules.d'].map((name) => [name, FOLDER, '']),
    ['init', PROGRAM, readFileSync(compileInit())],
    ['command', FILE, command.map((word) => `${word}\0`).join('')],
    ['modules', FILE, files.map(([name]) => `/${String(name)}\n`).join('')],
    ...files,
  ])
}

/** Compiles init.c, if it is newer than what was made of it. Static: there is no libc in the initrd. */
function compileInit() {
  const source = join(root, 'scripts/vm/init.c')
  const program = join(vmFolder, 'init')
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program
  mkdirSync(vmFolder, { recursive: true })
  read(process.env.CC ?? 'cc', ['-static', '-Os', '-Wall', '-Wextra', '-Werror', '-s', '-o', program, source])
  return program
}

/** Module names with their files. */
function findModules(folder) {
  const paths = readdirSync(join(folder, 'kernel'), { recursive: true }).filter((path) =>
    /\.ko(\.xz)?$/.test(path),
  )
  return new Map(paths.map((path) => [basename(path).replace(/\.ko.*$/, ''), join(folder, 'kernel', path)]))
}

function readModule(path) {
  return path.endsWith('.xz')
    ? read('xz', ['--decompress', '--stdout', path], { encoding: 'buffer' })
    : readFileSync(path)
}

/** The "newc" format of cpio (Documentation/driver-api/early-userspace/buffer-format.rst in the kernel's sources). */
function archive(entries) {
  const parts = [...entries, ['TRAILER!!!', 0, '']].flatMap(([name, mode, content], index) => {
    const data = Buffer.from(content)
    const path = Buffer.from(`${name}\0`)
    // magic, inode, mode, uid, gid, links, mtime, size, device of the file and of the node, length of the name, checksum
    const fields = [index + 1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, path.length, 0]
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
    return [padded(Buffer.concat([Buffer.from(header), path])), padded(data)]
  })
  return Buffer.concat(parts)
}

/** Header with name, and data, each fill multiples of 4 bytes. */
function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}
