/** `libbpf-node map …`, `link …`, `btf list`, `net list`, `cgroup show`: what is in the kernel, and attached where. */
import { Command, InvalidArgumentError } from 'commander'
import { mapById } from '../create-map.js'
import { introspect, type MapUsers } from '../introspection/introspection.js'
import type { CgroupAttachment } from '../introspection/cgroup.js'
import type { NetworkAttachments } from '../introspection/network.js'
import type { LinkInfo } from '../link-info.js'
import { mapFlagNames } from '../linux/map-types.js'
import type { BtfFacts, MapFacts } from '../linux/object-info.js'
import { bpftoolNames, print, toId, type OutputOptions } from './output.js'
import { section } from './table.js'

const JSON_OPTION = ['-j, --json', "as JSON, under bpftool's names"] as const

export function mapCommand(): Command {
  return group('map', 'maps in the kernel')
    .addCommand(
      list('every map: CAP_SYS_ADMIN', () => introspect().maps(), mapTable),
      BY_DEFAULT,
    )
    .addCommand(
      show('one map, the programs that refer to it, and the processes that hold it', (id) => {
        const facts = introspect().map(id)
        const users = introspect().mapUsers(id)
        return { value: { ...facts, users }, text: () => `${mapTable([facts])}\n${usersText(users)}` }
      }),
    )
    .addCommand(
      new Command('dump')
        .description('entries of a map, each a JSON object in a line; decoded if the map has types')
        .argument('<id>', 'of the map', toNumber)
        .action(dumpMap),
    )
}

export function linkCommand(): Command {
  return group('link', 'links in the kernel')
    .addCommand(
      list('every link: CAP_SYS_ADMIN', () => introspect().links(), linkTable),
      BY_DEFAULT,
    )
    .addCommand(
      show('one link: all that Linux tells of it', (id) => {
        const info = introspect().link(id)
        return { value: info, text: () => linkTable([info]) }
      }),
    )
}

export function btfCommand(): Command {
  return group('btf', 'type information in the kernel').addCommand(
    list('every BTF object: CAP_SYS_ADMIN', () => introspect().btfs(), btfTable),
    BY_DEFAULT,
  )
}

export function netCommand(): Command {
  return group('net', 'programs on network interfaces').addCommand(
    new Command('list')
      .description('XDP, tc, tcx and netkit programs of a network namespace: CAP_NET_ADMIN')
      .option('-n, --netns <name>', 'a name as `ip netns` gives them, or a path')
      .option(...JSON_OPTION)
      .action(({ netns, ...options }: OutputOptions & { readonly netns?: string }) => {
        const found = introspect().network(netns === undefined ? {} : { netns })
        print(found, () => networkTables(found), options)
      }),
    BY_DEFAULT,
  )
}

export function cgroupCommand(): Command {
  return group('cgroup', 'programs on cgroups').addCommand(
    new Command('show')
      .description('what is attached to a cgroup: CAP_NET_ADMIN')
      .argument('<path>', 'its directory')
      .option('-e, --effective', 'with what its ancestors have')
      .option(...JSON_OPTION)
      .action((path: string, { effective, ...options }: OutputOptions & { readonly effective?: true }) => {
        const found = introspect().cgroup(path, { effective: effective === true })
        print(found, () => cgroupTable(found), options)
      }),
  )
}

/** `map` alone is `map list`. */
const BY_DEFAULT = { isDefault: true } as const

const toNumber = (text: string): number => toId(text, InvalidArgumentError)

/** A command about the object with an id. @param find  its facts, and how people read them */
function show(
  description: string,
  find: (id: number) => { readonly value: unknown; readonly text: () => string },
): Command {
  return new Command('show')
    .description(description)
    .argument('<id>', 'its kernel id', toNumber)
    .option(...JSON_OPTION)
    .action((id: number, options: OutputOptions) => {
      const { value, text } = find(id)
      print(value, text, options)
    })
}

function dumpMap(id: number): void {
  using map = mapById(id)
  for (const [key, value] of map.entries())
    process.stdout.write(`${JSON.stringify(bpftoolNames({ key, value }))}\n`)
}

function usersText({ programs, processes }: MapUsers): string {
  const holders = new Set(processes.map(({ pid, comm }) => `${comm} (${pid})`))
  return `Programs: ${programs.join(', ') || 'none'}\nHeld by:  ${[...holders].join(', ') || 'no process that can be seen'}\n`
}

function group(name: string, description: string): Command {
  return new Command(name).description(description)
}

function list<T>(
  description: string,
  find: () => readonly T[],
  table: (items: readonly T[]) => string,
): Command {
  return new Command('list')
    .description(description)
    .option(...JSON_OPTION)
    .action((options: OutputOptions) => {
      const items = find()
      print(items, () => table(items), options)
    })
}

function mapTable(maps: readonly MapFacts[]): string {
  return (
    section(
      'Maps',
      ['id', 'type', 'name', 'key', 'value', 'max entries', 'memlock', 'btf', 'flags'],
      maps.map(({ id, type, name, bytesKey, bytesValue, maxEntries, bytesMemlock, btfId, flags, frozen }) => [
        id,
        type,
        name,
        bytesKey,
        bytesValue,
        maxEntries,
        bytesMemlock ?? 0,
        btfId,
        [...mapFlagNames(flags), ...(frozen ? ['frozen'] : [])].join(' | '),
      ]),
    ) || 'No maps\n'
  )
}

function linkTable(links: readonly LinkInfo[]): string {
  return (
    section(
      'Links',
      ['id', 'type', 'program', ''],
      links.map(({ id, type, programId, ...rest }) => [id, type, programId, details(rest)]),
    ) || 'No links\n'
  )
}

/** `name sys_enter, cookie 7`: what is told of this type of link. */
function details(facts: object): string {
  return Object.entries(facts)
    .filter(([, value]) => ['string', 'number', 'bigint', 'boolean'].includes(typeof value))
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ')
}

function btfTable(btfs: readonly BtfFacts[]): string {
  return (
    section(
      'BTF',
      ['id', 'name', 'size'],
      btfs.map(({ id, name, size }) => [id, name || '<anon>', size]),
    ) || 'No type information\n'
  )
}

function networkTables({ xdp, tc, netns }: NetworkAttachments): string {
  const tables = [
    section(
      'XDP',
      ['interface', 'mode', 'program'],
      xdp.map(({ devname, mode, id }) => [devname, mode, id]),
    ),
    section(
      'tc',
      ['interface', 'kind', 'program', 'name'],
      tc.map(({ devname, kind, id, name }) => [devname, kind, id, name ?? '']),
    ),
    section(
      'Network namespace',
      ['attach type', 'program'],
      netns.map(({ attachType, id }) => [attachType, id]),
    ),
  ].filter((table) => table !== '')
  return tables.length === 0 ? 'Nothing is attached\n' : tables.join('\n')
}

function cgroupTable(attachments: readonly CgroupAttachment[]): string {
  const rows = attachments.map(({ id, attachType, attachFlags }) => [id, attachType, attachFlags])
  return section('Programs', ['id', 'attach type', 'flags'], rows) || 'Nothing is attached\n'
}
