/**
 * What a process with few capabilities can do: started by few-privileges.ts under setpriv(1), with the name of a scenario.
 *
 * Over the built library, as a process of its own has no TypeScript loader. Prints one line of JSON.
 */
import { createServer } from 'node:net'
import { explainPrivileges, features, introspect, open } from '../../dist/lib/index.js'

const objectPath = (name) => new URL(`../../bpf/${name}.bpf.o`, import.meta.url)

/** What an action answers, or the error that it throws. */
function outcome(action) {
  try {
    return action() ?? 'done'
  } catch (error) {
    return { code: error.code, message: error.message }
  }
}

function load(name, ...programs) {
  const spec = open(objectPath(`test/${name}`), { kernel: 'native' })
  for (const [program, settings] of Object.entries(spec.programs)) settings.autoload = programs.includes(program)
  for (const program of programs) if (!spec.programs[program].autoload) throw new Error(`no ${program}`)
  if (name === 'conditions' && programs[0] !== 'for_everybody') spec.maps.pinned.pinPath = undefined
  if (name === 'tracing') spec.rodata.target_tgid = process.pid
  return spec.load()
}

/** Loads programs of an object, attaches, and closes all of it. */
function attaching(name, programs, attach) {
  const object = load(name, ...programs)
  try {
    attach(object.program(programs[0]), object).close()
  } finally {
    object.close()
  }
}

const inMap = (kind) => (program, object) => program.attachSockmap(object.map('sockets'), { via: kind })
const onLoopback = (options) => (program) => program.attachTc('lo', { direction: 'ingress', ...options })

/** What is attached, by name: see least-privilege.test.ts for what each takes. */
const ATTACHMENTS = {
  raw_tp: () => attaching('tracing', ['on_raw_tracepoint'], (program) => program.attachRawTracepoint('sched_process_fork')),
  tp_btf: () => attaching('tracing', ['on_typed_tracepoint'], (program) => program.attachTrace()),
  iter: () => attaching('iterators', ['dump_task'], (program) => program.attachIterator()),
  perf_event: () =>
    attaching('tracing', ['on_perf_event'], (program) => program.attachPerfEvent('cpu-clock', { frequency: 10, pid: 'self' })),
  uprobe: () =>
    attaching('tracing', ['on_uprobe'], (program) => program.attachUprobe('libc', { function: 'umask', pid: 'self' })),
  uretprobe: () =>
    attaching('tracing', ['on_uretprobe'], (program) => program.attachUprobe('libc', { function: 'umask', pid: 'self' })),
  'uprobe.multi': () =>
    attaching('tracing', ['on_uprobe_multi'], (program) => program.attachUprobeMulti('libc', { functions: ['umask'], pid: 'self' })),
  lsm: () => attaching('tracing', ['on_file_open'], (program) => program.attachLsm()),
  tracepoint: () => attaching('tracing', ['on_tracepoint'], (program) => program.attachTracepoint('sched', 'sched_switch')),
  kprobe: () => attaching('tracing', ['on_kprobe'], (program) => program.attachKprobe('do_sys_openat2')),
  'kprobe.multi': () => attaching('tracing', ['on_kprobe_multi'], (program) => program.attachKprobeMulti(['do_sys_openat2'])),
  fentry: () => attaching('tracing', ['on_entry'], (program) => program.attachTrace()),
  fexit: () => attaching('tracing', ['on_exit'], (program) => program.attachTrace()),
  'socket filter': () =>
    attaching('network', ['on_socket_filter'], (program) => {
      // Without a host it listens at once.
      const socket = createServer().listen(0)
      try {
        return program.attachSocket(socket)
      } finally {
        socket.close()
      }
    }),
  xdp: () => attaching('network', ['on_xdp'], (program) => program.attachXdp('lo', { mode: 'generic' })),
  'xdp by netlink': () => attaching('network', ['on_xdp'], (program) => program.attachXdp('lo', { mode: 'generic', via: 'netlink' })),
  clsact: () => attaching('network', ['on_tc'], onLoopback({ via: 'clsact' })),
  tcx: () => attaching('network', ['on_tc'], onLoopback({ via: 'tcx' })),
  netfilter: () =>
    attaching('network', ['on_netfilter'], (program) => program.attachNetfilter({ protocol: 'ipv4', hook: 'input', priority: 7 })),
  sk_lookup: () => attaching('network', ['on_sk_lookup'], (program) => program.attachNetns('/proc/self/ns/net')),
  flow_dissector: () => attaching('network', ['on_flow_dissector'], (program) => program.attachNetns('/proc/self/ns/net')),
  lwt: () => attaching('network', ['on_lwt_xmit'], (program) => program.attachLwt('10.77.0.0/24', { interface: 'lo' })),
  sk_msg: () => attaching('sockmap', ['on_msg'], inMap('map')),
  'sk_skb verdict': () => attaching('sockmap', ['on_verdict'], inMap('map')),
  cgroup: (folder) => attaching('cgroup', ['on_connect4'], (program) => program.attachCgroup(folder)),
}

const SCENARIOS = {
  /** Which of {@link ATTACHMENTS} work, of those that are named: what each answers. */
  attach: (names, folder) =>
    Object.fromEntries(names.split(',').map((name) => [name, outcome(() => ATTACHMENTS[name](folder))])),
  /** An agent: tracing, ring buffer, events of its own child. */
  async agent() {
    const { spawn } = await import('node:child_process')
    const spec = open(objectPath('execsnoop'), { kernel: 'native' })
    spec.rodata.filter_tree = true
    const object = spec.load()
    object.map('tree').set(process.pid, 1)
    const links = object.attach()
    const events = object.map('events').ringBuffer({ type: 'event', int64: 'number' })
    const EXEC = 2
    const executed = new Promise((resolve) => events.on('event', (event) => event.kind === EXEC && resolve(event)))
    spawn('true')
    const { filename: path } = await executed
    events.close()
    links.close()
    const facts = introspect().program(object.program('handle_exec'))
    const listing = outcome(() => introspect().programs().length)
    object.close()
    return { path, name: facts.name, listing }
  },
  /** Probes in its own libc, by one link; and the tasks of the machine, by an iterator. */
  probes: () =>
    outcome(() => {
      const traced = load('tracing', 'on_uprobe_multi')
      const probe = traced
        .program('on_uprobe_multi')
        .attachUprobeMulti('libc', { functions: ['umask'], pid: process.pid })
      process.umask(process.umask())
      const runs = Number(traced.bss.runs)
      probe.close()
      traced.close()
      const iterators = load('iterators', 'dump_task')
      const tasks = iterators.program('dump_task').attachIterator()
      const text = tasks.text()
      tasks.close()
      iterators.close()
      return { runs, seen: text.includes(` ${process.pid} `) }
    }),
  /** Loads one program of an object. */
  load: (name, program) =>
    outcome(() => {
      load(name, program).close()
    }),
  attachXdp: () =>
    outcome(() => {
      const object = load('network', 'on_xdp')
      object.program('on_xdp').attachXdp('lo', { mode: 'generic' }).close()
      object.close()
    }),
  run: () =>
    outcome(() => {
      const object = load('program_run', 'filter')
      const { retval } = object.program('filter').run({ data: new Uint8Array(64) })
      object.close()
      return retval
    }),
  features: () => {
    const all = features()
    return {
      xdp: all.programType('xdp'),
      tracing: all.programType('tracing'),
      ringbuf: all.mapType('ringbuf'),
      loop: all.helper('socket_filter', 'loop'),
      tcx: all.attachType('tcx_ingress'),
      capabilities: all.system().capabilities.effective,
    }
  },
  /** Of bpf/test/conditions: where the program finds a symbol of the kernel. */
  address: () =>
    outcome(async () => {
      const object = load('conditions', 'sees_address')
      const link = object.program('sees_address').attachRawTracepoint('sched_process_fork')
      const { spawnSync } = await import('node:child_process')
      spawnSync('true')
      const { address } = object.bss
      link.close()
      object.close()
      return String(address)
    }),
  /** Creates the map that is pinned by its name. */
  pin: () =>
    outcome(() => {
      const object = load('conditions', 'for_everybody')
      object.map('pinned').unpin('/sys/fs/bpf/pinned')
      object.close()
    }),
  explain: (name) => explainPrivileges(objectPath(name)),
  auto: () => {
    const object = open(objectPath('execsnoop')).load()
    return object.kernel.name
  },
}

/** One scenario; or several, one after the other, with `+` between them: then it answers with a list. */
const scenarios = process.argv
  .slice(2)
  .join('\n')
  .split('\n+\n')
  .map((words) => words.split('\n'))
const answers = []
for (const [scenario, ...args] of scenarios) answers.push(await SCENARIOS[scenario](...args))
process.stdout.write(`${JSON.stringify(answers.length === 1 ? answers[0] : answers)}\n`)
