/** A program in Linux, and its attachments. */
import type { KernelLink, KernelProgram, ProgramInfo, RunOptions, RunResult } from '../kernel.js'
import { BPF_PROG_TYPE as P } from '../linux/program-types.js'
import type { AddonProgram } from './addon-types.js'
import { NativeLink } from './link.js'

/** Types whose test run gives the data back. Source: net/bpf/test_run.c of Linux 6.18. */
const GIVES_DATA: ReadonlySet<number> = new Set([
  P.SOCKET_FILTER, P.SCHED_CLS, P.SCHED_ACT, P.XDP, P.CGROUP_SKB, P.LWT_IN, P.LWT_OUT, P.LWT_XMIT, P.LWT_SEG6LOCAL,
  P.SK_SKB, P.FLOW_DISSECTOR,
]) // prettier-ignore

/** Types whose test run gives the context back, in a buffer of its own. Source: as above. */
const GIVES_CONTEXT: ReadonlySet<number> = new Set([...GIVES_DATA, P.SK_LOOKUP])

/** What a program may add to its data: XDP's headroom and a page of tail. */
const ROOM_TO_GROW = 4096 + 256

export class NativeProgram implements KernelProgram {
  readonly info: ProgramInfo
  readonly #handle: AddonProgram

  /** @param log what the verifier told of it */
  constructor(handle: AddonProgram, name: string, section: string, log: string) {
    const { id, type, tag } = handle.info()
    this.#handle = handle
    this.info = { name, section, id, type, tag: toHex(tag), log }
  }

  /** The file descriptor, which stays the program's. */
  get fd(): number {
    return this.#handle.fd()
  }

  attach(): KernelLink {
    return new NativeLink(this.#handle.attach(`link of SEC("${this.info.section}")`), this.info.section)
  }

  run({ data, ctx, repeat }: RunOptions): RunResult {
    const { type } = this.info
    const dataOutSize = data !== undefined && GIVES_DATA.has(type) ? data.length + ROOM_TO_GROW : 0
    const ctxOutSize = ctx !== undefined && GIVES_CONTEXT.has(type) ? ctx.length : 0
    // Types that cannot repeat refuse the number 1 too; to the others, 0 is 1.
    const times = repeat === undefined || repeat === 1 ? 0 : repeat
    const result = this.#handle.run(data, dataOutSize, ctx, ctxOutSize, times)
    const ctxAfter = type === P.SYSCALL ? result.ctxIn : result.ctxOut
    return {
      retval: result.retval,
      durationNs: result.durationNs,
      ...(result.dataOut !== undefined && { data: result.dataOut }),
      ...(ctxAfter !== undefined && { ctx: ctxAfter }),
    }
  }

  readStream(stream: number, into: Uint8Array): number {
    return this.#handle.readStream(stream, into)
  }

  close(): void {
    this.#handle.close()
  }
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
