/** What libbpf prints of programs that were accepted, where a log level asks for it. */

const BLOCK = /prog '([^']*)': -- BEGIN PROG LOAD LOG --\n([^]*?)-- END PROG LOAD LOG --\n/g

const ANY_BLOCK =
  /(prog '[^']*': BPF program load failed: [^\n]*\n)?(?:libbpf: )?prog '[^']*': -- BEGIN PROG LOAD LOG --\n[^]*?-- END PROG LOAD LOG --\n/g

/** What libbpf printed during a load that failed, without the logs of programs that were accepted before. */
export function withoutAcceptedLogs(printed: string): string {
  return printed.replace(ANY_BLOCK, (block, failed: string | undefined) => (failed === undefined ? '' : block))
}

/** The verifier's logs by program, out of all that libbpf printed during a load that worked. */
export function programLogs(printed: string): ReadonlyMap<string, string> {
  return new Map(Array.from(printed.matchAll(BLOCK), ([, program = '', log = '']) => [program, log]))
}
