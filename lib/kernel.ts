/**
 * THE SEAM: what a kernel must offer, and nothing more.
 *
 * Above it stand the public classes, written once. Below it stand two kernels: `native/` (Linux, through libbpf) and
 * `fallback/` (TypeScript). What crosses is bytes, numbers, bigint and plain objects: typing by BTF, events, iteration
 * and lifetime warnings live above; system calls and simulation live below.
 *
 * Rules that both kernels keep:
 * - A failure is a thrown `BpfError` that names the call, the subject and, where there is one, the errno.
 * - "Not there" is no failure: `lookup`, `delete` and `nextKey` answer `false` on ENOENT.
 * - `close()` may be called any number of times; any other call on a closed handle throws code `CLOSED`.
 * - Buffers that a caller passes are read or filled during the call and never kept.
 */
import type { KernelIntrospection } from './kernel-introspection.js'
import type { KernelLink, KernelMap, LinkReference } from './kernel/handles.js'
import type { MapReference } from './kernel/map-data.js'
import type {
  KernelObject,
  MapAttributes,
  OpenObjectOptions,
  VerifyAnswer,
  VerifyRequest,
} from './kernel/object.js'
import type { KernelReader, RecordSink, TraceOptions } from './kernel/reader.js'
import type { ObjectFile } from './object-file/types.js'

export type * from './kernel/object.js'
export type * from './kernel/handles.js'
export type * from './kernel/map-data.js'
export type * from './kernel/program-data.js'
export type * from './kernel/reader.js'

export interface Kernel {
  /** `'native'`, `'fallback'`, or the name of a kernel of one's own. */
  readonly name: string
  /** For people: what runs here, such as `Linux 6.18.44, libbpf 1.1`. */
  readonly description: string
  /** Number of possible CPUs: per-CPU values have this many parts. */
  readonly possibleCpus: number
  /** What it knows of programs, maps, links and BTF, whoever they belong to. */
  readonly introspection: KernelIntrospection
  /**
   * Starts a reader of what programs print with bpf_printk(), as lines in the format of tracefs' trace_pipe; paused until
   * `resume()`.
   */
  openTrace(sink: RecordSink, options: TraceOptions): KernelReader
  /** Starts the open phase: nothing is in the kernel yet. */
  openObject(file: ObjectFile, options: OpenObjectOptions): KernelObject
  /**
   * Has one program of an object verified, alone, and keeps nothing of it.
   *
   * @throws BpfError for what keeps the program from the verifier: a relocation, a map that can't be created, a missing capability
   */
  verifyProgram(file: ObjectFile, request: VerifyRequest): VerifyAnswer
  /** Creates a map without an object: BPF_MAP_CREATE. */
  createMap(attributes: MapAttributes): KernelMap
  /** Opens a map that exists. */
  openMap(reference: MapReference): KernelMap
  /** Opens a link that exists. */
  openLink(reference: LinkReference): KernelLink
  /** A file descriptor for a process, which the caller closes: the key of task storage. Linux 5.3. */
  openPidfd(pid: number): number
}
