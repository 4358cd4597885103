/** What to do about the common reasons for which a verifier refuses programs. */
import { helperById } from './linux/helpers.js'

/** A known reason; the first one that fits counts. */
interface KnownReason {
  readonly pattern: RegExp
  readonly hint: (found: RegExpExecArray, programType: string) => string
}

const REASONS: readonly KnownReason[] = [
  {
    pattern: /^UNSUPPORTED: (.*)/,
    hint: ([, what]) =>
      `The fallback's verifier doesn't model ${what}: Linux may take the program. Ask it: --kernel native`,
  },
  {
    pattern: /R(\d+) invalid mem access '\w*_or_null_?'/,
    hint: ([, register]) =>
      `r${register} may be NULL here. Check it before its use: if (!value) return 0; map look-ups, bpf_ringbuf_reserve() and socket look-ups can all fail`,
  },
  {
    pattern: /possibly NULL pointer passed/i,
    hint: () => 'This helper wants a pointer that is surely not NULL: check it before the call',
  },
  {
    pattern: /invalid access to packet|offset is outside of the packet/,
    hint: () =>
      'The packet may be shorter than that. Compare with its end first, with the same pointer: if ((void *)(header + 1) > data_end) return XDP_PASS; and read data and data_end anew after helpers that change the packet',
  },
  {
    pattern:
      /invalid access to (?:map value|memory|map key)|unbounded memory access|min value is (?:negative|outside)|max value is outside|invalid variable-offset|invalid unbounded variable-offset|math between .* pointer and register with unbounded/,
    hint: () =>
      'The index or size can be larger than the memory, or negative. Bound it where the verifier sees it: an unsigned variable, and index &= SIZE - 1 (SIZE a power of two) or if (index >= SIZE) return 0; right before the access',
  },
  {
    pattern:
      /Unreleased reference|reference leak|lock is still held|function calls are not allowed while holding/i,
    hint: () =>
      'What was acquired must be released on every path, early returns and error paths among them: bpf_ringbuf_submit() or bpf_ringbuf_discard(), bpf_sk_release(), bpf_spin_unlock() …',
  },
  {
    pattern: /infinite loop detected|back-edge|program is too large|jumps is too complex|took more than/,
    hint: () =>
      'The verifier finds no end of a loop within its limits. Give it a constant bound (for (int i = 0; i < 64; i++)), or use bpf_loop() (Linux 5.17), bpf_for() or may_goto (6.4, 6.9): their bodies are verified once',
  },
  {
    pattern: /(?:unknown func|invalid func|cannot use helper) (?:bpf_)?(\w+)#(\d+)/,
    // A kernel that is older than the helper has no name for it.
    hint: ([, helper, id], programType) =>
      `bpf_${helperById(Number(id))?.name ?? helper}() is not for programs of type ${programType}, or not in this kernel: npx libbpf-node features shows which are`,
  },
  {
    pattern: /GPL/,
    hint: () => `Declare a licence that is compatible: char LICENSE[] SEC("license") = "GPL";`,
  },
  {
    pattern: /R(\d+) invalid mem access '(?:scalar|inv)'/,
    hint: ([, register]) =>
      `To the verifier r${register} is a number, not a pointer. Kernel memory is read with bpf_probe_read_kernel() or BPF_CORE_READ(), user memory with bpf_probe_read_user(); a pointer that was computed with, or stored away in part, isn't one any more`,
  },
  {
    pattern: /R0 !read_ok/,
    hint: () => 'The program ends without a return value on this path: return one',
  },
  {
    pattern: /R(\d) !read_ok/,
    hint: ([, register]) =>
      `r${register} was never written on this path: a variable without a value, or one that is used behind a call in r1 to r5`,
  },
  {
    pattern: /invalid (?:indirect |read |access )*(?:read )?from (?:indirect )?stack|invalid read from stack/,
    hint: () =>
      'Part of that stack memory was never written, padding among it: initialise the variable (struct key key = {};) or use __builtin_memset()',
  },
  {
    pattern: /invalid bpf_context access/,
    hint: (_, programType) =>
      `Programs of type ${programType} may not access that part of their context, or not with that size`,
  },
  {
    pattern: /combined stack size|invalid stack|stack depth/i,
    hint: () =>
      'A program has 512 bytes of stack, its sub-programs included: put large data into a per-CPU array',
  },
  {
    pattern: /At (?:program|subprogram|callback|async callback)[\w ]* exit|has value .* should have been/,
    hint: () => 'The value that is returned is out of the range that this attach type allows',
  },
]

/**
 * @param reason      the deciding line of the log
 * @param programType under bpftool's name: `xdp`
 */
export function hintFor(reason: string, programType: string): string | undefined {
  for (const { pattern, hint } of REASONS) {
    const found = pattern.exec(reason)
    if (found !== null) return hint(found, programType)
  }
  return undefined
}
