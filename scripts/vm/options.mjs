/** The command line of `npm run test:vm`. */
import { parseArgs } from 'node:util'
import { DebianError } from '../setup/debian.mjs'
import { kernelSuites } from './kernels.mjs'

/** This machine's own kernel, as `--kernel` takes it. */
export const HOST = 'host'

const OPTIONS = {
  kernel: { type: 'string', multiple: true },
  append: { type: 'string', default: '' },
  merge: { type: 'string' },
  renew: { type: 'boolean', default: false },
  table: { type: 'boolean', default: false },
  timeout: { type: 'string', default: '40' },
}

/** Those of vitest's that make sense here: with others, it would fail in each machine. */
const OF_VITEST = [
  't', 'testNamePattern', 'bail', 'retry', 'testTimeout', 'sequence.seed', 'sequence.shuffle', 'silent', 'reporter',
] // prettier-ignore

/**
 * @returns `names` of kernels, `renew`, `table`, `merge`, `append`, `timeoutMs`, and `rest`: the arguments that are vitest's
 * @throws {DebianError} for an option or a kernel that there isn't, or a time limit that is none
 */
export function parseOptions(args) {
  const { values, tokens } = parseArgs({ args, options: OPTIONS, strict: false, tokens: true })
  const odd = tokens.find(
    ({ kind, name }) => kind === 'option' && !Object.hasOwn(OPTIONS, name) && !OF_VITEST.includes(name),
  )
  if (odd !== undefined) {
    const ours = Object.keys(OPTIONS).map((name) => `--${name}`)
    throw new DebianError(
      `unknown option '${odd.rawName}': there are ${ours.join(', ')}, some of vitest's, and --help`,
    )
  }
  const known = [...kernelSuites.keys(), HOST]
  const names =
    values.kernel ?? [...kernelSuites].filter(([, { onDemand }]) => onDemand !== true).map(([name]) => name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new DebianError(`no kernel '${unknown}': there are ${known.join(', ')}`)
  const minutes = Number(values.timeout)
  if (!(minutes > 0))
    throw new DebianError(`--timeout takes a number of minutes, not '${String(values.timeout)}'`)
  const rest = tokens.flatMap((token) => {
    if (token.kind === 'positional') return [token.value]
    if (token.kind !== 'option' || Object.hasOwn(OPTIONS, token.name)) return []
    return token.inlineValue === true ? [`${token.rawName}=${token.value}`] : [token.rawName]
  })
  return {
    names,
    renew: values.renew,
    table: values.table,
    merge: values.merge,
    append: values.append,
    timeoutMs: minutes * 60_000,
    rest,
  }
}
