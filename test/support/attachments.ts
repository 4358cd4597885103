/** Tracing attachments that tests make: how each is attached, and how it is made to fire. */
import { closeSync, openSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { BpfObject, Link, LinkInfo, Program } from '../../lib/index.js'
import { open } from '../../lib/open.js'
import { linuxIsAtLeast } from './require-kernel.js'
import type { KernelNeeds } from './kernel-needs.js'
import { objectPath } from './kernels.js'
import { patience } from './patience.js'
import type { TargetProcess } from './probe-target.js'

/** What a row of {@link ATTACHMENTS} needs for its test. */
export interface Scene {
  readonly object: BpfObject
  readonly program: Program
  readonly target: TargetProcess | undefined
  /** Path of the probe target. */
  readonly binary: string
}

export interface Attachment {
  readonly name: string
  /** Of tracing.bpf.c. */
  readonly program: string
  readonly needs: KernelNeeds
  /** First Linux that gives it a cookie; undefined: never. */
  readonly cookies?: string
  /** Runs of the program after one `fire()`; undefined: at least one. */
  readonly runs?: number
  /** What it saw last. */
  readonly value?: bigint
  /** Type of the link's info, where it is a BPF link; by kernel version where it hasn't always been one. */
  readonly link: LinkInfo['type']
  readonly linkSince?: string
  readonly attach: (scene: Scene, cookie: bigint | undefined) => Link
  readonly fire: (scene: Scene) => unknown
}

const mask = process.umask()
/** Nobody else calls umask(), and this call changes nothing. */
const callUmask = (): number => process.umask(mask)
const openFile = (): void => closeSync(openSync('/dev/null', 'r'))
const fork = (): unknown => spawnSync('true')
export const pass = ({ target }: Scene): Promise<unknown> | undefined => target?.pass()
/** The kernel calls functions of its own for a test run of a program that traces one. */
const testRun = ({ program }: Scene): unknown => program.run()
/** Samples of this process come while it uses a CPU: of the time that others have it, nothing counts. */
function burn({ object }: Scene): void {
  const start = process.cpuUsage()
  const used = (): number => process.cpuUsage(start).user / 1000
  while (used() < patience(50) && Number(object.bss['runs']) === 0);
}

const NBD_REQUEST = fileURLToPath(new URL('nbd-request.pl', import.meta.url))
/** What on_writable of tracing.bpf.c makes of the place that is asked for. */
const ANOTHER_PLACE = 0x1122_3344_5566_7788n

/** Reads from a network block device, and keeps the place that its server was asked for, as it came over the wire. */
function askBlockDevice({ object }: Scene): void {
  const { stdout, stderr } = spawnSync('perl', [NBD_REQUEST, '/dev/nbd0'], { encoding: 'latin1' })
  if (stdout.length !== 16) throw new Error(`the block device was not asked: ${stderr}`)
  object.bss['last_value'] = Buffer.from(stdout, 'hex').readBigInt64LE()
}

const withCookie = (cookie: bigint | undefined): { cookie: bigint } | object =>
  cookie === undefined ? {} : { cookie }

export const COOKIE = 0xfedc_ba98_7654_3210n

const kprobes: KernelNeeds = { since: '5.8', config: ['KPROBES'] }
const fprobe: KernelNeeds = { since: '5.18', config: ['FPROBE', 'KPROBES'] }
const user: KernelNeeds = { since: '5.8', config: ['UPROBES'] }
const PROBE = { link: 'perf_event', linkSince: '5.15', cookies: '5.15' } as const
const TRAMPOLINE = { link: 'tracing', cookies: '6.0' } as const

export const ATTACHMENTS: readonly Attachment[] = [
  {
    name: 'kprobe', program: 'on_kprobe', needs: kprobes, ...PROBE, runs: 1, fire: openFile,
    attach: ({ program }, cookie) => program.attachKprobe('do_sys_openat2', withCookie(cookie)),
  },
  {
    name: 'kretprobe', program: 'on_kretprobe', needs: kprobes, ...PROBE, runs: 1, fire: openFile,
    attach: ({ program }, cookie) => program.attachKprobe('do_sys_openat2', withCookie(cookie)),
  },
  {
    name: 'ksyscall', program: 'on_ksyscall', needs: kprobes, ...PROBE, runs: 1, fire: callUmask,
    attach: ({ program }, cookie) => program.attachKsyscall('umask', withCookie(cookie)),
  },
  {
    name: 'kprobe.multi by pattern', program: 'on_kprobe_multi', needs: fprobe, link: 'kprobe_multi', runs: 1, fire: openFile,
    attach: ({ program }) => program.attachKprobeMulti('do_sys_openat?'),
  },
  {
    name: 'kprobe.multi by names', program: 'on_kprobe_multi', needs: fprobe, link: 'kprobe_multi', cookies: '5.18', runs: 1, fire: openFile,
    attach: ({ program }, cookie = 0n) => program.attachKprobeMulti(['vfs_unlink', 'do_sys_openat2'], { cookies: [1n, cookie] }),
  },
  {
    name: 'kretprobe.multi', program: 'on_kretprobe_multi', needs: fprobe, link: 'kprobe_multi', runs: 1, fire: openFile,
    attach: ({ program }) => program.attachKprobeMulti(['do_sys_openat2']),
  },
  {
    // At entry and return.
    name: 'kprobe.session', program: 'on_kprobe_session', needs: { ...fprobe, since: '6.10' }, link: 'kprobe_multi', runs: 2, fire: openFile,
    attach: ({ program }) => program.attachKprobeMulti('do_sys_openat2'),
  },
  {
    name: 'uprobe by function', program: 'on_uprobe', needs: user, ...PROBE, runs: 1, value: 10n, fire: pass,
    attach: ({ program, binary, target }, cookie) =>
      program.attachUprobe(binary, { function: 'traced_0', pid: target?.pid ?? 0, ...withCookie(cookie) }),
  },
  {
    name: 'uretprobe', program: 'on_uretprobe', needs: user, ...PROBE, runs: 1, value: 11n, fire: pass,
    attach: ({ program, binary }, cookie) => program.attachUprobe(binary, { function: 'traced_0', ...withCookie(cookie) }),
  },
  {
    name: 'uprobe of a library by its name', program: 'on_uprobe', needs: user, ...PROBE, runs: 1, fire: callUmask,
    attach: ({ program }, cookie) => program.attachUprobe('libc', { function: 'umask', pid: 'self', ...withCookie(cookie) }),
  },
  {
    name: 'uprobe.multi by pattern', program: 'on_uprobe_multi', needs: { ...user, since: '6.6' }, link: 'uprobe_multi', runs: 3, value: 30n, fire: pass,
    attach: ({ program, binary, target }) =>
      program.attachUprobeMulti(binary, { functions: 'traced_?', pid: target?.pid ?? 0 }),
  },
  {
    name: 'uprobe.multi by names', program: 'on_uprobe_multi', needs: { ...user, since: '6.6' }, link: 'uprobe_multi', cookies: '6.6', runs: 2, value: 30n, fire: pass,
    attach: ({ program, binary }, cookie = 0n) =>
      program.attachUprobeMulti(binary, { functions: ['traced_0', 'traced_2'], cookies: [1n, cookie] }),
  },
  {
    name: 'uretprobe.multi', program: 'on_uretprobe_multi', needs: { ...user, since: '6.6' }, link: 'uprobe_multi', runs: 1, value: 22n, fire: pass,
    attach: ({ program, binary }) => program.attachUprobeMulti(binary, { functions: 'traced_1' }),
  },
  {
    name: 'uprobe.session', program: 'on_uprobe_session', needs: { ...user, since: '6.13' }, link: 'uprobe_multi', runs: 2, fire: pass,
    attach: ({ program, binary }) => program.attachUprobeMulti(binary, { functions: 'traced_1' }),
  },
  {
    name: 'uprobe.multi by SEC() name', program: 'on_umask', needs: { ...user, since: '6.6' }, link: 'uprobe_multi', runs: 1, fire: callUmask,
    attach: ({ program }) => program.attach(),
  },
  {
    name: 'tracepoint', program: 'on_tracepoint', needs: { since: '5.8', tracefs: true }, ...PROBE, runs: 1, fire: fork,
    attach: ({ program }, cookie) => program.attachTracepoint('sched', 'sched_process_fork', withCookie(cookie)),
  },
  {
    name: 'raw_tp', program: 'on_raw_tracepoint', needs: { since: '5.8' }, link: 'raw_tracepoint', cookies: '6.10', runs: 1, fire: fork,
    attach: ({ program }, cookie) => program.attachRawTracepoint('sched_process_fork', withCookie(cookie)),
  },
  {
    name: 'raw_tp.w', program: 'on_writable', needs: { since: '5.8', config: ['BLK_DEV_NBD'] }, link: 'raw_tracepoint', value: ANOTHER_PLACE, fire: askBlockDevice,
    attach: ({ program }) => program.attachRawTracepoint('nbd_send_request'),
  },
  {
    name: 'tp_btf', program: 'on_typed_tracepoint', needs: { since: '5.8' }, link: 'raw_tracepoint', cookies: '6.10', runs: 1, fire: fork,
    attach: ({ program }, cookie) => program.attachTrace(withCookie(cookie)),
  },
  {
    name: 'fentry', program: 'on_entry', needs: { since: '5.8', machine: true }, ...TRAMPOLINE, runs: 1, value: 1n, fire: testRun,
    attach: ({ program }, cookie) => program.attachTrace(withCookie(cookie)),
  },
  {
    name: 'fexit', program: 'on_exit', needs: { since: '5.8', machine: true }, ...TRAMPOLINE, runs: 1, value: 2n, fire: testRun,
    attach: ({ program }, cookie) => program.attachTrace(withCookie(cookie)),
  },
  {
    name: 'fmod_ret', program: 'on_hook', needs: { since: '5.8', machine: true }, ...TRAMPOLINE, runs: 1, fire: openFile,
    attach: ({ program }, cookie) => program.attachTrace(withCookie(cookie)),
  },
  {
    // At entry and return.
    name: 'fsession', program: 'on_function_session', needs: { since: '7.0', machine: true }, link: 'tracing', cookies: '7.0', runs: 2, value: 1n, fire: testRun,
    attach: ({ program }, cookie) => program.attachTrace(withCookie(cookie)),
  },
  {
    name: 'sleepable fentry', program: 'on_sleepable_entry', needs: { since: '6.2', machine: true }, ...TRAMPOLINE, runs: 1, value: 1n, fire: testRun,
    attach: ({ program }, cookie) => program.attachTrace(withCookie(cookie)),
  },
  {
    name: 'LSM', program: 'on_file_open', needs: { since: '5.8', machine: true, config: ['BPF_LSM'] }, link: 'tracing', runs: 1, fire: openFile,
    attach: ({ program }) => program.attachLsm(),
  },
  {
    name: 'sleepable LSM', program: 'on_file_open_sleepable', needs: { since: '5.11', machine: true, config: ['BPF_LSM'] }, link: 'tracing', runs: 1, fire: openFile,
    attach: ({ program }) => program.attachLsm(),
  },
  {
    name: 'perf_event', program: 'on_perf_event', needs: { since: '5.8', config: ['PERF_EVENTS'] }, ...PROBE, fire: burn,
    attach: ({ program }, cookie) => program.attachPerfEvent('cpu-clock', { period: 1_000_000n, pid: 'self', ...withCookie(cookie) }),
  },
] // prettier-ignore

/** Loads one program of an object, for events of this process (or another one), with or without cookies. */
export function loadTracing(
  program: string,
  settings: { tgid?: number; cookies?: string | undefined } = {},
): BpfObject {
  const spec = open(objectPath('test/tracing'), { kernel: 'native' })
  for (const [name, setting] of Object.entries(spec.programs)) setting.autoload = name === program
  spec.rodata['target_tgid'] = settings.tgid ?? process.pid
  spec.rodata['with_cookie'] = settings.cookies !== undefined && linuxIsAtLeast(settings.cookies)
  return spec.load()
}
