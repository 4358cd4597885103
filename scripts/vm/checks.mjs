/**
 * What is checked on each kernel, ability by ability, for docs/kernels.md and docs/checks.md: made of the tests that show it.
 *
 * A group names its checks by its patterns: what the first parentheses take of a test's name is the check, and all tests that give the same
 * one belong to it. So a kind of attachment is one check, whose tests are all those of the contract of links; a type of map is one; and of
 * variants each test is one. Tests are named as in attach-types.mjs.
 */

/** By name, in the order of the document: what one check of the group is, and the patterns. */
export const CHECK_GROUPS = new Map([
  [
    'kinds of attachments',
    {
      unit: 'a kind, through the whole contract: fires, tells, is updated, pinned, opened again, detached, leaves nothing',
      patterns: [
        /^links > attachments > ([^>]+?) > /,
        /^network-links > links > (?:of a netkit pair > )?([^>]+?) > /,
      ],
    },
  ],
  [
    'hooks, modes and options of attachments',
    {
      unit: 'a test that attaches in one way and sees the effect, or the refusal',
      patterns: [/^((?:attach-\w+|kernel-probes|user-probes|perf-event|iterators) > .+)/],
    },
  ],
  ['types of maps', { unit: 'a type', patterns: [/^map-types > every type of map > is created: (\w+)/] }],
  [
    'contents of maps',
    { unit: 'a test', patterns: [/^((?:map|map-kinds) > .+)/, /^(map-types > (?!every type of map).+)/] },
  ],
  [
    'readers',
    {
      unit: 'a test of ring buffers, perf buffers, user rings, trace pipe, program streams',
      patterns: [/^((?:readers|ring-buffer|ring|perf-buffer|user-ring|trace-pipe|program-stream) > .+)/],
    },
  ],
  [
    'programs run on demand',
    {
      unit: 'a type of program; a way to run',
      patterns: [
        /^program-run > every type that Linux runs > ([^>]+?) > /,
        /^(program-run > (?!every type).+)/,
      ],
    },
  ],
  [
    'few privileges',
    {
      unit: 'an attachment, or another thing, done with few capabilities or a token',
      patterns: [/^(least-privilege > .+)/, /^(token > a BPF token > .+)/],
    },
  ],
  ['introspection and features', { unit: 'a test', patterns: [/^((?:introspection|features) > .+)/] }],
])

/**
 * The checks of a kernel.
 *
 * @param tests `{ state, name, reason }` of each test that ran or was skipped
 * @returns by group, by check: `'passed'` if all its tests did that ran, and one did; `'failed'`; `'skipped'`
 */
export function checksOf(tests) {
  return new Map(
    [...CHECK_GROUPS].map(([group, { patterns }]) => {
      const states = new Map()
      for (const { state, name } of tests) {
        const check = patterns.map((pattern) => pattern.exec(name)?.[1]).find((found) => found !== undefined)
        if (check !== undefined) states.set(check, worse(states.get(check), state))
      }
      return [group, states]
    }),
  )
}

/** A failed test fails its check; a skipped one leaves it to the others. */
function worse(before, state) {
  if (before === 'failed' || state === 'failed') return 'failed'
  return before === 'passed' || state === 'passed' ? 'passed' : 'skipped'
}

/** How many of them passed. */
export function passedOf(states) {
  return [...states.values()].filter((state) => state === 'passed').length
}
