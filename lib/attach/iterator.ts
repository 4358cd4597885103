/** The verb for iterators. */
import type { CgroupOrder, IteratorRequest, TaskScope } from '../attach-request.js'
import { checkDescriptor, checkText } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import { IteratorLink } from '../iterator-link.js'
import type { KernelProgram } from '../kernel.js'
import { isMapLike, type MapLike } from '../program-like.js'
import { checkOneOf } from './options.js'
import { requireVerb } from './verbs.js'

/** What is walked over: at most one of these. Without, what the iterator's name says: all tasks, all maps … */
export type IteratorOptions =
  | { readonly map?: never; readonly cgroup?: never; readonly task?: never }
  /** `iter/bpf_map_elem`, `iter/bpf_sk_storage_map`. */
  | { readonly map: MapLike; readonly cgroup?: never; readonly task?: never }
  /** `iter/cgroup` (Linux 6.1): a folder of cgroup2, or the descriptor of one. Default order: `'self'`, that one alone. */
  | {
      readonly cgroup: string | number
      readonly order?: CgroupOrder
      readonly map?: never
      readonly task?: never
    }
  /** `iter/task`, `task_file`, `task_vma` (Linux 6.1). */
  | { readonly task: TaskScope; readonly map?: never; readonly cgroup?: never }

const ORDERS: readonly CgroupOrder[] = ['self', 'descendantsPre', 'descendantsPost', 'ancestorsUp']

export function attachIterator(program: KernelProgram, options: IteratorOptions): IteratorLink {
  requireVerb(program.info, 'attachIterator')
  const { map, cgroup, task } = options
  if ([map, cgroup, task].filter((option) => option !== undefined).length > 1)
    throw new BpfError('BAD_VALUE', 'attachIterator() takes a map, a cgroup or a task, not several of them')
  const attach = (request: Omit<IteratorRequest, 'kind'>): IteratorLink =>
    new IteratorLink(program.attach({ kind: 'iter', ...request }), program.info.name)
  if (map !== undefined) return attach({ map: checkMap(map) })
  if (task !== undefined) return attach({ task: checkTask(task) })
  if (cgroup === undefined) return attach({})
  const order = checkOneOf('attachIterator(): order', options.order, ORDERS) ?? 'self'
  const what = 'attachIterator(): cgroup'
  const folder = typeof cgroup === 'number' ? checkDescriptor(what, cgroup) : checkText(what, cgroup)
  return attach({ cgroup: { folder, order } })
}

function checkMap(map: MapLike): Exclude<IteratorRequest['map'], undefined> {
  if (isMapLike(map)) return map.kernelMap
  throw new BpfError('BAD_VALUE', 'attachIterator(): map must be a BpfMap')
}

function checkTask(task: TaskScope): TaskScope {
  const entries = Object.entries(task)
  const [name = '', number = -1] = entries[0] ?? []
  const isKnown = entries.length === 1 && ['tid', 'pid', 'pidFd'].includes(name)
  if (isKnown && Number.isInteger(number) && (number > 0 || (name === 'pidFd' && number === 0))) return task
  throw new BpfError(
    'BAD_VALUE',
    'attachIterator(): task is one of { tid }, { pid } and { pidFd }, with its number',
  )
}
