/**
 * A virtual machine that runs one command on the host's files, read-only, and goes.
 *
 * The processor is emulated (TCG), because KVM is missing where machines are virtual themselves: code runs 10 to 40 times
 * slower than on the host.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeInitrd } from './initrd.mjs'

/** Of setpriv(1): a machine doesn't outlive who started it, however that ends. */
const NOT_LONGER = ['--pdeathsig', 'KILL']
const MEMORY = '1G'
const CPUS = 2
const SHARE_WAIT_MS = 10_000

/** Emulated clocks fail the kernel's checks of its clock sources: it is told to trust them. */
const KERNEL_ARGUMENTS =
  'console=ttyS0 loglevel=3 panic=-1 mitigations=off tsc=reliable no_timer_check random.trust_cpu=1 ' +
  // Debian's 5.10 leaves bpf out of the active security modules.
  'lsm=landlock,lockdown,yama,integrity,apparmor,bpf libbpf_node.vm'

/** What the guest opens to reach `options.channel`: it is the first of its virtio devices. That moves pages, where a serial port moves bytes. */
export const CHANNEL = '/dev/vport0p1'

/**
 * Boots a kernel, runs a command in it as root, and switches it off.
 *
 * @param emulator  from provideEmulator()
 * @param kernel    from provideKernel()
 * @param command   the working folder, then the program and its arguments
 * @param options.timeoutMs  after this the machine is ended
 * @param options.append     for the kernel's command line
 * @param options.signal     ends the machine
 * @param options.channel    path of a UNIX socket where somebody listens: the machine's {@link CHANNEL}
 * @returns `code`: the command's exit code, undefined if the machine ended without one (it panicked, or took too long);
 *   `results`: the lines that the command wrote to /dev/ttyS1
 */
export async function runInMachine(emulator, kernel, command, { timeoutMs, append = '', signal, channel }) {
  const scratch = mkdtempSync(join(tmpdir(), 'vm-'))
  const children = []
  const stop = () => children.forEach((child) => child.kill('SIGKILL'))
  signal?.addEventListener('abort', stop)
  const timer = setTimeout(stop, timeoutMs)
  try {
    const initrd = join(scratch, 'initrd')
    const results = join(scratch, 'results')
    const socket = join(scratch, 'share')
    writeFileSync(initrd, makeInitrd(kernel.modules, command))
    children.push(startShare(emulator.virtiofsd, socket, join(scratch, 'share.log')))
    await appears(socket, join(scratch, 'share.log'))
    const qemu = startQemu(emulator.qemu, { image: kernel.image, initrd, append, socket, results, channel })
    children.push(qemu)
    await ended(qemu)
    return readResults(results)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
    stop()
    rmSync(scratch, { recursive: true, force: true })
  }
}

/**
 * Serves the host's root folder. In a mount namespace of its own, where that is read-only but for the socket's folder: so it is
 * whatever the guest's kernel asks for.
 */
function startShare({ command, args, env }, socket, log) {
  const script =
    'mount -t tmpfs tmpfs /run && mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"'
  const share = [`--socket-path=${socket}`, '-o', 'source=/', '-o', 'cache=always', '-o', 'sandbox=chroot']
  const output = openSync(log, 'w')
  const child = spawn(
    'setpriv',
    [
      ...NOT_LONGER,
      'unshare',
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      script,
      dirname(socket),
      command,
      ...args,
      ...share,
    ],
    { env, stdio: ['ignore', output, output] },
  )
  closeSync(output)
  // Whatever keeps it from starting, its socket doesn't appear.
  child.on('error', () => {})
  return child
}

async function appears(socket, log) {
  for (let waited = 0; !existsSync(socket); waited += 20) {
    if (waited > SHARE_WAIT_MS)
      throw new Error(`virtiofsd doesn't start: ${readFileSync(log, 'utf8').trim().slice(-500)}`)
    await sleep(20)
  }
}

function startQemu({ command, args, env }, { image, initrd, append, socket, results, channel }) {
  return spawn(
    'setpriv',
    [
      ...NOT_LONGER, command, ...args, '-nodefaults', '-no-reboot', '-display', 'none',
      '-machine', 'pc', '-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max', '-smp', String(CPUS), '-m', MEMORY,
      '-kernel', image, '-initrd', initrd, '-append', `${KERNEL_ARGUMENTS} ${append}`,
      '-serial', 'stdio', '-serial', `file:${results}`,
      ...(channel === undefined ? [] : [
        '-device', 'virtio-serial-pci', '-chardev', `socket,id=channel,path=${channel}`,
        '-device', 'virtserialport,chardev=channel',
      ]),
      '-device', 'virtio-rng-pci',
      // virtiofsd reads and writes the guest's memory itself.
      '-object', `memory-backend-memfd,id=memory,size=${MEMORY},share=on`, '-numa', 'node,memdev=memory',
      '-chardev', `socket,id=share,path=${socket}`, '-device', 'vhost-user-fs-pci,chardev=share,tag=host,queue-size=1024',
    ], // prettier-ignore
    { env, stdio: ['ignore', 'inherit', 'inherit'] },
  )
}

function ended(child) {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', resolve)
  })
}

function readResults(file) {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split(/\r?\n/) : []
  const code = /^EXIT (\d+)$/m.exec(lines.join('\n'))?.[1]
  return {
    code: code === undefined ? undefined : Number(code),
    results: lines.filter((line) => line.startsWith('{')),
  }
}
