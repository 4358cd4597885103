/** Every kind of attachment of tracing, through the contract of links. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { IteratorLink, type BpfObject, type Program } from '../../lib/index.js'
import { introspect } from '../../lib/introspection/introspection.js'
import { linkById } from '../../lib/open-link.js'
import { open } from '../../lib/open.js'
import { ATTACHMENTS, COOKIE, loadTracing, pass, type Attachment, type Scene } from '../support/attachments.js'
import { TestBpffs } from '../support/bpffs.js'
import { linkContract, type LinkSubject } from '../support/link-contract.js'
import { objectPath } from '../support/kernels.js'
import { patience } from '../support/patience.js'
import { probeTarget, removeProbeTarget, startTarget, type TargetProcess } from '../support/probe-target.js'
import { loadOnly } from '../support/programs.js'
import { addonHas, describeNative, linuxIsAtLeast } from '../support/require-kernel.js'
import { isSanitized } from '../support/this-machine.js'

let bpffs: TestBpffs
let target: TargetProcess

describeNative('attachments', () => {
  beforeAll(async () => {
    bpffs = await TestBpffs.mount()
    target = await startTarget()
  }, patience(60_000))
  afterAll(async () => {
    bpffs[Symbol.dispose]()
    await target[Symbol.asyncDispose]()
    base?.close()
    registered?.close()
    removeProbeTarget()
  })

  for (const attachment of ATTACHMENTS) linkContract(subjectOf(attachment), () => bpffs.path)
  for (const subject of [USDT, FREPLACE, ITERATOR, STRUCT_OPS]) linkContract(subject, () => bpffs.path)

  const namespaced = existsSync('/sys/kernel/tracing/events') || process.env['IN_MOUNT_NAMESPACE'] === '1'
  // Vitest in Vitest: sanitizers have seen the same attachments in other files, and now and then end that one's worker as it goes.
  it.skipIf(namespaced || isSanitized)('tracepoint, in a mount namespace with tracefs', { timeout: patience(60_000) }, () => {
    const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
    const script = 'mount -t tracefs tracefs /sys/kernel/tracing && exec "$0" "$@"'
    const test = [vitest, 'run', '--pool=forks', fileURLToPath(import.meta.url), '-t', 'tracepoint']
    const { stdout, stderr, status } = spawnSync(
      'unshare',
      ['-m', '--propagation', 'private', 'sh', '-c', script, process.execPath, ...test],
      { encoding: 'utf8', env: { ...process.env, IN_MOUNT_NAMESPACE: '1', NO_COLOR: '1' } },
    )
    expect(stdout).toMatch(/Tests +[1-9]\d* passed/)
    expect({ status, output: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, output: '' })
  })
})

/** Of the target's probe; an object of another generation of libbpf is refused: test/native/user-probes.test.ts. */
const USDT: LinkSubject = {
  name: 'USDT',
  needs: { since: '5.15', config: ['UPROBES'], libbpfBefore: '1.7' },
  // libbpf holds several attachments in what it calls a link.
  type: 'none',
  load: () => open(objectPath('test/usdt'), { kernel: 'native' }).load(),
  attach: (object) => object.program('on_probe').attachUsdt(probeTarget(), 'libbpf_node', 'enter', { pid: target.pid, cookie: COOKIE }),
  async fire({ bss }) {
    bss['runs'] = 0n
    await target.pass()
    return Number(bss['runs'])
  },
  fires: 1,
  saw: ({ bss }) => ({ value: bss['last_value'], cookie: bss['last_cookie'] }),
  seen: { value: 10n, cookie: COOKIE },
  attached: (object) => object.program('on_probe'),
  detaches: false,
}

/** What is replaced, loaded when it is first wanted. */
let base: BpfObject | undefined
const FREPLACE: LinkSubject = {
  name: 'freplace',
  needs: { since: '5.10', machine: true },
  type: 'tracing',
  load() {
    base ??= loadTracing('with_replaceable')
    const spec = open(objectPath('test/tracing'), { kernel: 'native' })
    for (const [name, setting] of Object.entries(spec.programs)) setting.autoload = name === 'replacement'
    spec.programs['replacement']?.setAttachTarget('replaceable', base.program('with_replaceable'))
    return spec.load()
  },
  attach: (object) => object.program('replacement').attachFreplace(base?.program('with_replaceable'), 'replaceable'),
  fire: () => (base?.program('with_replaceable').run({ data: new Uint8Array(64) }).retval === 42 ? 1 : 0),
  fires: 1,
  attached: (object) => object.program('replacement'),
  detaches: false,
}

/** Read by whoever opens the link: as bpftool and cat do. */
const ITERATOR: LinkSubject = {
  name: 'iter',
  needs: { since: '5.9' },
  type: 'iter',
  load: () => loadOnly('iterators', 'dump_task', 'dump_task_again'),
  attach: (object) => object.program('dump_task').attachIterator(),
  fire: (object) => readIterators(object.program('dump_task'), ` ${process.pid} `),
  fires: 1,
  attached: (object) => object.program('dump_task'),
  update: {
    from: (object) => object.program('dump_task'),
    to: (object) => object.program('dump_task_again'),
    fire: (object) => readIterators(object.program('dump_task_again'), `again ${process.pid}\n`),
  },
  detaches: false,
}

/** How many links of a program write a text when they are read. */
function readIterators({ id }: Program, text: string): number {
  const ids = [...introspect({ kernel: 'native' }).links()].filter((link) => link.programId === id).map((link) => link.id)
  return ids.filter((linkId) => {
    using link = linkById(linkId, { kernel: 'native' })
    return link instanceof IteratorLink && link.text().includes(text)
  }).length
}

const NEW_CONNECTION = `
use Socket;
my ($name) = @ARGV;
socket(my $server, PF_INET, SOCK_STREAM, 0); bind($server, sockaddr_in(0, INADDR_LOOPBACK)); listen($server, 1);
socket(my $client, PF_INET, SOCK_STREAM, 0);
# IPPROTO_TCP, TCP_CONGESTION
setsockopt($client, 6, 13, $name) or exit 1;
connect($client, getsockname($server)) or exit 2;
`

/** A TCP congestion control: a link since libbpf 1.2 and Linux 6.4. */
const isLinked = addonHas('structOpsLink') && linuxIsAtLeast('6.4')
const loadStructOps = (): BpfObject => open(objectPath(isLinked ? 'test/struct_ops_link' : 'test/struct_ops'), { kernel: 'native' }).load()
/** Without a link, a map is attached once and never again: the object of the last one. */
let registered: BpfObject | undefined
const STRUCT_OPS: LinkSubject = {
  name: 'struct_ops',
  needs: { since: '5.8', config: ['BPF_JIT', 'DEBUG_INFO_BTF'] },
  type: isLinked ? 'struct_ops' : 'none',
  load: loadStructOps,
  attach(object) {
    if (isLinked) return object.map('linked_cc').attachStructOps()
    registered?.close()
    registered = loadStructOps()
    return registered.map('idle_cc').attachStructOps()
  },
  fire(object) {
    const { bss } = isLinked || registered === undefined ? object : registered
    bss['started'] = 0n
    spawnSync('perl', ['-e', NEW_CONNECTION, isLinked ? 'bpfnode_link' : 'bpfnode_idle'])
    return Number(bss['started'])
  },
  fires: 1,
  attached: () => undefined,
  detaches: isLinked && linuxIsAtLeast('6.10'),
}

/** A program that counts its runs: those of this process, or of the target. */
function subjectOf(attachment: Attachment): LinkSubject {
  const { name, needs, cookies, link, linkSince = '5.8', runs, value, program } = attachment
  const cookie = cookies !== undefined && linuxIsAtLeast(cookies) ? COOKIE : undefined
  const scene = (object: Scene['object']): Scene => ({ object, program: object.program(program), target, binary: probeTarget() })
  return {
    name,
    needs,
    type: linuxIsAtLeast(linkSince) ? link : 'none',
    load: () => loadTracing(program, { tgid: attachment.fire === pass ? target.pid : process.pid, cookies }),
    attach: (object) => attachment.attach(scene(object), cookie),
    async fire(object) {
      object.bss['runs'] = 0n
      await attachment.fire(scene(object))
      return Number(object.bss['runs'])
    },
    ...(runs !== undefined && { fires: runs }),
    saw: ({ bss }) => ({ value: value && bss['last_value'], cookie: cookie && bss['last_cookie'] }),
    seen: { value, cookie },
    attached: (object) => object.program(program),
    detaches: false,
    // Since then trampolines take a program again.
    reattaches: link !== 'tracing' || linuxIsAtLeast('5.13'),
  }
}
